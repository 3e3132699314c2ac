"""Schema of ``configs/policies/*.yaml``: what follows from a score, by region and surface."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from configs.labels import Action, Labels
from configs.load import ConfigError, describe, load, merged, read_yaml
from configs.regions import known_regions
from configs.rules import pack_names
from configs.schema import Section

DEFAULT = "default.yaml"
RULES = "rules"  # folder of the rule packs, beside the policies


class Thresholds(Section):
    """Of one label: below `pass_below` it passes, from `block_from` it is blocked."""

    pass_below: float = Field(ge=0, le=1)
    block_from: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.pass_below > self.block_from:
            raise ValueError(f"pass_below {self.pass_below} lies above block_from")
        return self

    def zone(self, score: float) -> Action:
        """What a score would lead to if it were certified."""
        if score < self.pass_below:
            return "pass"
        return "block" if score >= self.block_from else "review"


Status = Literal["visible", "limited", "pending", "hidden"]


class Statuses(Section):
    """What the viewers of an item get after its check, by what the check suggests.

    Attributes:
        uncertified: nothing was found, but no certificate covers the pass.
    """

    passed: Status
    blocked: Status
    review: Status
    uncertified: Status


class AuditShare(Section):
    """Shares of decisions that people audit; a block is rare, so it needs a larger one."""

    passes: float = Field(ge=0, le=1)
    blocks: float = Field(ge=0, le=1)


class CodeRule(Section):
    """What a QR code in a picture means."""

    label: str
    action: Action
    statute: str


class Surface(Section):
    """What holds otherwise where content of one kind stands.

    Attributes:
        thresholds: by label, instead of the policy's.
        without_rules: labels, groups of labels and rule packs whose rules do not hold there.
    """

    thresholds: dict[str, Thresholds] = Field(default_factory=dict)
    without_rules: tuple[str, ...] = ()


class Policy(Section):
    """Thresholds, and what becomes of decisions that no certificate covers.

    Attributes:
        regions: where it holds; none in the default, which holds everywhere else.
        region: of requests that name none. surface: likewise.
        uncertified_pass: what becomes of an item in which nothing was found.
        uncertified_block: what becomes of a block by score alone.
        qr_code: what a QR code in a picture means.
        audit_share: of the machine's decisions, drawn at random for people to answer.
        statuses: of items of the catalogue.
        thresholds: by label, one for each that the model scores.
        surfaces: all that there are, by name.
    """

    policy: str = Field(pattern=r"^[a-z0-9-]{1,24}$")
    version: int = Field(ge=1)
    regions: tuple[str, ...] = ()
    region: str = Field(pattern=r"^[A-Z]{2}$")
    surface: str
    uncertified_pass: Action
    uncertified_block: Action
    qr_code: CodeRule
    audit_share: AuditShare
    statuses: Statuses
    thresholds: dict[str, Thresholds]
    surfaces: dict[str, Surface]

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{self.policy}@{self.version}"

    def named_labels(self) -> Iterator[tuple[str, str]]:
        """Every key that names a label, and the label."""
        yield "qr_code.label", self.qr_code.label
        for label in self.thresholds:
            yield f"thresholds.{label}", label
        for name, surface in self.surfaces.items():
            for label in surface.thresholds:
                yield f"surfaces.{name}.thresholds.{label}", label


@dataclass(frozen=True)
class Ruling:
    """A policy as it holds in one region on one surface.

    Attributes:
        name: as verdicts and certificates give it: policy, version, and the surface unless it is
            the usual one.
        thresholds: by label.
        without_rules: labels and rule packs whose rules do not hold there.
    """

    policy: Policy
    region: str
    surface: str
    name: str
    thresholds: Mapping[str, Thresholds]
    without_rules: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Policies:
    """The default policy, and those of regions that have one of their own."""

    default: Policy
    regional: Mapping[str, Policy] = field(default_factory=dict)

    @property
    def surfaces(self) -> tuple[str, ...]:
        """Names of all surfaces."""
        return tuple(self.default.surfaces)

    def all(self) -> tuple[Policy, ...]:
        """Every policy, the default first; one of several regions stands there once for each."""
        return (self.default, *self.regional.values())

    def of(self, region: str | None = None, surface: str | None = None) -> Ruling:
        """What holds in a region on a surface; the default's own where none is named.

        Raises:
            KeyError: there is no such surface.
        """
        region, surface = region or self.default.region, surface or self.default.surface
        policy = self.regional.get(region, self.default)
        usual = surface == self.default.surface
        return Ruling(
            policy,
            region,
            surface,
            policy.name if usual else f"{policy.name}/{surface}",
            policy.thresholds | policy.surfaces[surface].thresholds,
            frozenset(policy.surfaces[surface].without_rules),
        )


def load_policies(folder: Path, labels: Labels, scored: tuple[str, ...]) -> Policies:
    """Read ``default.yaml`` and the policies of regions beside it, which say what differs from it.

    Args:
        folder: of the YAML files; the rule packs stand in ``rules`` below it.
        labels: all that there are.
        scored: those that the model scores.

    Raises:
        ConfigError: a file cannot be read, names an unknown label, rule pack, region or surface,
            lacks a threshold of a label that is scored, or shares a region with another; file and
            key.
    """
    base = folder / DEFAULT
    default = load(base, Policy, environ={})
    packs = pack_names(folder / RULES)
    refused = [*_faults(default, default, labels, scored), *_unknown_rules(default, labels, packs)]
    if default.regions:
        refused.append("regions: the default holds everywhere that no other file names")
    _refuse(base, refused)
    regional: dict[str, Policy] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path != base:
            policy = _laid_upon(read_yaml(base), path)
            refused = [*_faults(policy, default, labels, scored)]
            refused += _unknown_rules(policy, labels, packs)
            taken = [region for region in policy.regions if region in regional]
            refused += [f"regions: {region} has a policy already" for region in taken]
            if not policy.regions:
                refused.append("regions: name at least one")
            _refuse(path, refused)
            regional |= dict.fromkeys(policy.regions, _spelled_out(policy, labels))
    return Policies(_spelled_out(default, labels), regional)


def _spelled_out(policy: Policy, labels: Labels) -> Policy:
    """With the labels of each group in `without_rules` instead of its name."""
    surfaces = {
        name: surface.model_copy(
            update={
                "without_rules": tuple(
                    member
                    for rules in surface.without_rules
                    for member in labels.groups.get(rules, (rules,))
                )
            }
        )
        for name, surface in policy.surfaces.items()
    }
    return policy.model_copy(update={"surfaces": surfaces})


def _laid_upon(base: dict[str, Any], path: Path) -> Policy:
    over = read_yaml(path)
    if unnamed := [key for key in ("policy", "version") if key not in over]:
        raise ConfigError(
            f"{path}: {unnamed[0]}: give one of its own; certificates are bound to it"
        )
    try:
        return Policy.model_validate(merged(base, over))
    except ValidationError as error:
        raise ConfigError(describe(path, error, {})) from error


def _faults(
    policy: Policy, default: Policy, labels: Labels, scored: tuple[str, ...]
) -> Iterator[str]:
    """Everything that a policy names and that there is not, by its key."""
    for key, label in policy.named_labels():
        if label not in labels.labels:
            yield f"{key}: no such label {label!r}; all stand in configs/labels.yaml"
    yield from _unknown_places(policy, default)
    for label in sorted(set(scored) - policy.thresholds.keys()):
        yield f"thresholds.{label}: is missing, and the model scores it"


def _unknown_rules(policy: Policy, labels: Labels, packs: Collection[str]) -> Iterator[str]:
    known = {*labels.labels, *labels.groups, *packs}
    for name, surface in policy.surfaces.items():
        for rules in surface.without_rules:
            if rules not in known:
                yield (
                    f"surfaces.{name}.without_rules: no such label, group or rule pack {rules!r};"
                    f" packs: {sorted(packs)}, labels and groups stand in configs/labels.yaml"
                )


def _unknown_places(policy: Policy, default: Policy) -> Iterator[str]:
    known = list(default.surfaces)
    for region in policy.regions:
        if region not in known_regions():
            yield f"regions: no such region {region!r}; give codes of ISO 3166 such as CN"
    for name in policy.surfaces.keys() - set(known):
        yield f"surfaces.{name}: no such surface; known: {known}"
    if policy.surface != default.surface or policy.surface not in known:
        yield f"surface: {policy.surface!r} must be the default's, one of {known}"
    if policy.region != default.region or policy.region not in known_regions():
        yield f"region: {policy.region!r} must be the default's, a code of ISO 3166"


def _refuse(path: Path, faults: list[str]) -> None:
    if faults:
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults))
