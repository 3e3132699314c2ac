"""Copies of a picture are known again, other pictures are not."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from embeddings.bank import PictureBank
from embeddings.fingerprint import fingerprint, trimmed
from embeddings.hash_index import BYTES, HashIndex
from models.arrays import Pixels
from tests.drawn_pictures import scene, with_text

ALIKE = np.array([1.0, 0.1], np.float32)  # in place of what an encoder sees


def turned(picture: Pixels, degrees: float) -> Pixels:
    side = len(picture)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(picture, matrix, (side, side)), np.uint8)


def compressed(picture: Pixels) -> Pixels:
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "same": lambda p: p,
    "recoloured": lambda p: np.clip(p.astype(np.float32) * 0.8 + 20, 0, 255).astype(np.uint8),
    "scaled": lambda p: cv2.resize(p, (200, 200)),
    "compressed": compressed,
    "mirrored": lambda p: p[:, ::-1],
    "quarter turn": np.rot90,
    "bordered": lambda p: cv2.copyMakeBorder(p, 16, 16, 16, 16, cv2.BORDER_CONSTANT, value=255),
    "cropped": lambda p: p[16:-16, 16:-16],
    "overlaid": lambda p: with_text(p, "最低价 SALE", (30, 200), 40),
    "turned": lambda p: turned(p, 3),
}


@pytest.fixture(scope="module")
def bank() -> PictureBank:
    known = PictureBank("originals")
    for seed in range(12):
        known.add(str(seed), fingerprint(scene(seed), ALIKE))
    return known


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_copy_is_known_again(name: str, bank: PictureBank) -> None:
    for seed in range(3):
        copy = np.ascontiguousarray(TRANSFORMS[name](scene(seed)))
        found = bank.match(fingerprint(copy, ALIKE))
        assert [match.entry for match in found] == [str(seed)]
        assert (found[0].distance is None) == (found[0].way == "geometry")


def test_other_pictures_are_not(bank: PictureBank) -> None:
    assert [bank.match(fingerprint(scene(seed), ALIKE)) for seed in range(20, 40)] == [[]] * 20


def test_entries_are_added_replaced_listed_and_removed() -> None:
    bank = PictureBank("violations")
    bank.add("a", fingerprint(scene(1)))
    bank.add("b", fingerprint(scene(2)))
    bank.add("a", fingerprint(scene(3)))
    assert bank.entries() == ["b", "a"]
    assert bank.match(fingerprint(scene(1))) == []
    assert bank.match(fingerprint(scene(3)))[0].distance == 0
    assert bank.remove("a")
    assert not bank.remove("a")
    assert bank.match(fingerprint(scene(3))) == []


def test_flat_pictures_do_not_all_match_each_other() -> None:
    bank = PictureBank("violations")
    bank.add("grey", fingerprint(np.full((64, 64, 3), 128, np.uint8)))
    assert bank.match(fingerprint(np.full((64, 64, 3), 90, np.uint8))) == []


def test_a_border_is_cut_off_and_a_picture_of_one_colour_is_left_alone() -> None:
    picture = scene(5)
    framed = cv2.copyMakeBorder(picture, 10, 20, 0, 30, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    assert np.array_equal(trimmed(np.asarray(framed, np.uint8)), picture)
    plain = np.full((50, 50, 3), 7, np.uint8)
    assert trimmed(plain).shape == plain.shape


def test_the_hash_index_finds_exactly_what_counting_bits_finds() -> None:
    rng = np.random.default_rng(3)
    centres = rng.integers(0, 256, (20, BYTES), np.uint8)
    noise = rng.random((20, 400, BYTES * 8)) < rng.uniform(0, 0.25, (20, 400, 1))
    hashes = (centres[:, None] ^ np.packbits(noise, axis=2)).reshape(-1, BYTES)
    index = HashIndex()
    for part in np.array_split(hashes, 5):  # the last of them stand in no table yet
        index.add(part)
    index.remove(np.arange(0, len(hashes), 7))
    present = np.arange(len(hashes)) % 7 != 0
    for centre in centres:
        rows, distances = index.within(centre[None])
        counted = np.bitwise_count(hashes ^ centre).sum(1)
        expected = np.flatnonzero((counted <= 31) & present)
        assert sorted(rows.tolist()) == expected.tolist()
        assert np.array_equal(distances, np.sort(counted[expected]))


def test_the_hash_index_refuses_a_radius_that_it_cannot_keep() -> None:
    with pytest.raises(ValueError, match="exact up to 31"):
        HashIndex().within(np.zeros((1, BYTES), np.uint8), 40)
