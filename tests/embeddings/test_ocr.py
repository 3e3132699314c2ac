"""Text in pictures is read where it stands."""

import numpy as np

from embeddings.ocr import read
from tests.drawn_pictures import with_text


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
