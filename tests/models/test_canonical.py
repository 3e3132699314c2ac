"""Canonical text: what it undoes, and that its offsets always point into the original."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.canonical import TextError, canonical_text, read

EVADED = st.text(
    alphabet=st.sampled_from(
        "全网最低价弓虽女干強姦abcsh1t@$0. *-_|~\u200b\ufe0f\u0301🔥❶ａВо，。!!\n "
    ),
    max_size=60,
)
WELL_FORMED = st.one_of(EVADED, st.text(max_size=60).filter(lambda t: not _has_surrogate(t)))


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("ｆｕｃｋ", "fuck"),
        ("最\u200b好\ufe0f", "最好"),
        ("іdіоt ïdíöt ⓘⓓⓘⓞⓣ 𝒊𝒅𝒊𝒐𝒕", "idiot idiot idiot idiot"),
        ("全網最低價", "全网最低价"),
        ("最 * 好 的 面 料", "最好的面料"),
        ("i.d.i.o.t", "idiot"),
        ("t🔥r🔥a🔥s🔥h", "trash"),
        ("垃🍎圾", "垃圾"),
        ("傻傻傻傻逼", "傻逼"),
        ("弓虽女干", "强奸"),
        ("❶③⑧💯", "138100%"),
        ("女子 明日", "女子明日"),
        ("价格13800元", "价格13800元"),
        ("good books", "good books"),
    ],
)
def test_evasions_are_undone_and_plain_text_stays(written: str, canonical: str) -> None:
    assert canonical_text(written) == canonical


def test_other_readings_stand_beside() -> None:
    reading = read("sh1t 加薇 一三八幺二三四五六七八")
    assert reading.leet is not None
    assert "shit" in reading.leet.text
    assert "jiawei" in reading.pinyin.text
    assert "13812345678" in reading.digits.text
    assert read("plain words").leet is None


@given(WELL_FORMED)
def test_offsets_map_inside_the_original_in_order(text: str) -> None:
    for _, channel in read(text).named():
        assert len(channel.text) == len(channel.starts) == len(channel.ends)
        assert channel.starts == sorted(channel.starts)
        assert channel.ends == sorted(channel.ends)
        assert all(
            0 <= s < e <= len(text) for s, e in zip(channel.starts, channel.ends, strict=True)
        )


@given(WELL_FORMED)
def test_canonical_text_is_canonical(text: str) -> None:
    once = canonical_text(text)
    assert canonical_text(once) == once


@given(before=EVADED, word=st.sampled_from(["全 網", "弓虽", "ｓpam", "b\u200bad"]), after=EVADED)
def test_evidence_holds_what_was_matched(before: str, word: str, after: str) -> None:
    text = f"{before}。{word}。{after}"
    reading = read(text).canonical
    needle = canonical_text(word)
    places = [i for i in range(len(reading.text)) if reading.text.startswith(needle, i)]
    slices = [slice(*reading.span(i, i + len(needle))) for i in places]
    assert any(canonical_text(text[part]) == needle for part in slices)
    assert any(text[part] == word for part in slices)


def test_a_lone_surrogate_is_refused_with_its_place() -> None:
    with pytest.raises(TextError, match=r"U\+D83D at character 2.*well-formed"):
        read("ab\ud83d")


@pytest.mark.parametrize("unit", ["最好 ", "a.", "弓", "弓虽 ", "*", "a b ", "\u0301e", "！！"])
def test_a_megabyte_takes_linear_time(unit: str) -> None:
    small, large = (_seconds(unit * (n // len(unit))) for n in (100_000, 1_000_000))
    assert large < 30 * max(small, 0.05)


def _seconds(text: str) -> float:
    begin = time.process_time()
    read(text)
    return time.process_time() - begin
