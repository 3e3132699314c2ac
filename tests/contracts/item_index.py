"""What every `ItemIndex` promises; a subclass says how to make one."""

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings.index import ItemIndex, StoredIndex, exact_search, load_index, recall
from models.arrays import Vectors
from models.bundle import IndexFacts

N, D = 3000, 17  # an odd D: half-byte codes hold pairs of coordinates
RELAXED = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)


def clustered_vectors(seed: int = 0) -> Vectors:
    """[N, D] in loose groups, norms of many sizes, the last coordinate a skewed popularity."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, 1, (40, D))
    vectors = centres[random.integers(40, size=N)] + random.normal(0, 0.4, (N, D))
    vectors *= random.lognormal(0, 0.4, (N, 1))
    vectors[:, -1] = np.log1p(random.pareto(1.5, N))
    return vectors.astype(np.float32)


def taste_queries(count: int, seed: int) -> Vectors:
    """[count, D] that all weigh the popularity alike and strongly."""
    random = np.random.default_rng(seed)
    tastes: Vectors = clustered_vectors()[random.integers(N, size=(count, 3))].mean(axis=1)
    tastes[:, -1] = 2.0
    return tastes


class ItemIndexContract:
    """Inherit, and say which index and how much recall among 50 it owes."""

    recall_at_50 = 1.0

    @classmethod
    @abstractmethod
    def make(cls, vectors: Vectors, queries: Vectors) -> tuple[ItemIndex, IndexFacts]:
        """Index these vectors; the queries are a sample to tune on."""

    @pytest.fixture(scope="class")
    @classmethod
    def vectors(cls) -> Vectors:
        return clustered_vectors()

    @pytest.fixture(scope="class")
    @classmethod
    def queries(cls) -> Vectors:
        return taste_queries(32, seed=2)

    @pytest.fixture(scope="class")
    @classmethod
    def built(cls, vectors: Vectors) -> tuple[ItemIndex, IndexFacts]:
        return cls.make(vectors, taste_queries(400, seed=1))

    @pytest.fixture(scope="class", params=["built", "loaded"])
    @classmethod
    def index(
        cls,
        request: pytest.FixtureRequest,
        built: tuple[ItemIndex, IndexFacts],
        vectors: Vectors,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> ItemIndex:
        if request.param == "built":
            return built[0]
        path = tmp_path_factory.mktemp("index") / "index.faiss"
        cast("StoredIndex", built[0]).save(path)
        return load_index(path, built[1], vectors)

    def test_size(self, index: ItemIndex) -> None:
        assert len(index) == N
        assert index.dimensions == D

    def test_shapes_and_types(self, index: ItemIndex, queries: Vectors) -> None:
        rows, scores = index.search(queries, 7)
        assert rows.shape == scores.shape == (len(queries), 7)
        assert (str(rows.dtype), str(scores.dtype)) == ("int64", "float32")

    def test_best_first_and_distinct(self, index: ItemIndex, queries: Vectors) -> None:
        rows, scores = index.search(queries, 100)
        assert (np.diff(scores, axis=1) <= 0).all()
        assert all(len(set(found)) == 100 for found in rows.tolist())

    def test_scores_are_inner_products(
        self, index: ItemIndex, vectors: Vectors, queries: Vectors
    ) -> None:
        rows, scores = index.search(queries, 100)
        expected = np.einsum("bkd,bd->bk", vectors[rows], queries)
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)

    def test_recall(self, index: ItemIndex, vectors: Vectors, queries: Vectors) -> None:
        expected = exact_search(vectors, queries, 50, None)[0]
        assert recall(index.search(queries, 50)[0], expected) >= self.recall_at_50

    def test_one_query_is_answered_as_in_a_batch(self, index: ItemIndex, queries: Vectors) -> None:
        together = index.search(queries, 10)[0]
        alone = np.concatenate([index.search(query[None], 10)[0] for query in queries])
        assert recall(alone, together) >= 0.99

    def test_no_query_gives_no_result(self, index: ItemIndex) -> None:
        rows, scores = index.search(np.empty((0, D), np.float32), 3)
        assert rows.shape == scores.shape == (0, 3)

    @RELAXED
    @given(
        share=st.one_of(st.floats(0, 1), st.floats(0, 0.03)),
        k=st.integers(1, 60),
        seed=st.integers(0, 99),
    )
    def test_only_allowed_and_as_many_as_there_are(
        self, index: ItemIndex, vectors: Vectors, queries: Vectors, share: float, k: int, seed: int
    ) -> None:
        allowed = np.random.default_rng(seed).random(N) < share
        rows, scores = index.search(queries[:4], k, allowed)
        found = min(k, int(allowed.sum()))
        assert allowed[rows[:, :found]].all()
        assert np.isfinite(scores[:, :found]).all()
        assert (rows[:, found:] == -1).all()
        assert np.isneginf(scores[:, found:]).all()

    @pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
    def test_recall_among_allowed(
        self, index: ItemIndex, vectors: Vectors, queries: Vectors, share: float
    ) -> None:
        allowed = np.random.default_rng(3).random(N) < share
        expected = exact_search(vectors, queries, 50, allowed)[0]
        assert recall(index.search(queries, 50, allowed)[0], expected) >= self.recall_at_50

    def test_a_mask_is_not_remembered(self, index: ItemIndex, queries: Vectors) -> None:
        allowed = np.ones(N, bool)
        first = index.search(queries[:1], 5, allowed)[0][0]
        allowed[first] = False
        assert not set(index.search(queries[:1], 5, allowed)[0][0]) & set(first)

    def test_more_than_there_are(self, index: ItemIndex, queries: Vectors) -> None:
        rows, scores = index.search(queries[:2], N + 5)
        assert all(sorted(found) == list(range(N)) for found in rows[:, :N].tolist())
        assert (rows[:, N:] == -1).all()
        assert np.isneginf(scores[:, N:]).all()

    def test_zero_query_scores_all_alike(self, index: ItemIndex) -> None:
        rows, scores = index.search(np.zeros((1, D), np.float32), 20)
        assert len(set(rows[0].tolist())) == 20
        np.testing.assert_allclose(scores, 0, atol=1e-6)

    def test_threads_get_the_same_answers(self, index: ItemIndex, queries: Vectors) -> None:
        expected = index.search(queries, 20)[0]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: index.search(queries, 20)[0], range(12)))
        assert all((rows == expected).all() for rows in found)

    def test_wrong_dimensions_are_refused_naming_both(self, index: ItemIndex) -> None:
        with pytest.raises(ValueError, match=rf"\(1, {D + 1}\).*D = {D}"):
            index.search(np.zeros((1, D + 1), np.float32), 1)
        with pytest.raises(ValueError, match=rf"\({D},\).*D = {D}"):
            index.search(np.zeros(D, np.float32), 1)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_refused(
        self, index: ItemIndex, queries: Vectors, value: float
    ) -> None:
        bad = queries[:3].copy()
        bad[1, 4] = value
        with pytest.raises(ValueError, match=r"queries \[1\] hold NaN or infinite"):
            index.search(bad, 1)

    def test_k_below_one_is_refused(self, index: ItemIndex, queries: Vectors) -> None:
        with pytest.raises(ValueError, match="k is 0, expected at least 1"):
            index.search(queries, 0)

    def test_a_mask_of_another_length_or_type_is_refused(
        self, index: ItemIndex, queries: Vectors
    ) -> None:
        with pytest.raises(ValueError, match=rf"bool \({N - 1},\).*\({N},\)"):
            index.search(queries, 1, np.ones(N - 1, bool))
        with pytest.raises(ValueError, match=rf"int64 \({N},\)"):
            index.search(queries, 1, np.ones(N, np.int64))

    def test_equal_vectors_are_all_found(self, vectors: Vectors, queries: Vectors) -> None:
        best = exact_search(vectors, queries[:1], 1, None)[0][0, 0]
        twins = np.concatenate([vectors[:-8], np.repeat(vectors[best : best + 1], 8, axis=0)])
        index, _ = self.make(twins, queries)
        rows, scores = index.search(queries[:1], 8)
        assert set(rows[0].tolist()) <= {int(best), *range(N - 8, N)}
        assert np.ptp(scores) < 1e-4
