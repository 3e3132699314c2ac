"""The multi-task ranker: a shared bottom (Caruana, 1997), several seeds at once.

What is linear in the first layer is split by what it depends on, so that the item's part can be
computed ahead for the whole catalogue and the user's part once a request. The last columns of the
first layer go straight to the outputs, as in Wide & Deep (Cheng et al., 2016).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

CLIP = 5.0  # standard deviations; what lies beyond is an accident of few data


@dataclass(frozen=True)
class RankerShape:
    """Sizes: features of user, item and pair; tasks P (the watch ratio not counted); and layers.

    Attributes:
        user, item, cross: widths of the three feature blocks.
        tasks: probabilities predicted; one more output is the watch ratio.
        seeds: networks averaged. hidden, width: of the first and the second layer.
    """

    user: int
    item: int
    cross: int
    tasks: int
    seeds: int
    hidden: int
    width: int

    @property
    def outputs(self) -> int:
        """The tasks and the watch ratio."""
        return self.tasks + 1

    @property
    def half(self) -> int:
        """Width of one block's part of the first layer."""
        return self.hidden + self.outputs


class Block(nn.Module):
    """One block's part of the first layer, for S seeds: standardise, clip, multiply."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, shape: RankerShape) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        fan_in = shape.user + shape.item + shape.cross
        weight = torch.randn(shape.seeds, width, shape.half) * (1.0 / fan_in) ** 0.5
        weight[..., shape.hidden :] = 0.0
        self.weight = nn.Parameter(weight)

    def standardise(self, features: Tensor) -> None:
        """Take mean and scale from features [E, F]; a constant feature is left out."""
        self.mean.copy_(features.mean(0))
        deviation = features.std(0)
        self.scale.copy_(torch.where(deviation > 1e-6, 1 / deviation.clamp(min=1e-6), 0.0))

    def standard(self, features: Tensor) -> Tensor:
        """Features [..., F] in standard deviations from their mean."""
        return ((features - self.mean) * self.scale).clamp(-CLIP, CLIP)

    def forward(self, features: Tensor) -> Tensor:
        """[S, B, half] of features [B, F] or [S, B, F]."""
        return self.standard(features) @ self.weight


class RankerNetwork(nn.Module):
    """S networks of one shape that differ in where they start and in what order they see data."""

    def __init__(self, shape: RankerShape, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        self.user = Block(shape.user, shape)
        self.item = Block(shape.item, shape)
        self.cross = Block(shape.cross, shape)
        self.bias = nn.Parameter(torch.zeros(shape.seeds, 1, shape.half))
        self.dropout = nn.Dropout(dropout)
        s, h, x, p = shape.seeds, shape.hidden, shape.width, shape.outputs
        self.second = nn.Parameter(torch.randn(s, h, x) * (2.0 / h) ** 0.5)
        self.second_bias = nn.Parameter(torch.zeros(s, 1, x))
        self.towers = nn.Parameter(torch.randn(s, x, p) * (1.0 / x) ** 0.5)

    def forward(self, user: Tensor, item: Tensor, cross: Tensor) -> Tensor:
        """Logits and the raw watch ratio [S, B, P + 1] of feature blocks [B, F] or [S, B, F]."""
        return self.rest(self.user(user) + self.item(item) + self.cross(cross))

    def rest(self, first: Tensor) -> Tensor:
        """[S, B, P + 1] out of the sum of the three parts [S, B, half]."""
        shape = self.shape
        total = first + self.bias
        hidden = self.dropout(functional.relu(total[..., : shape.hidden]))
        second = self.dropout(functional.relu(hidden @ self.second + self.second_bias))
        outputs: Tensor = total[..., shape.hidden :] + second @ self.towers
        return outputs


@dataclass(frozen=True)
class Calibration:
    """Lines that bend once, from logits to the logits of what came true; one a task.

    Attributes:
        low, high: [P] slopes below and above the bend. bend: [P]. offset: [P] above the bend.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    bend: tuple[float, ...]
    offset: tuple[float, ...]


class ItemHalf(nn.Module):
    """Item features [N, I] to their part of the first layer of all seeds [N, S * half]."""

    def __init__(self, network: RankerNetwork) -> None:
        super().__init__()
        self.block = network.item

    def forward(self, item: Tensor) -> Tensor:
        """See the class."""
        half: Tensor = self.block(item)
        return half.permute(1, 0, 2).flatten(1)


class RankerScorer(nn.Module):
    """What is served: one user, K candidates, the mean of the seeds' logits, calibrated."""

    low: Tensor
    high: Tensor
    bend: Tensor
    offset: Tensor
    weight: Tensor

    def __init__(self, network: RankerNetwork, calibration: Calibration) -> None:
        """Take over a fitted network and its calibration."""
        super().__init__()
        self.network = network
        for name, values in vars(calibration).items():
            self.register_buffer(name, torch.tensor(values))
        # One product over all seeds is faster than one a seed.
        self.register_buffer("weight", network.cross.weight.detach().permute(1, 0, 2).flatten(1))

    def forward(self, user: Tensor, item_half: Tensor, cross: Tensor) -> Tensor:
        """Probabilities of the tasks and the expected watch ratio [K, P + 1].

        Args:
            user: [1, U]. item_half: [K, S * half] of `ItemHalf`. cross: [K, C].
        """
        shape, network = self.network.shape, self.network
        pairs = item_half + network.cross.standard(cross) @ self.weight
        by_seed = pairs.reshape(-1, shape.seeds, shape.half).permute(1, 0, 2)
        said = network.rest(by_seed + network.user(user)).mean(0)
        told = said[:, :-1]
        below = (self.low - self.high) * (told - self.bend).clamp(max=0)
        probabilities = torch.sigmoid(self.high * told + below + self.offset)
        return torch.cat([probabilities, said[:, -1:].clamp(min=0)], 1)
