"""Schema of rule packs (``configs/policies/rules/*.yaml``)."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from configs.labels import Action, Labels
from configs.load import ConfigError, load, read_yaml
from configs.schema import Section

Channel = Literal["folded", "canonical", "leet", "digits", "pinyin"]
# How far from a hit an exemption may stand: on it, in its clause (to the next comma), its sentence.
Reach = Literal["overlap", "clause", "sentence"]


class Exemption(Section):
    """A lawful use: a hit is no violation where one of `patterns` stands within `reach` of it.

    Attributes:
        basis: the statute or notice that allows it.
    """

    basis: str
    reach: Reach = "clause"
    patterns: tuple[str, ...] = Field(min_length=1)


class RuleTests(Section):
    """Texts that the loader runs: what must be found, found but exempt, or not found."""

    hits: tuple[str, ...] = Field(min_length=1)
    exempt: tuple[str, ...] = ()
    clean: tuple[str, ...] = ()


class Rule(Section):
    """What to find, and what it means.

    Attributes:
        terms: literal words, read in `channels`; of ASCII words only whole ones count.
        patterns: RE2 expressions over the channel's text (lower case, ASCII punctuation).
        channels: where terms and patterns are looked for.
        pinyin: also find terms of three ideographs or more by sound.
        allow: RE2 expressions of innocent words that hold a term; a hit inside one is dropped.
        exemptions: names of the pack's exemptions that apply.
        regions: where the rule holds; empty means everywhere.
        shadow: recorded, without consequence.
    """

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    label: str
    statute: str
    reason_code: str | None = None
    severity: int = Field(ge=1, le=4)
    action: Action
    regions: tuple[str, ...] = ()
    shadow: bool = False
    terms: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = ("canonical",)
    pinyin: bool = False
    allow: tuple[str, ...] = ()
    exemptions: tuple[str, ...] = ()
    tests: RuleTests

    @model_validator(mode="after")
    def _finds_something(self) -> Self:
        if not self.terms and not self.patterns:
            raise ValueError(f"rule {self.id} has neither terms nor patterns")
        return self


class RulePack(Section):
    """Rules that are loaded, versioned and refused together.

    Attributes:
        macros: name -> expression; {name} in a pattern stands for it.
    """

    pack: str = Field(pattern=r"^[a-z0-9-]+$")
    version: int = Field(ge=1)
    macros: dict[str, str] = Field(default_factory=dict)
    exemptions: dict[str, Exemption] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        ids = [rule.id for rule in self.rules]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"rule ids {twice} stand twice")
        for rule in self.rules:
            unknown = [name for name in rule.exemptions if name not in self.exemptions]
            if unknown:
                raise ValueError(f"rule {rule.id} names unknown exemptions {unknown}")
        return self


def load_pack(path: Path, labels: Labels) -> RulePack:
    """Read one pack.

    Raises:
        ConfigError: it cannot be read, or a rule names a label that does not exist.
    """
    pack = load(path, RulePack, environ={})
    for rule in pack.rules:
        if rule.label not in labels.labels:
            raise ConfigError(f"{path}: rule {rule.id}: unknown label {rule.label!r}")
    return pack


def pack_names(folder: Path) -> frozenset[str]:
    """Names of the packs in a folder, their rules unread.

    Raises:
        ConfigError: a file is no YAML mapping.
    """
    named = (read_yaml(path).get("pack") for path in folder.glob("*.yaml"))
    return frozenset(name for name in named if isinstance(name, str))
