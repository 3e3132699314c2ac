"""Text as arrays: same for evasions of the same text, bounded, padded with zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.canonical import TextError, spoken
from models.text_features import (
    FEATURE_BUCKETS,
    WINDOW_CHARACTERS,
    text_arrays,
    text_tokens,
)


@pytest.mark.parametrize(
    ("evaded", "clean"),
    [("垃 圾", "垃圾"), ("垃\u200b圾", "垃圾"), ("іdіоt", "idiot"), ("1d10t", "idiot")],
)
def test_what_canonical_text_undoes_gives_the_same_text(evaded: str, clean: str) -> None:
    assert text_tokens(evaded)[2] == text_tokens(clean)[2]


def test_a_homophone_shares_features_by_sound() -> None:
    shared = set(text_tokens("辣鸡东西")[0]) & set(text_tokens("腊机冬溪")[0])
    assert len(shared) >= 3


def test_pinyin_in_letters_shares_features_with_ideographs() -> None:
    def sounds(text: str) -> set[int]:
        return set(text_tokens(text)[0])

    assert len(sounds("这些renzha") & sounds("这些人渣")) > len(sounds("这些") & sounds("这些人渣"))
    assert spoken("renzha和垃ji") == ["ren", "zha", "he", "la", "ji"]
    assert spoken("hello") == ["hello"]


def test_order_is_kept_in_the_text_and_in_pairs() -> None:
    first, second = text_tokens("one two three"), text_tokens("three two one")
    assert first[2] != second[2]
    shared = set(first[0]) & set(second[0])
    assert 0 < len(shared) < len(first[0])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), max_size=4))
def test_arrays_are_bounded_and_padded(texts: list[str]) -> None:
    arrays = text_arrays(texts)
    assert len(arrays.features) == len(arrays.plain) == len(texts)
    assert arrays.features.shape[1] >= 1
    assert ((arrays.frequencies >= 1) == (arrays.features > 0)).all()
    assert ((arrays.features >= 0) & (arrays.features < FEATURE_BUCKETS)).all()


def test_long_texts_are_cut_and_lone_surrogates_refused() -> None:
    text = "".join(chr(0x4E00 + n % 5_000) for n in range(10_000))
    assert 0 < len(text_arrays([text]).plain[0]) <= WINDOW_CHARACTERS
    with pytest.raises(TextError):
        text_arrays(["\ud800"])


def test_empty_text_is_all_padding() -> None:
    arrays = text_arrays([""])
    np.testing.assert_array_equal(arrays.features, np.zeros((1, 1), np.int64))
    assert arrays.plain == ("",)
