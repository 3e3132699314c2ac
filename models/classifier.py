"""The text branch of the moderation classifier (torch; served as ONNX)."""

import torch
from torch import Tensor, nn

from models.text_features import FEATURE_BUCKETS

CONTENT_VALUES = 3  # strong, weak, no use
EVIDENCE = 5  # wide, encoded, both where a text is stated plainly, and whether it is


class TextClassifier(nn.Module):
    """A bag of features and a sentence's encoding to one calibrated probability a label.

    The wide branch weighs every feature by itself: logistic regression over TF-IDF, best on posts
    like those it was trained on. The encoded branch reads what a pretrained encoder makes of the
    sentence, so that it also knows words that no training post held, and what is said with them. A
    gate, the probability that a text states something plainly rather than rambles like a post,
    says which to trust: a mixture of two experts (Jacobs et al., 1991). Calibration (Platt, 1999,
    of all that together) joins them inside the graph, so that what leaves it is a probability.
    """

    def __init__(self, labels: int, width: int, hidden: int = 256) -> None:
        """Untrained.

        Args:
            labels: K. width: D of encodings. hidden: of the encoded branch.
        """
        super().__init__()
        self.wide = nn.Embedding(FEATURE_BUCKETS, labels, padding_idx=0)
        self.encoded = nn.Sequential(
            nn.Dropout(0.2),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(0.4),
            nn.Linear(hidden, labels + 1),
        )
        self.value = nn.Linear(width, CONTENT_VALUES)
        self.rarity: Tensor
        self.centre: Tensor
        self.spread: Tensor
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("rarity", torch.ones(FEATURE_BUCKETS))
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.register_buffer("scale", torch.zeros(EVIDENCE, labels))
        self.register_buffer("shift", torch.zeros(labels))
        nn.init.zeros_(self.wide.weight)
        self.wide.weight.requires_grad_(False)  # fitted in closed form, not by steps

    def weights(self, features: Tensor, frequencies: Tensor) -> Tensor:
        """[B, F] TF-IDF with sublinear frequencies, rows of unit length; 0 for padding."""
        weights = self.rarity[features] * frequencies * (features > 0)
        return weights / weights.square().sum(1, keepdim=True).clamp(min=1e-6).sqrt()

    def encoded_logits(self, encodings: Tensor) -> Tensor:
        """[B, K + 1] logits of encodings [B, D]; the last is the gate's."""
        logits: Tensor = self.encoded(self._normal(encodings))
        return logits

    def content_values(self, encodings: Tensor) -> Tensor:
        """[B, CONTENT_VALUES] probabilities of encodings [B, D]."""
        return torch.softmax(self.value(self._normal(encodings)), 1)

    def evidence(self, features: Tensor, frequencies: Tensor, encodings: Tensor) -> Tensor:
        """[B, EVIDENCE, K] of features, frequencies [B, F] and encodings [B, D]."""
        wide = (self.wide(features) * self.weights(features, frequencies)[:, :, None]).sum(1)
        logits = self.encoded_logits(encodings)
        encoded, plainly = logits[:, :-1], torch.sigmoid(logits[:, -1:])
        gate = plainly.expand_as(encoded)
        return torch.stack([wide, encoded, gate * wide, gate * encoded, gate], 1)

    def probabilities(self, evidence: Tensor) -> Tensor:
        """[B, K] calibrated probabilities of evidence [B, EVIDENCE, K]."""
        return torch.sigmoid((evidence * self.scale).sum(1) + self.shift)

    def forward(
        self, features: Tensor, frequencies: Tensor, encodings: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Calibrated probabilities [B, K] and content values [B, CONTENT_VALUES].

        Args:
            features: [B, F]. frequencies: [B, F]. encodings: [B, D].
        """
        evidence = self.evidence(features, frequencies, encodings)
        return self.probabilities(evidence), self.content_values(encodings)

    def _normal(self, encodings: Tensor) -> Tensor:
        return (encodings - self.centre) / self.spread


def masked_bce(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy over known targets.

    Args:
        logits: [B, K].
        targets: [B, K] of 1, 0 and NaN where unknown.
        weights: [B] of the rows; None is 1.
    """
    known = (~torch.isnan(targets)).float()
    if weights is not None:
        known = known * weights[:, None]
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.nan_to_num(targets), reduction="none"
    )
    return (losses * known).sum() / known.sum().clamp(min=1e-9)
