"""The picture head: fitted, calibrated and measured by folds of near-duplicate clusters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from configs.pictures import PictureRecipe
from models.arrays import Rows, Vectors
from models.picture_classifier import PictureClassifier
from training.classifier_metrics import label_figures


@dataclass(frozen=True)
class FittedHead:
    """The head, and what it said of every picture without having seen its cluster.

    Attributes:
        model: fitted to all pictures.
        clusters: how many near-duplicate clusters there are.
        held_out: [N, P] calibrated probabilities, each by a head and a calibration that saw neither
            the picture nor its near-duplicates.
    """

    model: PictureClassifier
    clusters: int
    held_out: Vectors


@dataclass(frozen=True)
class _Linear:
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    weights: NDArray[np.float64]  # [P, D]
    bias: NDArray[np.float64]  # [P]

    def logits(self, vectors: Vectors) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (
            (vectors - self.mean) / self.spread
        ) @ self.weights.T + self.bias
        return found


def fit_head(seen: Vectors, policies: NDArray[np.str_], recipe: PictureRecipe) -> FittedHead:
    """Fit, calibrate and judge the head.

    Args:
        seen: [N, D] vectors, without the explicitness.
        policies: [N] the policy that each breaks, "" for none.
        recipe: names the policies; each must occur.

    Raises:
        ValueError: a policy has too few pictures for its folds.
    """
    names = recipe.fitted()
    targets = np.stack([policies == name for name in names], 1)
    if (fewest := targets.sum(0).min()) < 2 * recipe.folds:
        raise ValueError(f"{fewest} pictures of a policy; {recipe.folds} folds need more")
    clusters = near_duplicates(seen, recipe.same_picture_cosine)
    folds = folds_of(clusters, recipe.folds, recipe.seed)
    logits = _held_out_logits(seen, targets, folds, recipe)
    held_out = np.empty(targets.shape, np.float32)
    for fold in range(recipe.folds):
        rows = folds == fold
        for k in range(len(names)):
            scale, shift = platt(logits[~rows, k], targets[~rows, k])
            held_out[rows, k] = 1 / (1 + np.exp(-(scale * logits[rows, k] + shift)))
    everything = _fitted(seen, targets, recipe.inverse_l2)
    calibration = [platt(logits[:, k], targets[:, k]) for k in range(len(names))]
    model = _module(everything, calibration)
    return FittedHead(model, int(clusters.max()) + 1, held_out)


def head_figures(
    held_out: Vectors, policies: NDArray[np.str_], recipe: PictureRecipe
) -> dict[str, Any]:
    """Figures of each policy, the mean and the worst AUROC."""
    names = recipe.fitted()
    each = {
        name: label_figures((policies == name).astype(np.float32), held_out[:, k])
        for k, name in enumerate(names)
    }
    aurocs = [figures["auroc"] for figures in each.values()]
    return {"macro_auroc": float(np.mean(aurocs)), "worst_auroc": min(aurocs), **each}


def head_bars(figures: Mapping[str, Any]) -> dict[str, bool]:
    """What must hold of the figures."""
    return {
        "macro AUROC >= .97": figures["macro_auroc"] >= 0.97,
        "AUROC of the worst policy >= .93": figures["worst_auroc"] >= 0.93,
    }


def near_duplicates(seen: Vectors, cosine: float) -> Rows:
    """[N] cluster of each picture: pictures are linked whose vectors' cosine is at least this."""
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    one, other = np.nonzero(unit @ unit.T >= cosine)
    links = coo_array((np.ones(len(one)), (one, other)), shape=(len(seen), len(seen)))
    _, clusters = connected_components(links, directed=False)
    return np.asarray(clusters, np.int64)


def folds_of(clusters: Rows, folds: int, seed: int) -> Rows:
    """[N] fold of each picture; a cluster lies in one."""
    drawn = np.random.default_rng(seed).permutation(int(clusters.max()) + 1) % folds
    return np.asarray(drawn[clusters], np.int64)


def platt(logits: NDArray[np.float64], targets: NDArray[np.bool_]) -> tuple[float, float]:
    """Scale and shift that make probabilities of logits (Platt, 1999)."""
    fit = LogisticRegression(C=1e3).fit(logits[:, None], targets)
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def _held_out_logits(
    seen: Vectors, targets: NDArray[np.bool_], folds: Rows, recipe: PictureRecipe
) -> NDArray[np.float64]:
    logits = np.empty(targets.shape)
    for fold in range(recipe.folds):
        rows = folds == fold
        logits[rows] = _fitted(seen[~rows], targets[~rows], recipe.inverse_l2).logits(seen[rows])
    return logits


def _fitted(seen: Vectors, targets: NDArray[np.bool_], inverse_l2: float) -> _Linear:
    scaler = StandardScaler().fit(seen)
    scaled = scaler.transform(seen)
    fits = [
        LogisticRegression(C=inverse_l2, class_weight="balanced", max_iter=500).fit(scaled, target)
        for target in targets.T
    ]
    return _Linear(
        scaler.mean_,
        scaler.scale_,
        np.concatenate([fit.coef_ for fit in fits]),
        np.concatenate([fit.intercept_ for fit in fits]),
    )


def _module(linear: _Linear, calibration: list[tuple[float, float]]) -> PictureClassifier:
    policies, dimensions = linear.weights.shape
    model = PictureClassifier(dimensions, policies)
    scale, shift = zip(*calibration, strict=True)
    parameters = {
        "mean": linear.mean,
        "spread": linear.spread,
        "output.weight": linear.weights,
        "output.bias": linear.bias,
        "scale": scale,
        "shift": shift,
    }
    model.load_state_dict(
        {name: torch.tensor(np.asarray(value, np.float32)) for name, value in parameters.items()}
    )
    return model.eval()
