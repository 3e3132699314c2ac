"""Every index keeps the contract; beside it, what each kind does of its own."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from embeddings import index_training
from embeddings.index import ExactIndex, ItemIndex, ListedIndex, exact_search, load_index, recall
from embeddings.index_training import build_index, index_kind
from models.arrays import Vectors
from models.bundle import BundleError, IndexFacts
from tests.contracts.item_index import (
    D,
    ItemIndexContract,
    clustered_vectors,
    taste_queries,
)


class TestExactIndex(ItemIndexContract):
    @classmethod
    def make(cls, vectors: Vectors, queries: Vectors) -> tuple[ItemIndex, IndexFacts]:
        return build_index(vectors, queries, "exact")

    def test_of_equal_scores_the_lower_row_comes_first(self) -> None:
        rows, _ = ExactIndex(np.ones((9, 2), np.float32)).search(np.ones((1, 2), np.float32), 4)
        assert rows.tolist() == [[0, 1, 2, 3]]

    def test_known_answer(self) -> None:
        index = ExactIndex(np.array([[1, 0], [0, 1], [3, 3], [-1, 0]], np.float32))
        rows, scores = index.search(np.array([[1, 0], [-2, 0]], np.float32), 2)
        assert rows.tolist() == [[2, 0], [3, 1]]
        assert scores.tolist() == [[3, 1], [2, 0]]


class TestFlatIndex(ItemIndexContract):
    @classmethod
    def make(cls, vectors: Vectors, queries: Vectors) -> tuple[ItemIndex, IndexFacts]:
        return build_index(vectors, queries, "flat")


class TestListsOfBytes(ItemIndexContract):
    recall_at_50 = 0.93

    @classmethod
    def make(cls, vectors: Vectors, queries: Vectors) -> tuple[ItemIndex, IndexFacts]:
        return build_index(vectors, queries, "ivf_sq8")


class TestListsOfHalfBytes(ItemIndexContract):
    recall_at_50 = 0.85

    @classmethod
    def make(cls, vectors: Vectors, queries: Vectors) -> tuple[ItemIndex, IndexFacts]:
        return build_index(vectors, queries, "ivf_pq")


@pytest.mark.parametrize("kind", ["exact", "flat"])
def test_an_empty_index_finds_nothing(kind: str, tmp_path: Path) -> None:
    built, facts = build_index(np.empty((0, 3), np.float32), np.empty((0, 3), np.float32), kind)
    built.save(tmp_path / "index.faiss")
    for index in (built, load_index(tmp_path / "index.faiss", facts, np.empty((0, 3), "f4"))):
        rows, scores = index.search(np.ones((2, 3), np.float32), 4, np.empty(0, bool))
        assert len(index) == 0
        assert (rows == -1).all()
        assert np.isneginf(scores).all()


def test_the_kind_follows_the_number_of_items() -> None:
    sizes = (0, 20_000, 20_001, 10_000_000, 10_000_001)
    assert [index_kind(n) for n in sizes] == ["flat", "flat", "ivf_sq8", "ivf_sq8", "ivf_pq"]


def test_the_index_is_built_by_size_when_no_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_training, "FLAT_ITEMS", 1000)
    index, facts = build_index(clustered_vectors(), taste_queries(64, 1))
    assert facts.kind == "ivf_sq8"
    assert facts.parameters["nprobe"] == index.nprobe  # type: ignore[attr-defined]
    assert 0.9 < facts.parameters["tuned_recall"] <= 1


def test_too_few_vectors_or_queries_for_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="256 vectors and 2 queries, found 255 and 9"):
        build_index(clustered_vectors()[:255], taste_queries(9, 1), "ivf_sq8")
    with pytest.raises(ValueError, match="found 3000 and 1; the kind flat needs none"):
        build_index(clustered_vectors(), taste_queries(1, 1), "ivf_pq")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'hnsw' is unknown; known: exact, flat, ivf_sq8, ivf_pq"):
        build_index(clustered_vectors(), taste_queries(9, 1), "hnsw")


def test_vectors_that_are_not_finite_are_refused() -> None:
    vectors = clustered_vectors()
    vectors[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"vectors \[7\] are not finite"):
        build_index(vectors, taste_queries(9, 1))


def test_building_again_gives_the_same_answers() -> None:
    first, again = (build_index(clustered_vectors(), taste_queries(64, 1), "ivf_sq8") for _ in "12")
    queries = taste_queries(8, 2)
    assert first[1] == again[1]
    assert (first[0].search(queries, 30)[0] == again[0].search(queries, 30)[0]).all()


def test_white_queries_beat_plain_lists_at_the_same_reading() -> None:
    """The reason for the transform: popularity decides scores, so lists must follow it."""
    vectors, queries = clustered_vectors(), taste_queries(300, 1)
    vectors[:, -1] *= 4
    expected = exact_search(vectors, queries[200:], 50, None)[0]
    built, _ = build_index(vectors, queries[:200], "ivf_sq8")
    assert isinstance(built, ListedIndex)
    plain = faiss.IndexIVFFlat(faiss.IndexFlatIP(D), D, built.lists, faiss.METRIC_INNER_PRODUCT)
    plain.train(vectors)
    plain.add(vectors)
    plain.nprobe = built.nprobe
    ours = recall(built.search(queries[200:], 50)[0], expected)
    assert ours > recall(plain.search(queries[200:], 50)[1], expected) + 0.05


@pytest.mark.parametrize("kind", ["exact", "flat", "ivf_sq8"])
def test_a_file_that_is_no_index_is_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    path.write_bytes(b"not an index")
    facts = IndexFacts(kind=kind, parameters={"nprobe": 1, "refine": 1})
    with pytest.raises(BundleError, match=r"index\.faiss: cannot be read as index"):
        load_index(path, facts, clustered_vectors())


def test_an_index_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    build_index(clustered_vectors(), taste_queries(2, 1), "flat")[0].save(path)
    facts = IndexFacts(kind="ivf_sq8", parameters={"nprobe": 1, "refine": 1})
    with pytest.raises(BundleError, match="is a IndexFlatIP, the manifest says ivf_sq8"):
        load_index(path, facts, clustered_vectors())


def test_lists_without_parameters_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    build_index(clustered_vectors(), taste_queries(64, 1), "ivf_sq8")[0].save(path)
    with pytest.raises(BundleError, match="nprobe"):
        load_index(path, IndexFacts(kind="ivf_sq8"), clustered_vectors())
