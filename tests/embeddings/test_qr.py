"""QR codes are found where they are and read where they can be read."""

import numpy as np
import pytest

from embeddings.qr import find
from tests.drawn_pictures import scene, with_code

PAYLOAD = "https://example.org/join?group=7"


def test_a_picture_without_a_code_has_none() -> None:
    assert [find(scene(seed)) for seed in range(8)] == [[]] * 8


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("inverted", [False, True])
def test_a_code_is_read_turned_and_inverted(turns: int, inverted: bool) -> None:
    picture = np.rot90(with_code(scene(1), PAYLOAD, (150, 40), 100), turns)
    picture = 255 - picture if inverted else picture
    [code] = find(np.ascontiguousarray(picture))
    assert code.payload == PAYLOAD
    if turns == 0:
        assert np.allclose(code.box, (165, 55, 87, 87), atol=3)


def test_two_codes_are_two() -> None:
    picture = with_code(with_code(scene(2), "one", (10, 10), 90), "two", (180, 180), 90)
    assert sorted(code.payload or "" for code in find(picture)) == ["one", "two"]


def test_a_damaged_code_is_seen_without_a_payload() -> None:
    picture = with_code(scene(3), PAYLOAD, (100, 100), 120)
    picture[150:205, 150:205] = 255
    [code] = find(picture)
    assert code.payload is None
