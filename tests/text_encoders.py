"""A small genuine text encoder: random vectors of words, averaged; exported in a second."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn

from embeddings.text_encoder import EncoderFacts
from training.text_encoder import write_encoder

FACTS = EncoderFacts(name="words at random", licence="ours", width=96, most_pieces=64)


class RandomWords(nn.Module):
    """Pieces to the mean of their vectors, which nothing has trained."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.vectors = nn.Embedding(pieces, FACTS.width)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        known = mask[:, :, None].float()
        mean: Tensor = (self.vectors(pieces) * known).sum(1) / known.sum(1).clamp(min=1)
        return mean


def write_tiny_encoder(folder: Path, texts: Sequence[str]) -> None:
    """Write an encoder that knows the words of some texts, an ideograph being one."""
    unknown = "<unk>"
    tokenizer = Tokenizer(models.WordLevel({}, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Split(Regex("[\u4e00-\u9fff]"), "isolated")]
    )
    tokenizer.train_from_iterator(
        texts, trainers.WordLevelTrainer(vocab_size=3_000, special_tokens=[unknown, "<s>", "</s>"])
    )
    folder.mkdir(parents=True, exist_ok=True)
    model = RandomWords(tokenizer.get_vocab_size()).eval()
    write_encoder(model, tokenizer, FACTS, folder)
