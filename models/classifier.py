"""The text branch of the moderation classifier (torch; served as ONNX)."""

import torch
from torch import Tensor, nn

from models.text_features import BUCKETS


class TextClassifier(nn.Module):
    """Hashed features to one calibrated probability a label.

    A wide part weighs each feature by itself, as logistic regression does; a deep part sees them
    together (Cheng et al., 2016). Calibration (Platt, 1999) is part of the graph: what leaves it
    is a probability.
    """

    def __init__(self, labels: int, width: int = 48, hidden: int = 96) -> None:
        super().__init__()
        self.wide = nn.Embedding(BUCKETS, labels, padding_idx=0)
        self.deep = nn.Embedding(BUCKETS, width, padding_idx=0)
        self.hidden = nn.Linear(width, hidden)
        self.output = nn.Linear(hidden, labels)
        self.dropout = nn.Dropout(0.3)
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.ones(labels))
        self.register_buffer("shift", torch.zeros(labels))
        nn.init.zeros_(self.wide.weight)
        nn.init.normal_(self.deep.weight, std=0.1)
        with torch.no_grad():
            self.deep.weight[0] = 0

    def logits(self, tokens: Tensor) -> Tensor:
        """[B, K] uncalibrated logits of tokens [B, T]; token 0 is padding."""
        count = (tokens > 0).sum(1, keepdim=True).clamp(min=1).to(torch.float32).sqrt()
        deep = self.deep(tokens).sum(1) / count
        hidden = torch.relu(self.hidden(self.dropout(deep)))
        logits: Tensor = self.wide(tokens).sum(1) / count + self.output(self.dropout(hidden))
        return logits

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, K] calibrated probabilities of tokens [B, T]."""
        return torch.sigmoid(self.logits(tokens) * self.scale + self.shift)


def masked_bce(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean binary cross-entropy over known targets.

    Args:
        logits: [B, K].
        targets: [B, K] of 1, 0 and NaN where unknown.
        weights: [B] of the rows.
    """
    known = ~torch.isnan(targets)
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.nan_to_num(targets), reduction="none"
    )
    weighted = losses * known * weights[:, None]
    return weighted.sum() / (known * weights[:, None]).sum().clamp(min=1e-6)
