"""The cascade: canonical text -> banks -> rules -> text model -> pictures -> OCR -> policy."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from configs.labels import Action, Labels
from configs.policy import Policies, Ruling, Thresholds
from models.canonical import Channels
from models.modalities import Modality
from serving.moderation.certificates import Certificate, CertificateBook, Judge
from serving.moderation.decoding import Picture
from serving.moderation.findings import Content, Duplicate, Finding, Found, likeliest
from serving.moderation.rulebook import RuleBook
from serving.moderation.rules import Evidence
from serving.moderation.sight import Sight
from serving.moderation.stages import (
    Banks,
    TextScores,
    broken_rules,
    codes,
    known_pictures,
    known_texts,
    read_into,
    scored,
    seen,
    text_in,
)
from serving.moderation.transcripts import heard

_STRENGTH: tuple[Action, ...] = ("pass", "review", "block")


@dataclass(frozen=True)
class LabelVerdict:
    """One label of one piece of content.

    Attributes:
        score: the model's probability, or 1 where a rule was broken; `by_rule` says which.
        by_modality: the models' probabilities, of the kinds of parts that there are.
        thresholds: of the policy; None where only rules find the label.
        enforced: False where it is scored and never acted on.
        suggestion: what this label alone would lead to.
        certificate: id of the one that covers its block by score, None where none does.
    """

    label: str
    score: float
    by_rule: bool
    by_modality: Mapping[Modality, float]
    thresholds: Thresholds | None
    enforced: bool
    suggestion: Action
    certificate: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What to do with a piece of content, and why.

    Attributes:
        labels: every label that can be found, in the order of the configuration.
        findings: of all parts in reading order, lawful uses and shadow rules among them.
        duplicates: entries of banks that a part is a copy of.
        timings_ms: by stage, of those that ran.
        stopped_after: the stage that ended the search, as what it found is certified; None where
            all was looked at.
        margin: the largest score of an enforced label as a share of its `pass_below`.
        certificate: id of the one that covers the pass, None where none does.
        uncertified: nothing was found, and no certificate covers the pass.
        policy: name of the ruling by which it was judged.
        content_value: how useful the most useful text is; None without a text. Nothing follows
            from it.
    """

    suggestion: Action
    region: str
    surface: str
    policy: str
    labels: tuple[LabelVerdict, ...]
    findings: tuple[Finding, ...]
    duplicates: tuple[Duplicate, ...]
    timings_ms: Mapping[str, float]
    stopped_after: str | None
    margin: float
    certificate: str | None
    uncertified: bool
    content_value: Mapping[str, float] | None = None


Stage = tuple[str, Callable[[], Found]]
Scores = Mapping[Modality, Mapping[str, float]]


class Fusion(Protocol):
    """Joins what modalities say; an ``embeddings.fusion_model.FusionModel`` in service."""

    def fused(self, scores: Scores) -> Mapping[str, float]:
        """One calibrated probability of each label that any modality scores."""


