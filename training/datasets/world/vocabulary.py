"""The words of the simulated catalogue, read once from ``vocabulary.yaml``."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from configs.load import read_yaml

LANGUAGES = ("zh", "en")
MARKETS = {"zh": ("CN", "SG"), "en": ("US", "GB", "SG", "AU")}  # regions a language is shown in


@dataclass(frozen=True)
class Leaf:
    """One category at the bottom of the tree.

    Attributes:
        path: "branch/leaf".
        branch: row of the branch.
        branch_zh: the branch's Chinese name.
        motifs: by language, words for the same six things.
        modifiers: by language, words that describe them.
        price: usual span in US dollars, or None where nothing is sold.
        goods: how many motifs, the first ones, can be sold.
        body: whether false claims here would be about health.
        adult: whether its items are for adults only.
    """

    path: str
    branch: int
    branch_zh: str
    motifs: dict[str, list[str]]
    modifiers: dict[str, list[str]]
    price: tuple[float, float] | None
    goods: int
    body: bool
    adult: bool

    @property
    def typical_price(self) -> float:
        """Geometric middle of the price span, US dollars."""
        low, high = self.price or (1.0, 1.0)
        return float((low * high) ** 0.5)


@cache
def leaves() -> tuple[Leaf, ...]:
    """Every leaf, in the order of the file."""
    branches = read_yaml(Path(__file__).with_name("vocabulary.yaml"))
    return tuple(
        Leaf(
            path=f"{name}/{leaf_name}",
            branch=row,
            branch_zh=branch["zh"],
            motifs={language: leaf[language] for language in LANGUAGES},
            modifiers=branch["modifiers"],
            price=tuple(leaf["price"]) if "price" in leaf else None,
            goods=leaf.get("goods", len(leaf["en"])),
            body=branch.get("body", False),
            adult=leaf.get("audience") == "adult",
        )
        for row, (name, branch) in enumerate(branches.items())
        for leaf_name, leaf in branch["leaves"].items()
    )
