"""A verdict as plain values: what the native API answers and the records keep."""

from collections.abc import Sequence
from typing import Any

from serving.moderation.verdict import Finding, LabelVerdict, Moderator, Verdict


def decision(
    verdict: Verdict, moderator: Moderator, sources: Sequence[str] | None = None
) -> dict[str, Any]:
    """The verdict in our own shape.

    Args:
        verdict: to be told.
        moderator: that found it.
        sources: what the text parts are called; None is text:0, text:1, ...
    """
    findable = moderator.findable()
    return {
        "suggestion": verdict.suggestion,
        "region": verdict.region,
        "certificate": verdict.certificate,
        "uncertified": verdict.uncertified,
        "labels": [_label(one) for one in verdict.labels],
        "evidence": [_evidence(finding, sources) for finding in verdict.findings],
        "unsupported": [name for name in moderator.labels.labels if name not in findable],
        "versions": moderator.versions(),
        "timings_ms": dict(verdict.timings_ms),
    }


def _label(one: LabelVerdict) -> dict[str, Any]:
    return {
        "label": one.label,
        "score": one.score,
        "by_rule": one.by_rule,
        "pass_below": one.thresholds and one.thresholds.pass_below,
        "block_from": one.thresholds and one.thresholds.block_from,
        "enforced": one.enforced,
        "suggestion": one.suggestion,
        "certificate": one.certificate,
    }


def _evidence(finding: Finding, sources: Sequence[str] | None) -> dict[str, Any]:
    evidence = finding.evidence
    return {
        "rule": evidence.rule,
        "label": evidence.label,
        "statute": evidence.statute,
        "reason_code": evidence.reason_code,
        "severity": evidence.severity,
        "action": evidence.action,
        "source": f"text:{finding.part}" if sources is None else sources[finding.part],
        "span": evidence.span,
        "raw": evidence.raw,
        "canonical": evidence.canonical,
        "channel": evidence.channel,
        "exemption": evidence.exemption,
        "shadow": evidence.shadow,
    }
