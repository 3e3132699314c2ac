import numpy as np
import pytest
from PIL import Image, ImageFont

from tests.training.simulated import small_world
from training.datasets.world.covers import HEIGHT, WIDTH, draw_cover, png


def records() -> list[dict[str, object]]:
    items: list[dict[str, object]] = small_world().items.to_pylist()
    return items


def pixels(picture: Image.Image) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    return np.asarray(picture).astype(np.int16)


def test_the_same_item_has_the_same_cover_and_another_item_another() -> None:
    first, other = records()[:2]
    assert png(draw_cover(first)) == png(draw_cover(dict(first)))
    assert png(draw_cover(first)) != png(draw_cover(other))
    assert draw_cover(first).size == (WIDTH, HEIGHT)


def test_an_overlay_shows() -> None:
    item = records()[0]
    plain, claimed = pixels(draw_cover(item)), pixels(draw_cover(item, overlay="No.1 in the world"))
    changed = np.abs(plain - claimed).sum(axis=2) > 60
    assert changed[60:150].mean() > 0.5
    assert not changed[200:300].any()


def test_words_that_the_font_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="pass a font"):
        draw_cover(records()[0], overlay="全网第一")


def test_a_font_of_the_callers_is_used() -> None:
    item = next(i for i in records() if i["language"] == "zh")
    large = ImageFont.load_default(60)
    assert png(draw_cover(item, font=large)) != png(draw_cover(item))


def test_covers_of_one_branch_share_a_hue() -> None:
    groups: dict[str, list[float]] = {}
    for item in records()[:60]:
        hue = np.asarray(draw_cover(item).convert("HSV"))[5, 5, 0]
        groups.setdefault(str(item["category"]).split("/")[0], []).append(float(hue))
    spread = [np.ptp(hues) for hues in groups.values() if len(hues) > 1]
    assert len(spread) > 5
    assert max(spread) <= 16
