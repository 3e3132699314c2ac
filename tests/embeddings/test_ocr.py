"""Text in pictures is read where it stands."""

import numpy as np

from embeddings.ocr import TextLine, as_text, has_text, read, spaced
from tests.drawn_pictures import scene, with_text


def test_chinese_and_english_are_read_with_their_boxes() -> None:
    paper = np.full((200, 480, 3), 235, np.uint8)
    picture = with_text(with_text(paper, "全网最低价", (40, 70)), "Miracle cure", (40, 150))
    lines = read(picture)
    assert [line.text for line in lines] == ["全网最低价", "Miracle cure"]
    assert all(line.confidence > 0.9 for line in lines)
    left, top, width, height = lines[0].box
    assert abs(left - 40) < 12
    assert 30 < top < 60
    assert 140 < width < 200
    assert 25 < height < 50


def test_a_picture_without_text_has_none() -> None:
    assert read(np.full((64, 64, 3), 128, np.uint8)) == []


def test_a_quick_look_tells_pictures_with_text() -> None:
    plain = [scene(seed, 480) for seed in range(8)]
    written = [with_text(picture, "全网最低价 SALE", (60, 240), 36) for picture in plain]
    assert sum(map(has_text, written)) == 8
    assert sum(map(has_text, plain)) <= 3
    assert not has_text(np.full((64, 64, 3), 128, np.uint8))


def test_a_sentence_that_goes_on_below_is_one_sentence() -> None:
    lines = [
        TextLine("全网", (100, 100, 80, 40), 0.9),
        TextLine("最低价", (90, 146, 100, 40), 0.9),
        TextLine("far below", (100, 400, 100, 30), 0.9),
        TextLine("beside", (300, 402, 90, 30), 0.9),
    ]
    assert as_text(lines) == "全网 最低价\nfar below\nbeside"
    assert as_text([]) == ""


def test_a_last_character_that_is_a_mere_stroke_is_read() -> None:
    paper = np.full((120, 480, 3), 235, np.uint8)
    assert [line.text for line in read(with_text(paper, "全国销量第一", (40, 70)))] == [
        "全国销量第一"
    ]


def test_text_that_runs_down_or_stands_upside_down_is_read() -> None:
    paper = with_text(np.full((120, 480, 3), 235, np.uint8), "Miracle cure", (120, 70))
    for turns in range(4):
        [line] = read(np.ascontiguousarray(np.rot90(paper, turns)))
        assert line.text.replace(" ", "") == "Miraclecure"


def test_lost_gaps_come_back_and_codes_and_addresses_stay() -> None:
    assert spaced("CURESCANCERNATURALLY today") == "CURES CANCER NATURALLY today"
    assert spaced("PAY'OUTSIDE'THE APP") == "PAY OUTSIDE THE APP"
    for text in ("gniegwbgq740", "www.cheapbags.shop", "unbeatable", "friend's", "t.me/cheapbags"):
        assert spaced(text) == text
