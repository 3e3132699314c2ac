"""Array types shared by every layer. Shape letters: B batch, N items, T history, D dimensions."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
