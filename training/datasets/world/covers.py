"""Cover pictures, drawn when they are needed and the same for the same item.

Hue tells the branch and shapes tell the leaf: a picture says what its item is about. Text is
set in Pillow's own font, which knows Latin letters only; hand in a font to draw other scripts.
"""

from collections.abc import Mapping
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.features import stable_hash
from training.datasets.world.vocabulary import leaves

WIDTH, HEIGHT = 360, 480
MARGIN = 20
SHAPES = (
    "circle",
    "square",
    "triangle",
    "ring",
    "bar",
)  # the n-th of a branch's leaves has the n-th
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw_cover(item: Mapping[str, Any], font: Font | None = None, overlay: str = "") -> Image.Image:
    """Draw an item's cover, WIDTH x HEIGHT pixels, RGB.

    Args:
        item: a record of the Item contract; `item_id` and `category` are needed.
        font: for caption and overlay; None is Pillow's own at 26 pixels.
        overlay: words on a banner across the picture.

    Raises:
        ValueError: `overlay` is not Latin and no font is given.
        KeyError: the category is not of the simulator's vocabulary.
    """
    if font is None and not is_latin(overlay):
        raise ValueError(f"draw_cover: overlay {overlay!r} is not Latin; pass a font that has it")
    rows = {leaf.path: row for row, leaf in enumerate(leaves())}
    row = rows[item["category"]]
    leaf = leaves()[row]
    rng = np.random.default_rng(stable_hash(f"cover:{item['item_id']}"))
    hue = 8 + 240 * leaf.branch // (
        leaves()[-1].branch + 1
    )  # jitter must not cross the circle's seam
    picture = background(hue, rng)
    shape = SHAPES[sum(before.branch == leaf.branch for before in leaves()[:row])]
    draw_shapes(picture, shape, (hue + 128) % 256, rng)
    chosen = font or ImageFont.load_default(26)
    write(picture, caption(item, font is not None), chosen, HEIGHT - 70, "white")
    if overlay:
        pen = ImageDraw.Draw(picture)
        pen.rectangle((0, 60, WIDTH, 60 + 90), fill="crimson")
        write(picture, overlay, chosen, 70, "yellow")
    return picture


def png(picture: Image.Image) -> bytes:
    """The picture as PNG."""
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def background(hue: int, rng: np.random.Generator) -> Image.Image:
    """A vertical gradient around one hue, a little different for every item."""
    shifted = (hue + rng.integers(-6, 7)) % 256
    value = np.linspace(rng.integers(150, 220), rng.integers(60, 110), HEIGHT)
    plane = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    plane[..., 0] = shifted
    plane[..., 1] = rng.integers(90, 170)
    plane[..., 2] = value[:, None].astype(np.uint8)
    return Image.fromarray(plane, "HSV").convert("RGB")


def draw_shapes(picture: Image.Image, shape: str, hue: int, rng: np.random.Generator) -> None:
    """A handful of one shape, in a hue against the background's."""
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 8))):
        x, y = int(rng.integers(0, WIDTH - 80)), int(rng.integers(40, HEIGHT - 160))
        size = int(rng.integers(40, 110))
        colour = f"hsv({hue * 360 // 256},{rng.integers(40, 90)}%,{rng.integers(60, 100)}%)"
        box = (x, y, x + size, y + size)
        {
            "circle": partial(pen.ellipse, box, fill=colour),
            "square": partial(pen.rectangle, box, fill=colour),
            "triangle": partial(
                pen.polygon, [(x, y + size), (x + size, y + size), (x + size // 2, y)], fill=colour
            ),
            "ring": partial(pen.ellipse, box, outline=colour, width=max(size // 6, 3)),
            "bar": partial(pen.rectangle, (x, y, x + size, y + size // 4), fill=colour),
        }[shape]()


def caption(item: Mapping[str, Any], any_script: bool) -> str:
    """The title where the font can show it, else the leaf's Latin name, and the price."""
    title = str(item.get("title") or "")
    words = title if title and (any_script or is_latin(title)) else latin_name(item)
    price = item.get("price")
    return f"{words} {item.get('currency') or ''} {price:g}" if price else words


def latin_name(item: Mapping[str, Any]) -> str:
    """The leaf's name in words."""
    return str(item["category"]).split("/")[-1].replace("_", " ")


def write(picture: Image.Image, text: str, font: Font, top: int, colour: str) -> None:
    """Set text in lines that fit the width, at most three."""
    pen, lines, line = ImageDraw.Draw(picture), [], ""
    for word in text.split(" ") if is_latin(text) else list(text):
        longer = f"{line} {word}".strip() if is_latin(text) else line + word
        if line and pen.textlength(longer, font) > WIDTH - 2 * MARGIN:
            lines.append(line)
            longer = word
        line = longer
    pen.multiline_text((MARGIN, top), "\n".join([*lines, line][:3]), fill=colour, font=font)


def is_latin(text: str) -> bool:
    """Whether Pillow's own font has every letter."""
    return all(ord(letter) < 0x250 for letter in text)
