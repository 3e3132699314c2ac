"""Fitting the text classifier: two branches, masked loss, Platt calibration of both together."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from configs.classifier import ClassifierFit
from models.arrays import Mask, Rows, Vectors
from models.classifier import TextClassifier, masked_bce
from models.text_features import FEATURE_BUCKETS, padded, text_tokens

_SCORED_AT_ONCE = 512
_ENCODED_AT_ONCE = 1_024
_RIDGE = 1e-4  # of Platt's scales: evidence that says the same twice shares its weight


class Encoder(Protocol):
    """Sentences as vectors; an ``embeddings.text_encoder.TextEncoder``."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """[B, D] of B texts."""


@dataclass(frozen=True)
class TextInputs:
    """N texts as ragged rows of feature buckets and their frequencies, and encodings [N, D]."""

    features: list[NDArray[np.int32]]
    frequencies: list[NDArray[np.float32]]
    encodings: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, rows: Sequence[int] | Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Features, frequencies [B, F] and encodings [B, D] of some rows, padded."""
        return (
            torch.from_numpy(padded([self.features[row] for row in rows], np.int64)),
            torch.from_numpy(padded([self.frequencies[row] for row in rows], np.float32)),
            self.encoded(rows),
        )

    def encoded(self, rows: Sequence[int] | Rows) -> Tensor:
        """Encodings [B, D] of some rows."""
        return torch.from_numpy(self.encodings[np.asarray(rows)].astype(np.float32))

    def take(self, rows: Rows) -> "TextInputs":
        """The texts at some rows."""
        return TextInputs(
            [self.features[row] for row in rows],
            [self.frequencies[row] for row in rows],
            self.encodings[rows],
        )


def text_inputs(texts: Sequence[str], encoder: Encoder) -> TextInputs:
    """What the classifier reads of all texts."""
    features: list[NDArray[np.int32]] = []
    frequencies: list[NDArray[np.float32]] = []
    encodings: list[NDArray[np.float16]] = []
    for first in range(0, len(texts), _ENCODED_AT_ONCE):
        tokens = [text_tokens(text) for text in texts[first : first + _ENCODED_AT_ONCE]]
        features += [np.array(buckets, np.int32) for buckets, _, _ in tokens]
        frequencies += [np.array(counts, np.float32) for _, counts, _ in tokens]
        encodings.append(encoder.encode([plain for _, _, plain in tokens]).astype(np.float16))
        print(f"encoded {len(features)} of {len(texts)}", file=sys.stderr, flush=True)
    return TextInputs(features, frequencies, np.concatenate(encodings))


def rarity(inputs: TextInputs) -> Tensor:
    """[FEATURE_BUCKETS] smoothed inverse document frequency; 0 where a feature is met once."""
    rows = np.zeros(FEATURE_BUCKETS)
    for features in inputs.features:
        rows[features] += 1
    weights = np.log((1 + len(inputs)) / (1 + rows)) + 1
    weights[rows < 2] = 0
    return torch.from_numpy(weights.astype(np.float32))


def fit(
    inputs: TextInputs, targets: Vectors, made: Mask, settings: ClassifierFit, seed: int
) -> TextClassifier:
    """A trained, uncalibrated classifier.

    Args:
        inputs: of N texts.
        targets: [N, K] of 1, 0 and NaN where unknown.
        made: [N] sentences by template. The wide branch learns without them: they hold its words
            fixed, so they can teach it nothing but noise. The gate learns to tell them.
        settings: of the recipe.
        seed: of initial weights and of the order of batches.
    """
    torch.manual_seed(seed)
    model = TextClassifier(targets.shape[1], inputs.encodings.shape[1], settings.hidden)
    collected = np.flatnonzero(~made) if not made.all() else np.arange(len(made))
    own = inputs.take(collected)
    model.rarity.copy_(rarity(own))
    fit_wide(model, own, targets[collected], settings.wide_inverse_l2)
    fit_encoded(model, inputs, targets, made, settings, seed)
    return model.eval()


def fit_wide(
    model: TextClassifier, inputs: TextInputs, targets: Vectors, inverse_l2: float
) -> None:
    """Set the wide branch by logistic regression, each label on the rows where it is known."""
    bag = tf_idf(inputs, model.rarity.numpy())
    for k in range(targets.shape[1]):
        known = np.flatnonzero(~np.isnan(targets[:, k]))
        if len(np.unique(targets[known, k])) == 2:
            regression = LogisticRegression(C=inverse_l2, solver="liblinear", tol=1e-2)
            regression.fit(bag[known], targets[known, k])
            model.wide.weight.data[:, k] = torch.from_numpy(regression.coef_[0].astype(np.float32))
        print(f"wide branch: label {k} of {targets.shape[1]}", file=sys.stderr, flush=True)