@dataclass(frozen=True)
class Moderator:
    """Judges content; rules, banks and certificates are replaced as a whole, all else stays.

    Attributes:
        sight: looks at pictures; None where only text is judged.
        banks: of known content; None where there are none.
        fusion: joins the modalities' scores of a label; None takes the likeliest.
    """

    labels: Labels
    policies: Policies
    book: RuleBook
    model: TextScores
    certificates: CertificateBook = field(default_factory=CertificateBook)
    sight: Sight | None = None
    banks: Banks | None = None
    fusion: Fusion | None = None

    def judge(
        self,
        texts: Sequence[str],
        region: str | None = None,
        pictures: Sequence[Picture] = (),
        record: Sequence[Finding] = (),
        surface: str | None = None,
    ) -> Verdict:
        """Judge texts and decoded pictures of one piece of content; see `judge_content`."""
        content = Content(tuple(texts), tuple(pictures), tuple(record))
        return self.judge_content(content, region, surface)

    def judge_content(
        self, content: Content, region: str | None = None, surface: str | None = None
    ) -> Verdict:
        """Judge the parts of one piece of content together.

        Args:
            content: all of it.
            region: two capitals; None is the policy's. surface: where it stands; likewise.

        Raises:
            TextError: a text holds a lone surrogate.
            ValueError: there are pictures, and nothing to look at them.
            KeyError: there is no such surface.
        """
        if content.pictures and self.sight is None:
            raise ValueError("pictures are judged with `sight` only")
        ruling = self.policies.of(region, surface)
        names = self.findable(ruling.without_rules) | {
            finding.evidence.label for finding in content.record
        }
        found = Found(findings=content.record)
        labels = self._labels(names, found, ruling)
        timings_ms: dict[str, float] = {}
        stopped_after: str | None = None
        for name, look in self._stages(content, ruling):
            started = time.perf_counter()
            found = found.joined(look())
            labels = self._labels(names, found, ruling)
            spent_ms = (time.perf_counter() - started) * 1000
            timings_ms[name] = round(timings_ms.get(name, 0.0) + spent_ms, 3)
            if any(one.certificate and one.suggestion == "block" for one in labels):
                stopped_after = name
                break
        return self._verdict(labels, found, ruling, timings_ms, stopped_after)

    def findable(self, without_rules: Collection[str] = ()) -> frozenset[str]:
        """Labels that a model scores, or a rule or bank entry in force names.

        Args:
            without_rules: labels and packs whose rules are not asked.
        """
        of_codes = (policy.qr_code.label for policy in self.policies.all())
        seen = (*self.sight.labels, *of_codes) if self.sight else ()
        known = self.banks.labels() if self.banks else frozenset()
        return frozenset((*self.model.labels, *seen)) | self.book.labels(without_rules) | known

    def versions(self, policy: str) -> dict[str, str | list[str]]:
        """Of the model, the policy of a verdict and the rule packs."""
        return {
            "model": self.model.version,
            "policy": policy,
            "rules": list(self.book.versions()),
        }

    def judge_in(self, region: str, surface: str | None = None) -> Judge:
        """What certificates of verdicts in a region on a surface are bound to."""
        return self._judge(self.policies.of(region, surface))

    def _judge(self, ruling: Ruling) -> Judge:
        return Judge(self.model.version, ruling.name, ruling.region)

    def _stages(self, content: Content, ruling: Ruling) -> Iterator[Stage]:
        """Stages in their order, each asked for when the one before is done."""
        texts, pictures = content.texts, content.pictures
        banks, sight, model = self.banks, self.sight, self.model
        rules = partial(self.book.find, region=ruling.region, without=ruling.without_rules)
        if texts:
            readings: list[Channels] = []
            yield "canonical", lambda: read_into(readings, texts)
            if banks is not None and banks.labels():
                yield "banks", lambda: known_texts(banks, readings)
            yield "rules", lambda: broken_rules(rules, readings)
            yield "text_model", lambda: scored(model, "text", texts)
        if content.transcripts:
            yield "transcript", lambda: heard(content.transcripts, rules, model)
        if pictures and sight is not None:
            if banks is not None and banks.labels():
                yield "banks", lambda: known_pictures(banks, sight, pictures)
            yield "picture_model", lambda: seen(sight, pictures)
            yield "qr", lambda: codes(sight, pictures, partial(self._of_code, ruling))
            yield "ocr", lambda: text_in(sight, pictures, rules, model)

    def _of_code(self, ruling: Ruling, payload: str) -> Evidence:
        rule = ruling.policy.qr_code
        return Evidence(
            rule=f"{ruling.policy.name}/qr-code",
            label=rule.label,
            statute=rule.statute,
            reason_code=None,
            severity=self.labels.labels[rule.label].severity,
            action=rule.action,
            span=(0, len(payload)),
            raw=payload,
            canonical=payload,
            channel="qr",
            exemption=None,
            shadow=False,
        )

    def _verdict(
        self,
        labels: tuple[LabelVerdict, ...],
        found: Found,
        ruling: Ruling,
        timings_ms: Mapping[str, float],
        stopped_after: str | None,
    ) -> Verdict:
        suggestion = strongest(verdict.suggestion for verdict in labels)
        margin = max((margin_of(verdict) for verdict in labels), default=0.0)
        covering = self.certificates.passing(margin, self._judge(ruling))
        uncertified = suggestion == "pass" and covering is None
        return Verdict(
            suggestion=ruling.policy.uncertified_pass if uncertified else suggestion,
            region=ruling.region,
            surface=ruling.surface,
            policy=ruling.name,
            labels=labels,
            findings=found.findings,
            duplicates=found.duplicates,
            timings_ms=timings_ms,
            stopped_after=stopped_after,
            margin=margin,
            certificate=covering.certificate_id if covering and suggestion == "pass" else None,
            uncertified=uncertified,
            content_value=found.content_value,
        )

    def _labels(
        self, names: frozenset[str], found: Found, ruling: Ruling
    ) -> tuple[LabelVerdict, ...]:
        join = self.fusion.fused if self.fusion else likeliest_of
        scores = join(found.scores) if found.scores else {}
        return tuple(
            self._label(name, scores.get(name), found, ruling)
            for name in self.labels.labels
            if name in names
        )

    def _label(self, name: str, score: float | None, found: Found, ruling: Ruling) -> LabelVerdict:
        label = self.labels.labels[name]
        wanted = found.wanted(name)
        broken = bool(wanted)
        certificate: Certificate | None = None
        if score is not None:
            zone = ruling.thresholds[name].zone(score)
            if zone == "block":
                certificate = self.certificates.blocking(name, score, self._judge(ruling))
                zone = "block" if certificate else ruling.policy.uncertified_block
            wanted.append(zone)
        suggestion = weaker(strongest(wanted), label.action_in(ruling.region))
        return LabelVerdict(
            label=name,
            score=1.0 if broken else score or 0.0,
            by_rule=broken,
            by_modality={kind: of[name] for kind, of in found.scores.items() if name in of},
            thresholds=None if score is None else ruling.thresholds[name],
            enforced=label.enforced,
            suggestion=suggestion if label.enforced else "pass",
            certificate=certificate.certificate_id if certificate else None,
        )


def likeliest_of(scores: Scores) -> dict[str, float]:
    """Of each label the likeliest modality's score."""
    return likeliest(scores.values())


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
