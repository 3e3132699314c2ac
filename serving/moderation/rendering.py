"""A verdict as plain values: what the native API answers and the records keep."""

from collections.abc import Mapping, Sequence
from typing import Any

from serving.moderation.findings import Duplicate, Finding
from serving.moderation.verdict import LabelVerdict, Moderator, Verdict


def decision(verdict: Verdict, moderator: Moderator, sources: Sequence[str] = ()) -> dict[str, Any]:
    """The verdict in our own shape.

    Args:
        verdict: to be told.
        moderator: that found it.
        sources: what text:0, text:1, ... are called; none leave them so.
    """
    looked_for = {one.label for one in verdict.labels}
    names = {f"text:{n}": source for n, source in enumerate(sources)}
    return {
        "suggestion": verdict.suggestion,
        "region": verdict.region,
        "surface": verdict.surface,
        "certificate": verdict.certificate,
        "uncertified": verdict.uncertified,
        "labels": [_label(one) for one in verdict.labels],
        "evidence": [_evidence(finding, names) for finding in verdict.findings],
        "duplicates": [_duplicate(one, names) for one in verdict.duplicates],
        "content_value": verdict.content_value and dict(verdict.content_value),
        "unsupported": [name for name in moderator.labels.labels if name not in looked_for],
        "versions": moderator.versions(verdict.policy),
        "timings_ms": dict(verdict.timings_ms),
        "stopped_after": verdict.stopped_after,
    }


def _label(one: LabelVerdict) -> dict[str, Any]:
    return {
        "label": one.label,
        "score": one.score,
        "by_rule": one.by_rule,
        "by_modality": dict(one.by_modality),
        "pass_below": one.thresholds and one.thresholds.pass_below,
        "block_from": one.thresholds and one.thresholds.block_from,
        "enforced": one.enforced,
        "suggestion": one.suggestion,
        "certificate": one.certificate,
    }


def _evidence(finding: Finding, names: Mapping[str, str]) -> dict[str, Any]:
    evidence = finding.evidence
    return {
        "rule": evidence.rule,
        "label": evidence.label,
        "statute": evidence.statute,
        "reason_code": evidence.reason_code,
        "severity": evidence.severity,
        "action": evidence.action,
        "source": names.get(finding.source, finding.source),
        "span": evidence.span,
        "box": finding.box,
        "time_s": finding.time_s,
        "end_s": finding.end_s,
        "raw": evidence.raw,
        "canonical": evidence.canonical,
        "channel": evidence.channel,
        "exemption": evidence.exemption,
        "shadow": evidence.shadow,
    }


def _duplicate(one: Duplicate, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "source": names.get(one.source, one.source),
        "bank": one.bank,
        "entry": one.entry,
        "label": one.label,
        "action": one.action,
        "way": one.way,
        "distance": one.distance,
        "inliers": one.inliers,
    }
