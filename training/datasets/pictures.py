"""Pictures with the policy that each breaks, if any."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.arrays import Pixels
from serving.moderation.decoding import decode

POLICY_SET = "image-policy-dev"
LICENCE = "CC BY 4.0 (Caltech 101, as CaltechDATA lists it; the copy used states none)"


@dataclass(frozen=True)
class LabelledPictures:
    """N pictures.

    Attributes:
        pictures: pixels of each. policies: [N] the policy that it breaks, "" for none.
        kinds: [N] what it shows.
    """

    pictures: tuple[Pixels, ...]
    policies: NDArray[np.str_]
    kinds: NDArray[np.str_]


def labelled_pictures(folder: Path) -> LabelledPictures:
    """Read ``images.parquet`` of a folder, or a file: `jpeg` or `image`, `policy`, `object_class`.

    Raises:
        FileNotFoundError: there is no such file.
        MediaError: a picture cannot be decoded.
    """
    path = folder / "images.parquet" if folder.is_dir() else folder
    rows = pq.read_table(path).to_pylist()
    return LabelledPictures(
        pictures=tuple(decode(row.get("jpeg") or row["image"]).pixels for row in rows),
        policies=np.array([row.get("policy") or "" for row in rows]),
        kinds=np.array([row.get("object_class") or "" for row in rows]),
    )
