"""Sentences as vectors: a tokenizer and an ONNX graph of one folder, no torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from pydantic import Field, ValidationError
from tokenizers import Tokenizer

from configs.schema import Section
from models.arrays import Vectors
from models.bundle import BundleError, Tensor, check_signature, load_session
from models.text_features import padded

GRAPH = "text_encoder.onnx"
TOKENIZER = "tokenizer.json"
FACTS = "text_encoder.json"
FILES = (GRAPH, TOKENIZER, FACTS)
_PIECES_AT_ONCE = 1_500  # padded; more would leave the processor's cache


class EncoderFacts(Section):
    """What an encoder is; `width` is of its vectors, `most_pieces` of a text are read."""

    name: str
    licence: str
    width: int = Field(ge=1)
    most_pieces: int = Field(ge=2)


@dataclass(frozen=True)
class TextEncoder:
    """One encoder, loaded."""

    facts: EncoderFacts
    tokenizer: Tokenizer
    session: ort.InferenceSession

    def encode(self, texts: Sequence[str]) -> Vectors:
        """[B, width] of B texts, each read up to `most_pieces`."""
        pieces = [found.ids for found in self.tokenizer.encode_batch(list(texts))]
        vectors = np.empty((len(texts), self.facts.width), np.float32)
        for rows in _batches([len(row) for row in pieces]):
            [vectors[rows]] = self.session.run(["vectors"], _inputs([pieces[row] for row in rows]))
        return vectors


def load_text_encoder(folder: Path) -> TextEncoder:
    """Open the files of a folder or bundle.

    Raises:
        BundleError: one is missing, cannot be read or has another signature; names the file.
    """
    try:
        facts = EncoderFacts.model_validate_json((folder / FACTS).read_bytes())
    except (OSError, ValidationError) as error:
        raise BundleError(f"{folder / FACTS}: cannot be read: {error}") from error
    session = load_session(folder / GRAPH)
    rows = Tensor("tensor(int64)", (None, None))
    answer = Tensor("tensor(float)", (None, facts.width))
    check_signature(folder / GRAPH, session, {"pieces": rows, "mask": rows}, {"vectors": answer})
    return TextEncoder(facts, _tokenizer(folder / TOKENIZER, facts.most_pieces), session)


def write_facts(folder: Path, facts: EncoderFacts) -> None:
    """Write what an encoder is beside its graph."""
    text = json.dumps(facts.model_dump(), ensure_ascii=False, indent=1)
    (folder / FACTS).write_text(text, encoding="utf-8")


def _tokenizer(path: Path, most_pieces: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises a bare Exception
        raise BundleError(f"{path}: cannot be read: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(most_pieces)
    return tokenizer


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Rows in batches of like length, so that little is padding."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not batches or (len(batches[-1]) + 1) * lengths[row] > _PIECES_AT_ONCE:
            batches.append([])
        batches[-1].append(row)
    return batches


def _inputs(
    pieces: Sequence[Sequence[int]],
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    mask = padded([[1] * len(row) for row in pieces], np.int64)
    return {"pieces": padded(pieces, np.int64), "mask": mask}
