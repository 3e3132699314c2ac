"""Composed pictures: fonts that have the letters, parts that share nothing, words to be read."""

import numpy as np
import pytest

from embeddings.ocr import as_text, read
from tests.drawn_pictures import scene
from training.datasets.layouts import HIDINGS, LAYOUTS, banner
from training.datasets.lettering import FONTS, Font, lettered
from training.datasets.picture_claims import Language, Part, composed, filled, load_words

CHARACTERS = sorted({c for c in load_words().zh.model_dump_json() if "\u4e00" <= c <= "\u9fff"})


@pytest.mark.parametrize("font", [font for font in FONTS if font.has("zh")], ids=lambda f: f.name)
def test_a_chinese_font_has_every_character_that_is_written(font: Font) -> None:
    missing = lettered("\U000f0000", font, 24)  # what the font draws for what it does not have
    for character in CHARACTERS:
        ink = lettered(character, font, 24)
        assert ink.shape != missing.shape or not np.array_equal(ink, missing), character


@pytest.mark.parametrize("font", FONTS, ids=lambda f: f.name)
def test_a_font_draws_latin_letters_of_about_the_size_that_is_asked(font: Font) -> None:
    ink = lettered("Shop now", font, 40)
    assert 25 <= ink.shape[0] <= 60
    assert ink.shape[1] > 2.5 * ink.shape[0]
    with pytest.raises(ValueError, match="no ink"):
        lettered(" ", font, 40)


def test_the_parts_share_no_font_layout_wording_and_hide_otherwise() -> None:
    parts: tuple[Part, Part] = ("tuned", "held_out")
    faces = [{font.face for font in FONTS if font.part == part} for part in parts]
    assert not faces[0] & faces[1]
    assert not LAYOUTS["tuned"].keys() & LAYOUTS["held_out"].keys()
    assert HIDINGS["tuned"].keys() & HIDINGS["held_out"].keys() == {"none"}
    for language in (load_words().zh, load_words().en):
        tuned, held_out = (
            {claim for claims in language.part(part).claims.values() for claim in claims}
            for part in parts
        )
        assert not tuned & held_out


@pytest.mark.parametrize("part", ["tuned", "held_out"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_pictures_are_the_same_for_the_same_seed_and_say_what_they_hold(
    language: Language, part: Part
) -> None:
    grounds = [scene(1, 200), scene(2, 300)[:200]]
    drawn = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        drawn.append([composed(grounds, language, part, n % 2 == 0, rng) for n in range(8)])
    for one, again in zip(*drawn, strict=True):
        assert np.array_equal(one.pixels, again.pixels)
    for n, picture in enumerate(drawn[0]):
        assert max(picture.pixels.shape) == 640
        assert (picture.label is not None) == (n % 2 == 0)
        assert 1 <= len(picture.texts) <= 2
        assert not any("<" in text for text in picture.texts)


def test_blanks_are_filled() -> None:
    line = filled("<goods> <code> <phone> <old> <low>", ["tea"], np.random.default_rng(0))
    goods, code, phone, old, low = line.split()
    assert (goods, len(code), len(phone)) == ("tea", 9, 11)
    assert int(old) > int(low)


def test_what_is_written_can_be_read() -> None:
    rng = np.random.default_rng(3)
    font = next(font for font in FONTS if font.face == "noto_serif")
    picture = banner(scene(4, 480), ["国家级品质", "销量第一"], font, rng)
    text = as_text(read(picture))
    assert "国家级品质" in text
    assert "销量第一" in text
