"""Rule packs at work: compiled once, tested by their own cases, evaluated on every text."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import re2

from configs.labels import Action
from configs.rules import Exemption, Rule, RulePack
from models.canonical import Channels, MappedText, TextError, read
from serving.moderation.matcher import Hit, Matcher, Term

_CLAUSE_ENDS = ",;.!?。…\n"
_SENTENCE_ENDS = "!?。;\n"
_MOST_VIOLATIONS = 50  # of one rule in one text
_FARTHEST = 100  # characters from a hit to the end of its sentence; keeps long texts linear
_ALLOW_WINDOW = 16  # characters each side of a hit in which an innocent word may stand


class RuleError(ValueError):
    """A pack that cannot be used; the message names pack, rule and test case."""


@dataclass(frozen=True)
class Evidence:
    """One finding.

    Attributes:
        rule: "<pack>@<version>/<rule>".
        span: [start, end) in the original text.
        raw: what stands there; `canonical` is what was matched, in `channel`.
        exemption: name of the lawful use that applies, or None.
        shadow: recorded only.
    """

    rule: str
    label: str
    statute: str
    reason_code: str | None
    severity: int
    action: Action
    span: tuple[int, int]
    raw: str
    canonical: str
    channel: str
    exemption: str | None
    shadow: bool

    @property
    def violates(self) -> bool:
        """Whether the finding counts."""
        return self.exemption is None and not self.shadow


@dataclass(frozen=True)
class CompiledRule:
    """A rule with its expressions compiled; `any_pattern` tells at once that none matches."""

    rule: Rule
    any_pattern: Any
    patterns: tuple[Any, ...]
    allow: tuple[Any, ...]
    exemptions: tuple[tuple[str, Exemption, tuple[Any, ...]], ...]


@dataclass(frozen=True)
class CompiledPack:
    """A pack ready to be evaluated; immutable, so that readers never wait for a reload."""

    name: str
    version: int
    rules: tuple[CompiledRule, ...]
    matcher: Matcher


def compile_pack(pack: RulePack) -> CompiledPack:
    """Compile a pack and run its tests.

    Raises:
        RuleError: an expression is not RE2, or a test case of the pack comes out otherwise.
    """
    rules = tuple(_compile_rule(pack, rule) for rule in pack.rules)
    terms = [
        Term(text, owner, _channels(rule))
        for owner, rule in enumerate(pack.rules)
        for text in rule.terms
    ]
    try:
        compiled = CompiledPack(pack.pack, pack.version, rules, Matcher(terms))
    except (ValueError, TextError) as error:
        raise RuleError(f"pack {pack.pack}: {error}") from error
    faults = list(failing_tests(compiled))
    if faults:
        raise RuleError(f"pack {pack.pack}@{pack.version} is refused: " + "; ".join(faults))
    return compiled


def evaluate(
    pack: CompiledPack,
    reading: Channels,
    region: str | None = None,
    without: Collection[str] = (),
) -> list[Evidence]:
    """Findings of a pack in reading order; exempt and shadow ones are in it and say so.

    Args:
        pack: compiled rules.
        reading: the text in all channels.
        region: rules of other regions are left out; None evaluates all rules.
        without: labels whose rules are left out too.
    """
    hits = [*pack.matcher.find(reading), *_pattern_hits(pack, reading)]
    channels = dict(reading.named())
    found: list[Evidence] = []
    for owner, group in groupby(sorted(hits, key=lambda hit: hit.owner), lambda hit: hit.owner):
        compiled = pack.rules[owner]
        if _holds(compiled.rule, region, without):
            judged = _judged(pack, compiled, reading, channels, group)
            found += _first_violations(judged)
    return _widest(found)


def _holds(rule: Rule, region: str | None, without: Collection[str]) -> bool:
    there = region is None or not rule.regions or region in rule.regions
    return there and rule.label not in without


def _judged(
    pack: CompiledPack,
    compiled: CompiledRule,
    reading: Channels,
    channels: dict[str, MappedText],
    hits: Iterable[Hit],
) -> Iterator[Evidence]:
    for hit in hits:
        channel = channels[hit.channel]
        place = _in_canonical(reading, channel, hit)
        if not _innocent(compiled, reading.canonical.text, place):
            exemption = _exemption(compiled, reading.canonical.text, place)
            yield _evidence(pack, compiled, channel, hit, exemption)


def _first_violations(judged: Iterator[Evidence]) -> Iterator[Evidence]:
    """Up to the last violation that anybody would read; what is exempt never ends the search."""
    violations = 0
    for evidence in judged:
        yield evidence
        violations += evidence.exemption is None
        if violations == _MOST_VIOLATIONS:
            return


def failing_tests(pack: CompiledPack) -> Iterator[str]:
    """One line for each test case of the pack that comes out otherwise."""
    live = replace(pack, rules=tuple(map(_without_shadow, pack.rules)))
    for rule in (compiled.rule for compiled in live.rules):
        for expected, texts in (
            ("hit", rule.tests.hits),
            ("exempt", rule.tests.exempt),
            ("clean", rule.tests.clean),
        ):
            for text in texts:
                outcome = _outcome(live, rule, text)
                if outcome != expected:
                    yield f"rule {rule.id}: {text!r} came out {outcome}, expected {expected}"


def _outcome(pack: CompiledPack, rule: Rule, text: str) -> str:
    name = f"{pack.name}@{pack.version}/{rule.id}"
    found = [evidence for evidence in evaluate(pack, read(text)) if evidence.rule == name]
    if not found:
        return "clean"
    return "hit" if any(evidence.violates for evidence in found) else "exempt"


def _compile_rule(pack: RulePack, rule: Rule) -> CompiledRule:
    def expressions(patterns: Sequence[str]) -> tuple[Any, ...]:
        return tuple(_expression(pack, rule.id, pattern) for pattern in patterns)

    return CompiledRule(
        rule,
        _expression(pack, rule.id, "|".join(f"(?:{pattern})" for pattern in rule.patterns)),
        expressions(rule.patterns),
        expressions(rule.allow),
        tuple(
            (name, pack.exemptions[name], expressions(pack.exemptions[name].patterns))
            for name in rule.exemptions
        ),
    )


def _expression(pack: RulePack, rule_id: str, pattern: str) -> Any:
    text = pattern
    for name, expression in pack.macros.items():
        text = text.replace("{" + name + "}", f"(?:{expression})")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise RuleError(f"pack {pack.pack}: rule {rule_id}: {pattern!r}: {error}") from error


def _without_shadow(compiled: CompiledRule) -> CompiledRule:
    return replace(compiled, rule=compiled.rule.model_copy(update={"shadow": False}))


def _channels(rule: Rule) -> tuple[str, ...]:
    return (*rule.channels, "pinyin") if rule.pinyin else rule.channels


def _pattern_hits(pack: CompiledPack, reading: Channels) -> Iterator[Hit]:
    channels = dict(reading.named())
    for owner, compiled in enumerate(pack.rules):
        for name in compiled.rule.channels if compiled.patterns else ():
            text = channels[name].text if name in channels else ""
            for pattern in compiled.patterns if compiled.any_pattern.search(text) else ():
                for match in pattern.finditer(text):
                    if match.end() > match.start():
                        yield Hit(owner, name, match.start(), match.end())


def _in_canonical(reading: Channels, channel: MappedText, hit: Hit) -> tuple[int, int]:
    """Where a hit of any channel stands in the canonical text, in which context is read."""
    start, end = channel.span(hit.start, hit.end)
    canonical = reading.canonical
    first = bisect_right(canonical.ends, start)
    return first, max(first, bisect_left(canonical.starts, end))


def _innocent(compiled: CompiledRule, text: str, place: tuple[int, int]) -> bool:
    """Whether the hit lies wholly inside a word on the rule's allow-list."""
    first = max(0, place[0] - _ALLOW_WINDOW)
    around = text[first : place[1] + _ALLOW_WINDOW]
    start, end = place[0] - first, place[1] - first
    return any(
        match.start() <= start and end <= match.end()
        for pattern in compiled.allow
        for match in pattern.finditer(around)
    )


