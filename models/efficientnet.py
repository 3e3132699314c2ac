"""EfficientNet-Lite0 (Tan and Le, 2019; Lite: no squeeze, ReLU6), up to its pooled vector.

Names of the parameters are those of the published weights.
"""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.functional import pad, relu6

SIDE = 224  # pixels
WIDTH = 1_280  # of the pooled vector
_STAGES = (  # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class _Convolution(nn.Conv2d):
    """Padded as TensorFlow pads, of whose weights these are: the odd pixel behind."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, groups=groups, bias=False)
        total = kernel - stride  # of even sides, which all are but the last
        self.around = (total // 2, total - total // 2) * 2 if kernel > 1 else (0, 0, 0, 0)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(pad(features, self.around))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _Block(nn.Module):
    """Expand, filter each channel by itself, project (MobileNetV2's)."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expands, self.adds = expansion > 1, stride == 1 and channels == out
        if self.expands:
            self._expand_conv = _Convolution(channels, wide, 1, 1)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _Convolution(wide, wide, kernel, stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv = _Convolution(wide, out, 1, 1)
        self._bn2 = _norm(out)

    def forward(self, before: Tensor) -> Tensor:
        x: Tensor = before
        if self.expands:
            x = relu6(self._bn0(self._expand_conv(x)))
        x = relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        return x + before if self.adds else x


class EfficientNetLite0(nn.Module):
    """Pixels [B, 3, SIDE, SIDE], normalised, to pooled vectors [B, WIDTH]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _Convolution(3, 32, 3, 2)
        self._bn0 = _norm(32)
        self._blocks = nn.ModuleList(_blocks())
        self._conv_head = _Convolution(320, WIDTH, 1, 1)
        self._bn1 = _norm(WIDTH)
        self._fc = nn.Linear(WIDTH, 1_000)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, WIDTH] means over the last feature map."""
        x = relu6(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks:
            x = block(x)
        pooled: Tensor = relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return pooled


def _blocks() -> Iterator[_Block]:
    channels = 32
    for repeats, kernel, stride, expansion, out in _STAGES:
        for repeat in range(repeats):
            yield _Block(channels, out, kernel, stride if repeat == 0 else 1, expansion)
            channels = out
