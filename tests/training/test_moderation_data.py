"""Labelled content: unknown stays unknown, copies stay together, evasions differ."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.canonical import canonical_text
from tests.benchmarks.robustness.suite import cases
from training.datasets.contrasts import contrasts
from training.datasets.moderation import (
    content,
    joined,
    near_duplicate_clusters,
    of_labels,
    own_texts,
    split_by_cluster,
)
from training.evasion import CHINESE, ENGLISH
from training.train_classifier import with_own


def test_unknown_labels_stay_unknown_when_sets_are_joined() -> None:
    abuse = content(["a", "b"], "one", {"hate": [1.0, None]}, ("hate",))
    bait = content(["c"], "two", {"community/clickbait": [0.0]}, ("community/clickbait",))
    both = joined([abuse, bait])
    assert both.labels == ("hate", "community/clickbait")
    expected = [[1, np.nan], [np.nan, np.nan], [np.nan, 0]]
    np.testing.assert_array_equal(both.targets(), np.array(expected, np.float32))


def write(path: Path, **columns: list[object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_own_texts_are_a_source_of_the_name_of_their_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", text=["a", None, "b", ""], hate=[1, 0, None, 1])
    own = own_texts(path)
    assert (own.texts(), own.sources().tolist()) == (["a", "b"], ["own/x", "own/x"])
    np.testing.assert_array_equal(own.targets(), np.array([[1], [np.nan]], "f4"))


def test_own_labels_must_be_those_of_the_recipe(tmp_path: Path) -> None:
    ours = content(["a"], "one", {"hate": [1.0]}, ("hate",))
    path = write(tmp_path / "x.parquet", text=["b"], sexual=[1])
    both = with_own(ours, [path], ("sexual", "hate"))
    np.testing.assert_array_equal(both.targets(), np.array([[np.nan, 1], [1, np.nan]], "f4"))
    with pytest.raises(ValueError, match="labelled but not trained"):
        with_own(ours, [path], ("hate",))
    with pytest.raises(ValueError, match="no source knows"):
        of_labels(ours, ("hate", "violence"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a"], "source": ["s"], "rude": [1]}, "neither content nor labels"),
        ({"source": ["s"], "hate": [1]}, "needs a column text"),
        ({"text": ["a"], "source": ["s"]}, "one or more labels"),
        ({"text": ["a"], "source": ["s"], "hate": [2]}, "0, 1 or null"),
    ],
)
def test_wrong_parquet_is_refused(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        own_texts(write(tmp_path / "x.parquet", **columns))


def test_near_copies_fall_into_one_cluster_and_one_split() -> None:
    copy = "这件衣服的面料真的非常柔软舒适，颜色也很正"
    texts = [
        copy,
        copy + "。",
        "完全不同的一句话，说的是天气",
        "這件衣服的面料真的非常柔軟舒適，顏色也很正",
    ]
    clusters = near_duplicate_clusters(texts)
    assert clusters[0] == clusters[1] == clusters[3] != clusters[2]
    assert clusters.tolist() == [0, 0, 2, 0]
    many = np.repeat(np.arange(500), 3)
    split = split_by_cluster(many, seed=1).reshape(500, 3)
    assert (split == split[:, :1]).all()
    assert {name: (split == name).mean() > 0.05 for name in ("train", "calibration", "test")} == {
        "train": True,
        "calibration": True,
        "test": True,
    }


@pytest.mark.parametrize("language", ["zh", "en"])
def test_contrasts_are_balanced_and_none_stands_in_the_functional_suite(language: str) -> None:
    drawn = contrasts(language, 4000, seed=7)
    assert drawn.targets()[:, 0].mean() == 0.5
    suite = {canonical_text(case.text).strip(" .。!") for case in cases(language)}
    shared = {canonical_text(text).strip(" .。!") for text in drawn.texts()} & suite
    assert len(shared) <= 4, shared


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_training_operator_rewrites_a_word(language: str) -> None:
    operators, word = (CHINESE, "垃圾废物东西") if language == "zh" else (ENGLISH, "idiots")
    rng = random.Random(3)
    assert all(operator(word, rng) != word for operator in operators.values())
