"""The text branch of the moderation classifier (torch; served as ONNX)."""

import torch
from torch import Tensor, nn

from models.text_features import FEATURE_BUCKETS, WORD_BUCKETS

_WINDOWS = (2, 3, 4)  # words that a convolution sees at once


class TextClassifier(nn.Module):
    """A bag of features and a sequence of words to one calibrated probability a label.

    The wide part weighs every feature by itself, as logistic regression over TF-IDF does, the deep
    part sees the bag as a whole (Cheng et al., 2016), the convolutions see order (Kim, 2014).
    Calibration (Platt, 1999) is part of the graph: what leaves it is a probability.
    """

    def __init__(self, labels: int, width: int = 48, filters: int = 64) -> None:
        super().__init__()
        self.wide = nn.Embedding(FEATURE_BUCKETS, labels, padding_idx=0)
        self.deep = nn.Embedding(FEATURE_BUCKETS, width, padding_idx=0)
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
        self.register_buffer("scale", torch.ones(labels))
        self.register_buffer("shift", torch.zeros(labels))
        nn.init.zeros_(self.wide.weight)
        for table in (self.deep, self.words):
            nn.init.normal_(table.weight, std=0.1)
            with torch.no_grad():
                table.weight[0] = 0

    def logits(self, features: Tensor, words: Tensor) -> Tensor:
        """[B, K] uncalibrated logits of features [B, F] and words [B, W]; 0 is padding."""
        weights = self.rarity[features] * (features > 0)
        weights = weights / weights.square().sum(1, keepdim=True).clamp(min=1e-6).sqrt()
        wide = (self.wide(features) * weights[:, :, None]).sum(1)
        deep = torch.relu((self.deep(features) * weights[:, :, None]).sum(1))
        sequence = self.words(words).transpose(1, 2)
        seen = [torch.relu(convolve(sequence)).amax(2) for convolve in self.convolutions]
        combined: Tensor = wide + self.output(self.dropout(torch.cat([deep, *seen], 1)))
        return combined

    def forward(self, features: Tensor, words: Tensor) -> Tensor:
        """[B, K] calibrated probabilities of features [B, F] and words [B, W]."""
        return torch.sigmoid(self.logits(features, words) * self.scale + self.shift)


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
