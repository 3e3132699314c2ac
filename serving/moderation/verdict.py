"""The cascade: canonical text -> rules -> text model -> policy -> verdict with evidence."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from configs.labels import Action, Labels
from configs.policy import Policy, Thresholds
from models.arrays import Vectors
from models.canonical import read
from serving.moderation.certificates import Certificate, CertificateBook, Judge
from serving.moderation.rulebook import RuleBook
from serving.moderation.rules import Evidence

_STRENGTH: tuple[Action, ...] = ("pass", "review", "block")


class TextScores(Protocol):
    """Scores texts; an ``embeddings.text_model.TextModel`` in service."""

    @property
    def version(self) -> str:
        """Of the model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """K names, in the order of the scores."""

    def scores(self, texts: Sequence[str]) -> Vectors:
        """[B, K] calibrated probabilities."""


@dataclass(frozen=True)
class LabelVerdict:
    """One label of one piece of content.

    Attributes:
        score: the model's probability, or 1 where a rule was broken; `by_rule` says which.
        thresholds: of the policy; None where only rules find the label.
        enforced: False where it is scored and never acted on.
        suggestion: what this label alone would lead to.
        certificate: id of the one that covers its block by score, None where none does.
    """

    label: str
    score: float
    by_rule: bool
    thresholds: Thresholds | None
    enforced: bool
    suggestion: Action
    certificate: str | None = None


@dataclass(frozen=True)
class Finding:
    """Evidence in text part number `part`; its span is of the original text."""

    part: int
    evidence: Evidence


@dataclass(frozen=True)
class Verdict:
    """What to do with a piece of content, and why.

    Attributes:
        labels: every label that can be found, in the order of the configuration.
        findings: of all parts in reading order, lawful uses and shadow rules among them.
        timings_ms: by stage.
        margin: the largest score of an enforced label as a share of its `pass_below`.
        certificate: id of the one that covers the pass, None where none does.
        uncertified: nothing was found, and no certificate covers the pass.
    """

    suggestion: Action
    region: str
    labels: tuple[LabelVerdict, ...]
    findings: tuple[Finding, ...]
    timings_ms: Mapping[str, float]
    margin: float
    certificate: str | None
    uncertified: bool


@dataclass(frozen=True)
class Moderator:
    """Judges text; rules and certificates are replaced as a whole, all else is read-only."""

    labels: Labels
    policy: Policy
    book: RuleBook
    model: TextScores
    certificates: CertificateBook = field(default_factory=CertificateBook)

    def judge(self, parts: Sequence[str], region: str | None = None) -> Verdict:
        """Judge the text parts of one piece of content together.

        Args:
            parts: texts, at least one.
            region: two capitals; None is the policy's.

        Raises:
            TextError: a part holds a lone surrogate.
        """
        where = region or self.policy.region
        started = time.perf_counter()
        readings = [read(part) for part in parts]
        was_read = time.perf_counter()
        findings = tuple(
            Finding(n, evidence)
            for n, reading in enumerate(readings)
            for evidence in self.book.find(reading, where)
        )
        searched = time.perf_counter()
        scores = self.model.scores(parts).max(axis=0).tolist()
        scored = time.perf_counter()
        verdicts = self._labels(dict(zip(self.model.labels, scores, strict=True)), findings, where)
        timings_ms = {
            "canonical": round((was_read - started) * 1000, 3),
            "rules": round((searched - was_read) * 1000, 3),
            "text_model": round((scored - searched) * 1000, 3),
        }
        return self._verdict(verdicts, findings, where, timings_ms)

    def findable(self) -> frozenset[str]:
        """Labels that the model scores or a rule in force names."""
        return frozenset(self.model.labels) | self.book.labels()

    def versions(self) -> dict[str, str | list[str]]:
        """Of the model, the policy and the rule packs."""
        return {
            "model": self.model.version,
            "policy": self.policy.name,
            "rules": list(self.book.versions()),
        }

    def judge_in(self, region: str) -> Judge:
        """What certificates of verdicts in a region are bound to."""
        return Judge(self.model.version, self.policy.name, region)

    def _verdict(
        self,
        labels: tuple[LabelVerdict, ...],
        findings: tuple[Finding, ...],
        region: str,
        timings_ms: Mapping[str, float],
    ) -> Verdict:
        suggestion = strongest(verdict.suggestion for verdict in labels)
        margin = max((margin_of(verdict) for verdict in labels), default=0.0)
        covering = self.certificates.passing(margin, self.judge_in(region))
        uncertified = suggestion == "pass" and covering is None
        return Verdict(
            suggestion=self.policy.uncertified_pass if uncertified else suggestion,
            region=region,
            labels=labels,
            findings=findings,
            timings_ms=timings_ms,
            margin=margin,
            certificate=covering.certificate_id if covering and suggestion == "pass" else None,
            uncertified=uncertified,
        )

    def _labels(
        self, scores: Mapping[str, float], findings: Sequence[Finding], region: str
    ) -> tuple[LabelVerdict, ...]:
        broken: dict[str, list[Evidence]] = {}
        for finding in findings:
            if finding.evidence.violates:
                broken.setdefault(finding.evidence.label, []).append(finding.evidence)
        findable = self.findable()
        return tuple(
            self._label(name, scores.get(name), broken.get(name, []), region)
            for name in self.labels.labels
            if name in findable
        )

    def _label(
        self, name: str, score: float | None, broken: Sequence[Evidence], region: str
    ) -> LabelVerdict:
        label = self.labels.labels[name]
        wanted = [evidence.action for evidence in broken]
        certificate: Certificate | None = None
        if score is not None:
            zone = self.policy.thresholds[name].zone(score)
            if zone == "block":
                certificate = self.certificates.blocking(name, score, self.judge_in(region))
                zone = "block" if certificate else self.policy.uncertified_block
            wanted.append(zone)
        suggestion = weaker(strongest(wanted), label.action_in(region))
        return LabelVerdict(
            label=name,
            score=1.0 if broken else score or 0.0,
            by_rule=bool(broken),
            thresholds=None if score is None else self.policy.thresholds[name],
            enforced=label.enforced,
            suggestion=suggestion if label.enforced else "pass",
            certificate=certificate.certificate_id if certificate else None,
        )


def margin_of(label: LabelVerdict) -> float:
    """A label's score as a share of its `pass_below`; 0 where nothing follows from it."""
    if not label.enforced or label.thresholds is None:
        return 0.0
    return label.score / max(label.thresholds.pass_below, 1e-9)


def strongest(actions: Iterable[Action]) -> Action:
    """The strongest of some actions; pass where there is none."""
    return max(actions, key=_STRENGTH.index, default="pass")


def weaker(one: Action, other: Action) -> Action:
    """The weaker of two actions."""
    return min(one, other, key=_STRENGTH.index)
