"""The rule packs in force, replaced pack by pack without a restart."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from configs.labels import Labels
from configs.load import ConfigError
from configs.rules import load_pack
from models.canonical import Channels
from serving.moderation.rules import (
    CompiledPack,
    Evidence,
    RuleError,
    compile_pack,
    evaluate,
    telling,
)


@dataclass(frozen=True)
class Reload:
    """What a reload did.

    Attributes:
        loaded: "<pack>@<version>" now in force.
        refused: file name -> why its pack was not taken; the old one stays in force.
    """

    loaded: tuple[str, ...]
    refused: dict[str, str]


class RuleBook:
    """All packs of a folder. Readers see one whole set of packs; a reload replaces the set."""

    def __init__(self, folder: Path, labels: Labels) -> None:
        """Load every pack; raises RuleError where one is refused, as there is no old one."""
        self._folder = folder
        self._labels = labels
        self._packs: dict[str, CompiledPack] = {}
        first = self.reload()
        if first.refused:
            raise RuleError("; ".join(first.refused.values()))

    def reload(self) -> Reload:
        """Read the folder again: packs that hold replace theirs, packs whose file is gone leave."""
        packs: dict[str, CompiledPack] = {}
        refused: dict[str, str] = {}
        for path in self.files():
            try:
                packs[path.name] = compile_pack(load_pack(path, self._labels))
            except (ConfigError, RuleError) as error:
                refused[path.name] = str(error)
                if path.name in self._packs:
                    packs[path.name] = self._packs[path.name]
        self._packs = packs
        return Reload(self.versions(), refused)

    def files(self) -> list[Path]:
        """Of the packs, in order."""
        return sorted(self._folder.glob("*.yaml"))

    def find(
        self, reading: Channels, region: str | None = None, without: Collection[str] = ()
    ) -> list[Evidence]:
        """Findings of all packs, as `rules.evaluate` gives them; the graver speaks for the rest.

        Args:
            reading: the text in all channels.
            region: rules of other regions are left out; None evaluates all rules.
            without: labels and packs whose rules are left out too.
        """
        packs = [pack for pack in self._packs.values() if pack.name not in without]
        found = [found for pack in packs for found in evaluate(pack, reading, region, without)]
        return telling(found)

    def labels(self, without: Collection[str] = ()) -> frozenset[str]:
        """Labels of all rules in force, but for those of some labels and packs."""
        packs = [pack for pack in self._packs.values() if pack.name not in without]
        labels = frozenset(compiled.rule.label for pack in packs for compiled in pack.rules)
        return labels.difference(without)

    def versions(self) -> tuple[str, ...]:
        """Each pack in force as "<pack>@<version>"."""
        return tuple(f"{pack.name}@{pack.version}" for pack in self._packs.values())
