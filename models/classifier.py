"""The text branch of the moderation classifier (torch; served as ONNX)."""

import torch
from torch import Tensor, nn

from models.text_features import FEATURE_BUCKETS, WORD_BUCKETS

BRANCHES = 2  # wide, deep
DEEP_BUCKETS = 1 << 17  # features that share a bucket here are told apart by the wide branch
_WINDOWS = (2, 3, 4)  # words that a convolution sees at once


class TextClassifier(nn.Module):
    """A bag of features and a sequence of words to one calibrated probability a label.

    The wide branch weighs every feature by itself: logistic regression over TF-IDF. The deep branch
    sees the bag as a whole and, by convolutions (Kim, 2014), the order of words. Each is fitted by
    itself; calibration (Platt, 1999, of both together) joins them inside the graph, so that what
    leaves it is a probability.
    """

    def __init__(self, labels: int, width: int = 48, filters: int = 64) -> None:
        super().__init__()
        self.wide = nn.Embedding(FEATURE_BUCKETS, labels, padding_idx=0)
        self.deep = nn.Embedding(DEEP_BUCKETS, width, padding_idx=0)
        self.words = nn.Embedding(WORD_BUCKETS, width, padding_idx=0)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, filters, size, padding=size - 1) for size in _WINDOWS
        )
        self.output = nn.Linear(width + filters * len(_WINDOWS), labels)
        self.dropout = nn.Dropout(0.5)
        self.rarity: Tensor
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("rarity", torch.ones(FEATURE_BUCKETS))
        self.register_buffer("scale", torch.ones(BRANCHES, labels))
        self.register_buffer("shift", torch.zeros(labels))
        nn.init.zeros_(self.wide.weight)
        self.wide.weight.requires_grad_(False)  # fitted in closed form, not by steps
        for table in (self.deep, self.words):
            nn.init.normal_(table.weight, std=0.1)
            with torch.no_grad():
                table.weight[0] = 0

    def weights(self, features: Tensor, frequencies: Tensor) -> Tensor:
        """[B, F] TF-IDF with sublinear frequencies, rows of unit length; 0 for padding."""
        weights = self.rarity[features] * frequencies * (features > 0)
        return weights / weights.square().sum(1, keepdim=True).clamp(min=1e-6).sqrt()

    def deep_logits(self, features: Tensor, frequencies: Tensor, words: Tensor) -> Tensor:
        """[B, K] logits of the deep branch."""
        weights = self.weights(features, frequencies)[:, :, None]
        bag = torch.relu((self.deep(features % DEEP_BUCKETS) * weights).sum(1))
        sequence = self.words(words).transpose(1, 2)
        seen = [torch.relu(convolve(sequence)).amax(2) for convolve in self.convolutions]
        logits: Tensor = self.output(self.dropout(torch.cat([bag, *seen], 1)))
        return logits

    def logits(self, features: Tensor, frequencies: Tensor, words: Tensor) -> Tensor:
        """[B, BRANCHES, K] uncalibrated logits of features, frequencies [B, F] and words [B, W]."""
        wide = (self.wide(features) * self.weights(features, frequencies)[:, :, None]).sum(1)
        return torch.stack([wide, self.deep_logits(features, frequencies, words)], 1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """[B, K] calibrated probabilities of logits [B, BRANCHES, K]."""
        return torch.sigmoid((logits * self.scale).sum(1) + self.shift)

    def forward(self, features: Tensor, frequencies: Tensor, words: Tensor) -> Tensor:
        """[B, K] calibrated probabilities, as `models.text_features.TextArrays` holds a batch."""
        return self.probabilities(self.logits(features, frequencies, words))


def masked_bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross-entropy over known targets.

    Args:
        logits: [B, K].
        targets: [B, K] of 1, 0 and NaN where unknown.
    """
    known = ~torch.isnan(targets)
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.nan_to_num(targets), reduction="none"
    )
    weighted = losses * known
    return weighted.sum() / known.sum().clamp(min=1)
