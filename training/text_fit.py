"""Fitting the text classifier: batches of like length, masked loss, Platt calibration."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from configs.classifier import ClassifierFit
from models.arrays import Vectors
from models.classifier import TextClassifier, masked_bce
from models.text_features import FEATURE_BUCKETS, padded, text_tokens

_SCORED_AT_ONCE = 512


@dataclass(frozen=True)
class Tokens:
    """N texts as ragged rows of feature buckets, their frequencies, and word buckets."""

    features: list[NDArray[np.int32]]
    frequencies: list[NDArray[np.float32]]
    words: list[NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.words)

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Features, frequencies [B, F] and words [B, W] of some rows, padded."""
        return (
            torch.from_numpy(padded([self.features[row] for row in rows], np.int64)),
            torch.from_numpy(padded([self.frequencies[row] for row in rows], np.float32)),
            torch.from_numpy(padded([self.words[row] for row in rows], np.int64)),
        )

    def take(self, rows: NDArray[np.int64]) -> "Tokens":
        """The texts at some rows."""
        return Tokens(
            [self.features[row] for row in rows],
            [self.frequencies[row] for row in rows],
            [self.words[row] for row in rows],
        )


def tokenised(texts: Sequence[str]) -> Tokens:
    """All texts as buckets."""
    tokens = [text_tokens(text) for text in texts]
    return Tokens(
        [np.array(features, np.int32) for features, _, _ in tokens],
        [np.array(frequencies, np.float32) for _, frequencies, _ in tokens],
        [np.array(words, np.int32) for _, _, words in tokens],
    )


def rarity(tokens: Tokens) -> Tensor:
    """[FEATURE_BUCKETS] smoothed inverse document frequency; 0 where a feature is met once."""
    rows = np.zeros(FEATURE_BUCKETS)
    for features in tokens.features:
        rows[features] += 1
    weights = np.log((1 + len(tokens)) / (1 + rows)) + 1
    weights[rows < 2] = 0
    return torch.from_numpy(weights.astype(np.float32))


def fit(
    tokens: Tokens,
    targets: Vectors,
    settings: ClassifierFit,
    seed: int,
    real: NDArray[np.bool_] | None = None,
) -> TextClassifier:
    """A trained, uncalibrated classifier.

    Args:
        tokens: of N texts.
        targets: [N, K] of 1, 0 and NaN where unknown.
        settings: of the recipe.
        seed: of initial weights and of the order of batches.
        real: [N] rows that people wrote. The wide branch learns from them alone: sentences by
            template hold its words fixed, so they can teach it nothing but noise.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = TextClassifier(targets.shape[1], settings.width, settings.filters)
    own = np.arange(len(tokens)) if real is None else np.flatnonzero(real)
    model.rarity.copy_(rarity(tokens.take(own)))
    fit_wide(model, tokens.take(own), targets[own], settings.wide_inverse_l2)
    learned = [value for value in model.parameters() if value.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=settings.learning_rate)
    steps = settings.epochs * -(-len(tokens) // settings.batch)
    slower = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(0.02, 1 - step / steps))
    for epoch in range(settings.epochs):
        model.train()
        losses = []
        for rows in like_lengths(tokens, settings.batch, rng):
            features, frequencies, words = tokens.batch(rows)
            features = features * (torch.rand(features.shape) >= settings.feature_dropout)
            words = words * (torch.rand(words.shape) >= settings.word_dropout)
            loss = masked_bce(
                model.deep_logits(features, frequencies, words), torch.from_numpy(targets[rows])
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            slower.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}", file=sys.stderr, flush=True)
    return model.eval()


def fit_wide(model: TextClassifier, tokens: Tokens, targets: Vectors, inverse_l2: float) -> None:
    """Set the wide branch by logistic regression, each label on the rows where it is known."""
    bag = tf_idf(tokens, model.rarity.numpy())
    for k in range(targets.shape[1]):
        known = np.flatnonzero(~np.isnan(targets[:, k]))
        if len(np.unique(targets[known, k])) == 2:
            regression = LogisticRegression(C=inverse_l2, solver="liblinear", tol=1e-3)
            regression.fit(bag[known], targets[known, k])
            model.wide.weight.data[:, k] = torch.from_numpy(regression.coef_[0].astype(np.float32))
        print(f"wide branch: label {k} of {targets.shape[1]}", file=sys.stderr, flush=True)


def tf_idf(tokens: Tokens, weights: Vectors) -> csr_matrix:
    """[N, FEATURE_BUCKETS] weights of each row's features, rows of unit length."""
    columns = np.concatenate(tokens.features)
    ends = np.cumsum([0, *map(len, tokens.features)])
    values = weights[columns] * np.concatenate(tokens.frequencies)
    bag = csr_matrix((values, columns, ends), (len(tokens), FEATURE_BUCKETS))
    lengths = np.sqrt(np.asarray(bag.multiply(bag).sum(1)).ravel())
    return csr_matrix(diags(1 / np.maximum(lengths, 1e-3)) @ bag)


def like_lengths(
    tokens: Tokens, batch: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Rows in batches of about one length each, in random order, so that little is padding."""
    lengths = np.array([len(words) for words in tokens.words])
    order = np.argsort(lengths + 10 * rng.random(len(lengths)))
    firsts = np.arange(0, len(order), batch)
    for first in rng.permutation(firsts):
        yield order[first : first + batch]


def logits_of(model: TextClassifier, tokens: Tokens) -> Vectors:
    """[N, BRANCHES, K] uncalibrated logits."""
    order = np.argsort([len(words) for words in tokens.words])
    logits = np.zeros((len(tokens), *model.scale.shape), np.float32)
    with torch.no_grad():
        for first in range(0, len(order), _SCORED_AT_ONCE):
            rows = order[first : first + _SCORED_AT_ONCE]
            logits[rows] = model.logits(*tokens.batch(rows)).numpy()
    return logits


def calibrate(model: TextClassifier, logits: Vectors, targets: Vectors) -> None:
    """Set each label's scales and shift by Platt's method (1999), his smoothed targets included.

    Args:
        model: receives them.
        logits: [N, BRANCHES, K] of rows that training has not seen.
        targets: [N, K] of 1, 0 and NaN where unknown.
    """
    for k in range(targets.shape[1]):
        known = ~np.isnan(targets[:, k])
        if known.any() and 0 < targets[known, k].mean() < 1:
            scales, shift = platt(logits[known, :, k], targets[known, k])
            model.scale[:, k], model.shift[k] = torch.from_numpy(scales), shift


def platt(logits: Vectors, targets: Vectors) -> tuple[Vectors, float]:
    """Scales [J] and shift that make sigmoid(logits @ scales + shift) the likeliest probability.

    Args:
        logits: [N, J].
        targets: [N] of 1 and 0.
    """
    positives = float(targets.sum())
    negatives = len(targets) - positives
    aims = np.where(targets > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = logits.astype(np.float64)

    def loss(parameters: NDArray[np.float64]) -> float:
        z = x @ parameters[:-1] + parameters[-1]
        return float(np.mean(np.logaddexp(0, z) - aims * z))

    branches = x.shape[1]
    found = minimize(loss, np.array([1 / branches] * branches + [0.0]), method="BFGS").x
    return found[:-1].astype(np.float32), float(found[-1])
