"""Content value: what votes say, what the head learns of it, and what the card admits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.arrays import Vectors
from models.classifier import TextClassifier
from training.content_value import fit_value, value_figures, value_words, voted_reviews


class SeesUse:
    """Encodes a text as how often it says "use", so that a head can learn it."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.array([[text.count("use"), 1] for text in texts], np.float32)


def test_votes_become_values(tmp_path: Path) -> None:
    folder = tmp_path / "womens-clothing-reviews"
    folder.mkdir()
    rows = {"Review Text": ["a", "b", None, "c", "d"], "Positive Feedback Count": [0, 1, 9, 4, 5]}
    pq.write_table(pa.table(rows), folder / "reviews.parquet")
    texts, values = voted_reviews(tmp_path, 10, seed=1)
    assert dict(zip(texts, values.tolist(), strict=True)) == {"a": 2, "b": 1, "c": 1, "d": 0}


def test_the_head_learns_what_the_encoding_tells() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 3, 900)
    texts = [f"{'use ' * (2 - value)}{rng.integers(1 << 40)}" for value in values]
    model = TextClassifier(labels=1, width=2)
    figures = fit_value(model, SeesUse(), texts, values, seed=5)
    assert figures["auroc_strong"] > 0.95
    assert figures["auroc_any"] > 0.95
    assert figures["n"] < 200


def test_figures_of_a_case_known_by_hand() -> None:
    values = np.array([0, 1, 2, 2])
    scores = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.5, 0.45, 0.05]])
    figures = value_figures(values, scores.astype(np.float32), np.array([2, 2, 1]))
    assert figures["accuracy"] == pytest.approx(0.75)
    assert figures["accuracy_of_commonest"] == pytest.approx(0.5)
    assert figures["auroc_strong"] == pytest.approx(1)
    assert figures["auroc_any"] == pytest.approx(0.5)


def test_the_card_is_silent_where_nothing_was_fitted() -> None:
    assert value_words(None) == ""
