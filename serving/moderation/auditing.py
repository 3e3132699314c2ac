"""Audits: which decisions people look at again, and what follows from what they say."""

from collections.abc import Mapping, Sequence
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


def certified(audits: Sequence[Audit], judge: Judge, ruling: Ruling) -> Certifying:
    """Certificates that answered audits of one judge support.

    Args:
        audits: answered, all of them of `judge`.
        judge: whose decisions they are.
        ruling: by which they were made.
    """
    found: list[Certificate] = []
    lacking: dict[str, str] = {}
    limit = Limit(PASS_RISK)
    margins = np.array([one.margin for one in audits], np.float32)
    passed = certify_passes(margins, _violating(audits), limit)
    if passed is None:
        lacking["pass *"] = _missing(int((margins < 1).sum()), limit)
    else:
        found.append(_certificate("pass", EVERYTHING, judge, passed, limit))
    labels = sorted({label for one in audits for label in one.scores})
    for label in labels:
        limit = Limit(BLOCK_RISK, DELTA / len(labels))
        rows = [one for one in audits if label in one.scores]
        scores = np.array([one.scores[label] for one in rows], np.float32)
        least = ruling.thresholds[label].block_from
        candidates = [*(c for c in BLOCK_CANDIDATES if c > least), least]
        blocked = certify_blocks(scores, _violating(rows, label), limit, candidates)
        if blocked is None:
            lacking[f"block {label}"] = _missing(int((scores >= least).sum()), limit)
        else:
            found.append(_certificate("block", label, judge, blocked, limit))
    return Certifying(tuple(found), lacking)


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


def _missing(audited: int, limit: Limit) -> str:
    return f"{audited} audited decisions; {limit.least_sample} without an error would do"
