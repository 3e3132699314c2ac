"""Gated fusion of a label's evidence from text, text in pictures and pictures (torch; ONNX)."""

import torch
from torch import Tensor, nn

from models.modalities import MODALITIES

SHARP = 4.0  # slope of gates that are not fitted: nearly the likeliest modality alone
_LEAST = 1e-6  # of a probability and of its distance to 1
_ABSENT = -1e9  # of the gate of a modality that says nothing


class Fusion(nn.Module):
    """Probabilities of a label by several modalities to one calibrated probability.

    Gates say how much each modality that is there counts: softmax of slope x logit + bias (Jacobs
    et al., 1991), between their mean (slope 0) and the likeliest (a steep slope). A text alone and
    a picture alone keep the probability that their own graphs calibrated. Text that was read in a
    picture is scored by the text model, which was calibrated on texts as they were written; its
    logit is calibrated anew here (Platt, 1999). `more` is what a label's logit gains where two
    modalities speak.
    """

    def __init__(self, labels: int) -> None:
        """Not fitted: the likeliest modality, nearly.

        Args:
            labels: K.
        """
        super().__init__()
        self.scale = nn.Parameter(torch.ones(labels))
        self.shift = nn.Parameter(torch.zeros(labels))
        self.slope = nn.Parameter(torch.full((labels,), SHARP))
        self.bias = nn.Parameter(torch.zeros(labels))
        self.more = nn.Parameter(torch.zeros(labels))
        self.ocr: Tensor
        is_ocr = [[float(name == "ocr")] for name in MODALITIES]
        self.register_buffer("ocr", torch.tensor(is_ocr))

    def logits(self, scores: Tensor, known: Tensor) -> Tensor:
        """[B, K] logits of scores and known [B, M, K]."""
        single = torch.logit(scores.clamp(_LEAST, 1 - _LEAST))
        single = single + self.ocr * (single * (self.scale - 1) + self.shift)
        gates = torch.where(known > 0, self.slope * single + self.ocr * self.bias, _ABSENT)
        joined = (torch.softmax(gates, 1) * single).sum(1)
        return joined + self.more * (known.sum(1) - 1).clamp(min=0)

    def forward(self, scores: Tensor, known: Tensor) -> Tensor:
        """[B, K] calibrated probabilities; 0 where no modality knows a label.

        Args:
            scores: [B, M, K] probabilities, in the order of MODALITIES.
            known: [B, M, K] 1 where a modality is there and scores the label, else 0.
        """
        return torch.sigmoid(self.logits(scores, known)) * known.amax(1)
