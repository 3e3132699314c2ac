"""The picture head of the moderation classifier (torch; served as ONNX)."""

import torch
from torch import Tensor, nn


class PictureClassifier(nn.Module):
    """Vectors of pictures to one calibrated probability a policy.

    Logistic regression over standardised vectors, Platt's calibration inside the graph. The last
    dimension of a vector is the explicitness, which is passed on as the last policy.
    """

    def __init__(self, dimensions: int, policies: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.spread: Tensor
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("spread", torch.ones(dimensions))
        self.output = nn.Linear(dimensions, policies)
        self.register_buffer("scale", torch.ones(policies))
        self.register_buffer("shift", torch.zeros(policies))

    def forward(self, vectors: Tensor) -> Tensor:
        """[B, policies + 1] probabilities of vectors [B, dimensions + 1]."""
        seen, explicit = vectors[:, :-1], vectors[:, -1:]
        logits = self.output((seen - self.mean) / self.spread)
        return torch.cat([torch.sigmoid(logits * self.scale + self.shift), explicit], 1)