def fit_encoded(
    model: TextClassifier,
    inputs: TextInputs,
    targets: Vectors,
    made: Mask,
    settings: ClassifierFit,
    seed: int,
) -> None:
    """Train the encoded branch and the gate by AdamW with a falling rate."""
    rng = np.random.default_rng(seed)
    every = inputs.encodings.astype(np.float32)
    model.centre.copy_(torch.from_numpy(every.mean(0)))
    model.spread.copy_(torch.from_numpy(every.std(0) + 1e-6))
    asked = torch.from_numpy(np.column_stack([targets, made]).astype(np.float32))
    weights = torch.from_numpy(np.where(made, settings.contrast_weight, 1).astype(np.float32))
    optimiser = torch.optim.AdamW(
        model.encoded.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    batches = -(-len(inputs) // settings.batch)
    slower = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: max(0.02, 1 - step / (settings.epochs * batches))
    )
    model.train()
    for epoch in range(settings.epochs):
        losses = []
        for rows in np.array_split(rng.permutation(len(inputs)), batches):
            logits = model.encoded_logits(inputs.encoded(rows))
            loss = masked_bce(logits, asked[rows], weights[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            slower.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}", file=sys.stderr, flush=True)


def tf_idf(inputs: TextInputs, weights: Vectors) -> csr_matrix:
    """[N, FEATURE_BUCKETS] weights of each row's features, rows of unit length."""
    columns = np.concatenate(inputs.features)
    ends = np.cumsum([0, *map(len, inputs.features)])
    values = weights[columns] * np.concatenate(inputs.frequencies)
    bag = csr_matrix((values, columns, ends), (len(inputs), FEATURE_BUCKETS))
    lengths = np.sqrt(np.asarray(bag.multiply(bag).sum(1)).ravel())
    return csr_matrix(diags(1 / np.maximum(lengths, 1e-3)) @ bag)


def evidence_of(model: TextClassifier, inputs: TextInputs) -> Vectors:
    """[N, EVIDENCE, K] what both branches say, uncalibrated."""
    order = np.argsort([len(features) for features in inputs.features])
    evidence = np.zeros((len(inputs), *model.scale.shape), np.float32)
    with torch.no_grad():
        for first in range(0, len(order), _SCORED_AT_ONCE):
            rows = order[first : first + _SCORED_AT_ONCE]
            evidence[rows] = model.evidence(*inputs.batch(rows)).numpy()
    return evidence


def scores_of(model: TextClassifier, inputs: TextInputs) -> Vectors:
    """[N, K] calibrated probabilities."""
    evidence = torch.from_numpy(evidence_of(model, inputs))
    scores: Vectors = model.probabilities(evidence).numpy()
    return scores


def calibrate(model: TextClassifier, evidence: Vectors, targets: Vectors, weights: Vectors) -> None:
    """Set each label's scales and shift by Platt's method (1999), his smoothed targets included.

    Args:
        model: receives them.
        evidence: [N, EVIDENCE, K] of rows that training has not seen.
        targets: [N, K] of 1, 0 and NaN where unknown.
        weights: [N, K] of the targets.
    """
    for k in range(targets.shape[1]):
        known = ~np.isnan(targets[:, k])
        if known.any() and 0 < targets[known, k].mean() < 1:
            scales, shift = platt(evidence[known, :, k], targets[known, k], weights[known, k])
            model.scale[:, k], model.shift[k] = torch.from_numpy(scales), shift


def platt(
    evidence: Vectors, targets: Vectors, weights: Vectors | None = None
) -> tuple[Vectors, float]:
    """Scales [J] and shift that make sigmoid(evidence @ scales + shift) the likeliest probability.

    Args:
        evidence: [N, J].
        targets: [N] of 1 and 0.
        weights: [N] of the rows; None is 1.
    """
    counted = np.ones(len(targets)) if weights is None else weights.astype(np.float64)
    positives = float(counted @ targets)
    negatives = float(counted.sum()) - positives
    aims = np.where(targets > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = evidence.astype(np.float64)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ parameters[:-1] + parameters[-1]
        errors = counted * (1 / (1 + np.exp(-z)) - aims) / counted.sum()
        value = np.average(np.logaddexp(0, z) - aims * z, weights=counted)
        slopes = np.append(errors @ x + 2 * _RIDGE * parameters[:-1], errors.sum())
        return float(value + _RIDGE * parameters[:-1] @ parameters[:-1]), slopes

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="BFGS").x
    return found[:-1].astype(np.float32), float(found[-1])