def _evidence(
    pack: CompiledPack,
    compiled: CompiledRule,
    channel: MappedText,
    hit: Hit,
    exemption: str | None,
) -> Evidence:
    rule = compiled.rule
    start, end = channel.span(hit.start, hit.end)
    return Evidence(
        rule=f"{pack.name}@{pack.version}/{rule.id}",
        label=rule.label,
        statute=rule.statute,
        reason_code=rule.reason_code,
        severity=rule.severity,
        action=rule.action,
        span=(start, end),
        raw=channel.original[start:end],
        canonical=channel.text[hit.start : hit.end],
        channel=hit.channel,
        exemption=exemption,
        shadow=rule.shadow,
    )


def _exemption(compiled: CompiledRule, text: str, place: tuple[int, int]) -> str | None:
    for name, exemption, patterns in compiled.exemptions:
        first, last = _reach(exemption, text, place)
        for pattern in patterns:
            for match in pattern.finditer(text[first:last]):
                begin, end = first + match.start(), first + match.end()
                if exemption.reach != "overlap" or (begin < place[1] and place[0] < end):
                    return name
    return None


def _reach(exemption: Exemption, text: str, place: tuple[int, int]) -> tuple[int, int]:
    start, end = place
    marks = _CLAUSE_ENDS if exemption.reach == "clause" else _SENTENCE_ENDS
    near, far = max(0, start - _FARTHEST), end + _FARTHEST
    first = max(text.rfind(mark, near, start) + 1 for mark in marks)
    afters = [found for mark in marks if (found := text.find(mark, end, far)) >= 0]
    return max(near, first), min(afters, default=min(far, len(text)))


def _widest(found: list[Evidence]) -> list[Evidence]:
    """Without findings that lie inside a wider one of the same rule and standing."""
    kept: list[Evidence] = []
    reached: dict[tuple[str, str | None], int] = {}
    for evidence in sorted(found, key=lambda e: (e.span[0], -e.span[1])):
        key = (evidence.rule, evidence.exemption)
        if evidence.span[1] > reached.get(key, -1):
            reached[key] = evidence.span[1]
            kept.append(evidence)
    return kept


def telling(found: list[Evidence]) -> list[Evidence]:
    """In reading order, without findings that lie inside a graver violation of the same label."""
    kept: list[Evidence] = []
    reached: dict[str, dict[int, int]] = {}
    for evidence in sorted(found, key=lambda e: (e.span[0], -e.span[1], -e.severity)):
        ends, end = reached.setdefault(evidence.label, {}), evidence.span[1]
        if any(end <= ends[grade] for grade in ends if grade > evidence.severity):
            continue
        kept.append(evidence)
        if evidence.violates:
            ends[evidence.severity] = max(end, ends.get(evidence.severity, end))
    return kept
