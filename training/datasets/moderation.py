"""Labelled content: one Arrow table a source, with a column for each label.

A label's column holds 1, 0 or null; null is unknown and never counts as negative. Anybody's own
Parquet file of the same columns is read by `own_texts`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from configs.labels import load_labels
from models.arrays import Vectors
from models.canonical import canonical_text

TRAINED = ("harassment", "hate", "community/vulgar", "community/clickbait")
CONTENT = pa.schema(
    [
        pa.field("text", pa.string()),
        pa.field("image", pa.binary()),
        pa.field("ocr_text", pa.string()),
        pa.field("source", pa.string(), nullable=False),
    ]
)
LICENCES = {
    "coldataset": "Apache-2.0",
    "davidson": "MIT",
    "clickbait": "MIT",
    "clothing_reviews": "CC0",
    "contrasts_zh": "ours",
    "contrasts_en": "ours",
    "held_contrasts_zh": "ours",
    "held_contrasts_en": "ours",
}
OWN = "own/"  # begins the names of sources that are not ours
_SHINGLE = 4  # characters
_PERMUTATIONS = 64


@dataclass(frozen=True)
class LabelledContent:
    """Content and what is known of it.

    Attributes:
        table: schema ``CONTENT`` and a float32 column for each of `labels`.
        labels: names of the label columns.
    """

    table: pa.Table
    labels: tuple[str, ...]

    def texts(self) -> list[str]:
        """Texts of all rows, "" where there is none."""
        return [text or "" for text in self.table["text"].to_pylist()]

    def targets(self) -> Vectors:
        """[N, K] of 1, 0 and NaN where unknown."""
        columns = [self.table[label].to_numpy(zero_copy_only=False) for label in self.labels]
        return np.stack(columns, axis=1).astype(np.float32)

    def sources(self) -> NDArray[np.object_]:
        """[N] names of the sources."""
        return np.array(self.table["source"].to_pylist(), object)


def content(
    texts: Sequence[str],
    source: str,
    known: Mapping[str, Sequence[float | None]],
    labels: tuple[str, ...] = TRAINED,
) -> LabelledContent:
    """Text-only content of one source; labels not in `known` are unknown."""
    unknown = [None] * len(texts)
    columns: dict[str, pa.Array] = {
        "text": pa.array(texts, pa.string()),
        "image": pa.array(unknown, pa.binary()),
        "ocr_text": pa.array(unknown, pa.string()),
        "source": pa.array([source] * len(texts), pa.string()),
    }
    columns |= {label: pa.array(known.get(label, unknown), pa.float32()) for label in labels}
    return LabelledContent(pa.table(columns), labels)


def own_texts(path: Path) -> LabelledContent:
    """Read someone's own labelled texts; the file is a source by its name.

    Columns are those of ``CONTENT``, of which `text` is needed, and labels of
    ``configs/labels.yaml``. Rows without a text say nothing to a text classifier and are left out.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no Parquet, has no `text`, no label or a column that is no label, or a
            value is not 0, 1 or null.
    """
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: is no Parquet: {error}") from error
    labels = tuple(name for name in table.column_names if name not in CONTENT.names)
    if strange := [name for name in labels if name not in load_labels().labels]:
        raise ValueError(f"{path}: columns {strange} are neither content nor labels")
    if "text" not in table.column_names or not labels:
        raise ValueError(f"{path}: needs a column text and one or more labels")
    for name in labels:
        odd = pc.unique(table[name].cast(pa.float32())).drop_null().to_pylist()
        if set(odd) - {0.0, 1.0}:
            raise ValueError(f"{path}: {name} holds {odd}; a label is 0, 1 or null")
    table = table.filter(pc.greater(pc.utf8_length(pc.fill_null(table["text"], "")), 0))
    known = {name: table[name].cast(pa.float32()).to_pylist() for name in labels}
    return content(table["text"].to_pylist(), OWN + path.stem, known, labels)


def joined(parts: Sequence[LabelledContent]) -> LabelledContent:
    """All parts in one table; a label that a part lacks is unknown there."""
    labels = tuple(dict.fromkeys(label for part in parts for label in part.labels))
    tables = []
    for part in parts:
        table = part.table
        for label in labels:
            if label not in part.labels:
                table = table.append_column(label, pa.nulls(len(table), pa.float32()))
        tables.append(table.select([*CONTENT.names, *labels]))
    return LabelledContent(pa.concat_tables(tables), labels)


def of_labels(labelled: LabelledContent, labels: tuple[str, ...]) -> LabelledContent:
    """The same content with its labels in this order.

    Raises:
        ValueError: a label of the content is not among these, or one of these nowhere known.
    """
    known = {
        name
        for name in labelled.labels
        if labelled.table[name].null_count < labelled.table.num_rows
    }
    if strange := sorted(known - set(labels)):
        raise ValueError(f"{strange} are labelled but not trained: add them to the recipe's labels")
    if missing := [name for name in labels if name not in known]:
        raise ValueError(f"{missing} stand in the recipe's labels, and no source knows them")
    return LabelledContent(labelled.table.select([*CONTENT.names, *labels]), labels)


def coldataset(data: Path) -> LabelledContent:
    """Chinese posts (Deng et al., EMNLP 2022): offensive to persons or groups, or not."""
    table = pq.read_table(data / "coldataset-train" / "coldataset_train_dev.parquet")
    offensive = [float(label) for label in table["label"].to_pylist()]
    known = {"harassment": offensive, "hate": offensive}
    return content(table["text"].to_pylist(), "coldataset", known)


def davidson(data: Path) -> LabelledContent:
    """English tweets (Davidson et al., ICWSM 2017): hate, offensive language, neither."""
    table = pq.read_table(data / "davidson-hate-offensive" / "labeled_data.parquet")
    names = table["label_name"].to_pylist()
    known: dict[str, Sequence[float | None]] = {
        "harassment": [float(name != "neither") for name in names],
        "hate": [float(name == "hate_speech") for name in names],
        "community/vulgar": [
            {"offensive_language": 1.0, "neither": 0.0}.get(name) for name in names
        ],
    }
    return content(table["text"].to_pylist(), "davidson", known)


def clickbait(data: Path) -> LabelledContent:
    """English headlines (Chakraborty et al., ASONAM 2016)."""
    table = pq.read_table(data / "clickbait-dev" / "headlines.parquet")
    known = {"community/clickbait": [float(label) for label in table["label"].to_pylist()]}
    return content(table["title"].to_pylist(), "clickbait", known)


def clothing_reviews(data: Path, rows: int = 4_000) -> LabelledContent:
    """English product reviews of a curated set: benign as to abuse, unknown as to the rest."""
    table = pq.read_table(data / "womens-clothing-reviews" / "reviews.parquet")
    texts = [text for text in table["Review Text"].to_pylist() if text][:rows]
    benign = [0.0] * len(texts)
    return content(texts, "clothing_reviews", {"harassment": benign, "hate": benign})


def near_duplicate_clusters(texts: Sequence[str], threshold: float = 0.5) -> NDArray[np.int64]:
    """[N] cluster of each text, named by its first row: texts whose shingles agree, transitively.

    MinHash with locality-sensitive hashing (Broder, 1997), over character shingles of the
    canonical text, so that a copy that evades falls in with its original.
    """
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
    parent = list(range(len(texts)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    shingled = ([s.encode() for s in _shingles(canonical_text(text))] for text in texts)
    for row, sketch in enumerate(MinHash.generator(shingled, num_perm=_PERMUTATIONS)):
        for other in index.query(sketch):
            first, second = sorted((root(row), root(int(other))))
            parent[second] = first
        index.insert(str(row), sketch)
    return np.array([root(row) for row in range(len(texts))], np.int64)


def _shingles(text: str) -> set[str]:
    dense = "".join(text.split())
    return {dense[i : i + _SHINGLE] for i in range(max(1, len(dense) - _SHINGLE + 1))}


def split_by_cluster(
    clusters: NDArray[np.int64], seed: int, shares: tuple[float, float] = (0.8, 0.1)
) -> NDArray[np.object_]:
    """[N] of "train", "calibration" and "test"; a cluster is never divided.

    A cluster's draw hangs on its own name alone, so that one cluster more moves no other.

    Args:
        clusters: [N] names in [0, N), as `near_duplicate_clusters` gives them.
        seed: of the draws.
        shares: of "train" and "calibration".
    """
    drawn = np.random.default_rng(seed).random(len(clusters))[clusters]
    first, second = shares
    split = np.where(
        drawn < first, "train", np.where(drawn < first + second, "calibration", "test")
    )
    return split.astype(object)
