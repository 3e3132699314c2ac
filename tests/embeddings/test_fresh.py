"""Added, replaced and removed items beside a bundle's index, against a plain dictionary."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from embeddings.fresh import SPARE_RESULTS, FreshIndex
from embeddings.index import ExactIndex, ItemIndex, exact_search
from embeddings.index_training import build_index
from models.arrays import Vectors
from models.bundle import IndexFacts
from tests.contracts.item_index import ItemIndexContract


class TestFreshIndex(ItemIndexContract):
    @classmethod
    def make(cls, vectors: Vectors, queries: Vectors) -> tuple[ItemIndex, IndexFacts]:
        base, facts = build_index(vectors[:1800], queries, "flat")
        index = FreshIndex(base)
        index.add(vectors[1800:2000])
        index.add(vectors[2000:])
        return index, facts

    @pytest.fixture(scope="class", params=["built"])
    @classmethod
    def index(cls, built: tuple[ItemIndex, IndexFacts]) -> ItemIndex:
        return built[0]


@pytest.mark.parametrize("removed", [1, 7, SPARE_RESULTS, SPARE_RESULTS + 1])
def test_as_many_as_wanted_are_found_however_many_are_gone(removed: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(2 * SPARE_RESULTS, 4)).astype(np.float32)
    query = vectors[:1]
    index = FreshIndex(ExactIndex(vectors))
    best = exact_search(vectors, query, 2 * SPARE_RESULTS, None)[0][0]
    for row in best[:removed].tolist():
        index.remove(row)
    assert index.search(query, 9)[0][0].tolist() == best[removed : removed + 9].tolist()


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    index = FreshIndex(ExactIndex(np.ones((2, 3), np.float32)))
    with pytest.raises(ValueError, match="D = 3"):
        index.add(np.ones((1, 4), np.float32))
    with pytest.raises(ValueError, match="NaN"):
        index.add(np.full((1, 3), np.nan, np.float32))
    with pytest.raises(ValueError, match="row 1 is not one of those added"):
        index.replace(1, np.ones(3, np.float32))
    with pytest.raises(ValueError, match="row 2 is not among the 2 rows"):
        index.remove(2)
    assert len(index) == 2


D = 3
VECTOR = st.lists(st.integers(-3, 3), min_size=D, max_size=D)


@dataclass
class Reference:
    """Row -> vector of what can be found."""

    vectors: dict[int, list[int]] = field(default_factory=dict)

    def scores(self, query: list[int]) -> list[float]:
        """Inner products, best first."""
        products = (
            sum(a * b for a, b in zip(v, query, strict=True)) for v in self.vectors.values()
        )
        return sorted(map(float, products), reverse=True)


class FreshMachine(RuleBasedStateMachine):
    """Any order of adding, replacing and removing finds what the dictionary holds."""

    @initialize(base=st.lists(VECTOR, min_size=1, max_size=8))
    def begin(self, base: list[list[int]]) -> None:
        self.base = len(base)
        self.index = FreshIndex(ExactIndex(np.array(base, np.float32)))
        self.reference = Reference(dict(enumerate(base)))

    @rule(vectors=st.lists(VECTOR, min_size=1, max_size=400))
    def add(self, vectors: list[list[int]]) -> None:
        rows = self.index.add(np.array(vectors, np.float32))
        assert len(self.index) == rows[-1] + 1
        self.reference.vectors |= dict(zip(rows.tolist(), vectors, strict=True))

    @rule(place=st.integers(0, 10**6), vector=VECTOR)
    def replace(self, place: int, vector: list[int]) -> None:
        if len(self.index) > self.base:
            row = self.base + place % (len(self.index) - self.base)
            self.index.replace(row, np.array(vector, np.float32))
            self.reference.vectors[row] = vector

    @rule(place=st.integers(0, 10**6))
    def remove(self, place: int) -> None:
        row = place % len(self.index)
        self.index.remove(row)
        self.reference.vectors.pop(row, None)

    @rule(query=VECTOR, k=st.integers(1, 12))
    def search(self, query: list[int], k: int) -> None:
        rows, scores = self.index.search(np.array([query], np.float32), k)
        found = rows[0][rows[0] >= 0].tolist()
        assert scores[0][: len(found)].tolist() == self.reference.scores(query)[:k]
        assert set(found) <= self.reference.vectors.keys()
        assert len(set(found)) == len(found)

    @invariant()
    def nothing_gone_is_allowed_back(self) -> None:
        rows, _ = self.index.search(
            np.ones((1, D), np.float32), len(self.index), np.ones(len(self.index), bool)
        )
        assert set(rows[0][rows[0] >= 0].tolist()) == self.reference.vectors.keys()


TestFreshMachine = FreshMachine.TestCase
TestFreshMachine.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
