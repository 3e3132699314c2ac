"""Labelled files: content of any source with one label, that a moderation bundle is judged on.

Parquet or CSV (also ``.csv.gz``) with `label` 0 or 1 and `text`, `image` or both. A picture is the
bytes of its file; bytes in base64 or as a data URI; the path of a file, from the folder that holds
the labelled one; ``{"bytes": ..., "path": ...}``; or a list of these.
"""

import base64
import binascii
import csv
import gzip
import io
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.arrays import Vectors
from serving.moderation.decoding import Picture, decode
from serving.moderation.findings import Content

_TARGETS = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0}
_ABSENT = {"", "nan", "none", "null"}


@dataclass(frozen=True)
class LabelledFile:
    """Rows whose label is known; pictures are decoded when a row is asked for.

    Attributes:
        path: of the file.
        rows: N rows as they stand in it. places: [N] their numbers there, from 0.
        targets: [N] of 1 and 0, both present.
        unlabelled: rows without a label, which say nothing.
    """

    path: Path
    rows: list[dict[str, Any]]
    places: list[int]
    targets: Vectors
    unlabelled: int

    def __len__(self) -> int:
        return len(self.rows)

    def content(self, n: int) -> Content:
        """Row n, its pictures decoded; an empty text where the row holds nothing.

        Raises:
            MediaError: a picture is damaged, too large or of another format.
            ValueError: what stands for a picture is none of the forms above.
        """
        row = self.rows[n]
        text = _text(row.get("text"))
        pictures = _pictures(row.get("image"), self.path.parent)
        return Content((text,) if text or not pictures else (), pictures)


def labelled_file(path: Path) -> LabelledFile:
    """Read a file.

    Raises:
        OSError: it cannot be read.
        ValueError: a column lacks, a label is neither 0 nor 1, or only one of them occurs.
    """
    rows = _csv_rows(path) if ".csv" in path.suffixes else _parquet_rows(path)
    columns = set(rows[0] if rows else ())
    if "label" not in columns or not {"text", "image"} & columns:
        raise ValueError(f"{path}: needs the columns label and text, image or both; has {columns}")
    known = [(n, target) for n, row in enumerate(rows) if (target := _target(row, n, path)) >= 0]
    targets = np.array([target for _, target in known], np.float32)
    if set(targets.tolist()) != {0.0, 1.0}:
        raise ValueError(f"{path}: label must be 0 and 1, both; found {sorted(set(targets))}")
    places = [n for n, _ in known]
    return LabelledFile(
        path, [rows[n] for n in places], places, targets, unlabelled=len(rows) - len(known)
    )


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    csv.field_size_limit(sys.maxsize)  # a picture in base64 is longer than the 128 kB of default
    packed = path.read_bytes()
    plain = gzip.decompress(packed) if path.suffix == ".gz" else packed
    return list(csv.DictReader(io.StringIO(plain.decode("utf-8-sig"), newline="")))


def _parquet_rows(path: Path) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: is neither CSV by its name nor Parquet: {error}") from error
    wanted = [name for name in ("text", "image", "label") if name in table.column_names]
    rows: list[dict[str, Any]] = table.select(wanted).to_pylist()
    return rows


def _target(row: Mapping[str, Any], n: int, path: Path) -> float:
    """1 or 0; -1 where the label is unknown."""
    label = row["label"]
    word = str(float(label) if isinstance(label, (int, float)) else label).strip().lower()
    if label is None or word in _ABSENT:
        return -1.0
    if (target := _TARGETS.get(word.removesuffix(".0"))) is None:
        raise ValueError(f"{path}: row {n}: label is {label!r}, it must be 0 or 1")
    return target


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _pictures(value: Any, folder: Path) -> tuple[Picture, ...]:
    parts = value if isinstance(value, list) else [value]
    files = [_file(part, folder) for part in parts]
    return tuple(decode(content) for content in files if content)


def _file(value: Any, folder: Path) -> bytes:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return _written_out(value.strip(), folder) if value.strip().lower() not in _ABSENT else b""
    raise ValueError(f"image is {type(value).__name__}: neither bytes, base64 nor a path")


def _written_out(value: str, folder: Path) -> bytes:
    path = folder / value[:4096]
    if len(value) < 1024 and path.is_file():
        return path.read_bytes()
    try:
        return base64.b64decode(value.partition(",")[2] or value, validate=True)
    except binascii.Error:
        raise ValueError(f"image {value[:60]!r} is neither base64 nor a file in {folder}") from None
