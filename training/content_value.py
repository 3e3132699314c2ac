"""Content value: how much a text helps whoever reads it, learned from readers' votes on reviews."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from models.arrays import Vectors
from models.classifier import TextClassifier
from models.text_features import text_tokens
from training.classifier_metrics import calibration_error
from training.datasets.moderation import near_duplicate_clusters, split_by_cluster
from training.text_fit import Encoder

CONTENT_VALUE = "content_value"
STRONG_VOTES = 5  # "helpful" votes from which a review is of strong use; one is weak use
_INVERSE_L2 = 1e-5


def voted_reviews(data: Path, rows: int, seed: int) -> tuple[list[str], NDArray[np.int64]]:
    """Texts of product reviews and their value [N]: 0 strong, 1 weak, 2 no use."""
    table = pq.read_table(data / "womens-clothing-reviews" / "reviews.parquet")
    votes = table["Positive Feedback Count"].to_pylist()
    pairs = [
        (text, count)
        for text, count in zip(table["Review Text"].to_pylist(), votes, strict=True)
        if text
    ]
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:rows]
    counts = np.array([pairs[n][1] for n in chosen])
    values = np.where(counts >= STRONG_VOTES, 0, np.where(counts >= 1, 1, 2))
    return [pairs[n][0] for n in chosen], values.astype(np.int64)


def fit_value(
    model: TextClassifier,
    encoder: Encoder,
    texts: Sequence[str],
    values: NDArray[np.int64],
    seed: int,
) -> dict[str, float]:
    """Set the model's value head and return its figures on reviews that it was not fitted on.

    Args:
        model: its `centre` and `spread` are set. encoder: of its encodings.
        texts: of N reviews. values: [N], as `voted_reviews` gives them.
        seed: of the split by near-duplicate cluster.
    """
    split = split_by_cluster(near_duplicate_clusters(texts), seed)
    encodings = encoder.encode([text_tokens(text)[2] for text in texts])
    x = (encodings - model.centre.numpy()) / model.spread.numpy()
    train = split == "train"
    regression = LogisticRegression(C=_INVERSE_L2, max_iter=100).fit(x[train], values[train])
    model.value.weight.data.copy_(torch.from_numpy(regression.coef_.astype(np.float32)))
    model.value.bias.data.copy_(torch.from_numpy(regression.intercept_.astype(np.float32)))
    test = split == "test"
    scores = regression.predict_proba(x[test]).astype(np.float32)
    return value_figures(values[test], scores, values[train])


def value_figures(
    values: NDArray[np.int64], scores: Vectors, known: NDArray[np.int64]
) -> dict[str, float]:
    """Ranking, accuracy beside always saying the commonest, and calibration.

    Args:
        values: [N] in 0, 1, 2. scores: [N, 3].
        known: values of the training rows, of which the commonest is taken.
    """
    commonest = np.bincount(known, minlength=3).argmax()
    return {
        "auroc_strong": float(roc_auc_score(values == 0, scores[:, 0])),
        "auroc_any": float(roc_auc_score(values != 2, 1 - scores[:, 2])),
        "accuracy": float((scores.argmax(1) == values).mean()),
        "accuracy_of_commonest": float((values == commonest).mean()),
        "ece_strong": calibration_error((values == 0).astype(np.float32), scores[:, 0]),
        "n": float(len(values)),
    }


def value_words(figures: Mapping[str, Any] | None) -> str:
    """What the model card says of the value head; "" where it was not fitted."""
    if figures is None:
        return ""
    return (
        "\n\n## Content value\n\n"
        f"`strong_use`, `weak_use`, `no_use`: {STRONG_VOTES} votes or more, some, or none that "
        "call an English clothing review helpful. It is no label, nothing is enforced by it. Votes "
        "also count how long and to how many a review was shown, which no text tells, so it ranks "
        f"weakly: AUROC {figures['auroc_strong']:.3f} for strong use, {figures['auroc_any']:.3f} "
        f"for any; right {figures['accuracy']:.2f} of the time, the commonest answer "
        f"{figures['accuracy_of_commonest']:.2f} ({figures['n']:.0f} reviews). On Chinese text "
        "and on anything but reviews it was never measured."
    )
