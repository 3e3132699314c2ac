"""Array types shared by every layer. Shape letters: B batch, N items, T history, D dimensions."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]  # [H, W, 3], red, green, blue
Box = tuple[int, int, int, int]  # left, top, width, height, in pixels of a picture


class VectorRows(Protocol):
    """[N, D] vectors that are asked for by rows: an array, or something that grows."""

    def __getitem__(self, rows: Rows, /) -> Any:
        """Return the vectors [..., D] of rows [...]."""
