"""Audits: which decisions people look at again, and what follows from what they say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from configs.policy import Ruling
from models.arrays import Mask
from serving.moderation.certificates import EVERYTHING, Certificate, Judge, Side
from serving.moderation.certify import (
    BLOCK_CANDIDATES,
    BLOCK_RISK,
    DELTA,
    PASS_RISK,
    Certified,
    Limit,
    certify_blocks,
    certify_passes,
    drifted,
    representative,
)
from serving.moderation.verdict import Verdict
from serving.records.moderation import Audit, Draw

NOT_PASSED = 1e9  # the margin of what something other than a score stopped


@dataclass(frozen=True)
class Certifying:
    """What the audits of one judge show.

    Attributes:
        certificates: issued; their ids are given by the records.
        lacking: by side and label, what is missing to issue one.
    """

    certificates: tuple[Certificate, ...]
    lacking: Mapping[str, str]


def draw_of(verdict: Verdict, judge: Judge, ruling: Ruling) -> Draw | None:
    """How a verdict may be drawn for audit; None where the machine leaves it to people anyway.

    Certified or not, what the machine would do is audited: else nothing could ever be certified.
    """
    scores = {
        one.label: max(one.by_modality.values())
        for one in verdict.labels
        if one.enforced and one.by_modality
    }
    blocked = any(score >= ruling.thresholds[label].block_from for label, score in scores.items())
    passed = verdict.uncertified or verdict.suggestion == "pass"
    if not (blocked or passed or verdict.suggestion == "block"):
        return None
    shares = ruling.policy.audit_share
    share = shares.passes if passed else shares.blocks
    margin = verdict.margin if passed else NOT_PASSED
    return Draw(verdict.region, judge.model, judge.policy, margin, scores, share)


def certified(
    audits: Sequence[Audit], judge: Judge, ruling: Ruling, recent_from_ms: int
) -> Certifying:
    """Certificates that answered audits of one judge support.

    Args:
        audits: answered, all of them of `judge`.
        judge: whose decisions they are.
        ruling: by which they were made.
        recent_from_ms: audits drawn since then are a sample of what comes now; of older ones the
            share of violations may be another (`certify.representative`).
    """
    found: list[Certificate] = []
    lacking: dict[str, str] = {}
    recent = np.array([one.drawn_at_ms >= recent_from_ms for one in audits], np.bool_)

    def take(side: Side, label: str, question: _Question, limit: Limit) -> None:
        rows, tested = representative(question.decided, question.wrong, recent, limit)
        held = question.certify(rows, tested)
        if held is None:
            lacking[f"{side} {label}"] = _missing(question.decided, recent, limit)
        else:
            found.append(_certificate(side, label, judge, held, limit))

    take("pass", EVERYTHING, _of_passes(audits), Limit(PASS_RISK))
    labels = sorted({label for one in audits for label in one.scores})
    for label in labels:
        least = ruling.thresholds[label].block_from
        take(
            "block", label, _of_blocks(audits, label, least), Limit(BLOCK_RISK, DELTA / len(labels))
        )
    return Certifying(tuple(found), lacking)


@dataclass(frozen=True)
class _Question:
    """Of N audits: the decisions of one kind, those that would be wrong, and their test."""

    decided: Mask
    wrong: Mask
    certify: Callable[[Mask, Limit], Certified | None]


def _of_passes(audits: Sequence[Audit]) -> _Question:
    margins = np.array([one.margin for one in audits], np.float32)
    wrong = _violating(audits)
    return _Question(
        margins < 1, wrong, lambda rows, limit: certify_passes(margins[rows], wrong[rows], limit)
    )


def _of_blocks(audits: Sequence[Audit], label: str, least: float) -> _Question:
    scores = np.array([one.scores.get(label, -1.0) for one in audits], np.float32)
    right = _violating(audits, label)
    candidates = [*(c for c in BLOCK_CANDIDATES if c > least), least]
    return _Question(
        scores >= least,
        ~right,
        lambda rows, limit: certify_blocks(scores[rows], right[rows], limit, candidates),
    )


def spoken_against(certificate: Certificate, audits: Sequence[Audit]) -> bool:
    """Whether audits drawn since a certificate was issued show that its risk is exceeded."""
    later = [one for one in audits if one.drawn_at_ms >= certificate.created_at_ms]
    if certificate.side == "pass":
        covered = [one for one in later if one.margin < certificate.threshold]
        return drifted(_violating(covered), certificate.risk, certificate.delta)
    label = certificate.label
    covered = [one for one in later if one.scores.get(label, 0.0) >= certificate.threshold]
    return drifted(~_violating(covered, label), certificate.risk, certificate.delta)


def _violating(audits: Sequence[Audit], label: str | None = None) -> Mask:
    return np.array(
        [
            bool(one.violations) if label is None else label in (one.violations or ())
            for one in audits
        ],
        np.bool_,
    )


def _certificate(
    side: Side, label: str, judge: Judge, held: Certified, limit: Limit
) -> Certificate:
    facts = (held.threshold, limit.risk, limit.delta, held.sample, held.errors, held.bound)
    return Certificate("", side, label, judge, *facts)


def _missing(decided: Mask, recent: Mask, limit: Limit) -> str:
    now, older = int((decided & recent).sum()), int((decided & ~recent).sum())
    told = f"{now} audited decisions; {limit.least_sample} without an error would do"
    if older == 0:
        return told
    return f"{told}; {older} older ones do not show it for the share of violations now"
