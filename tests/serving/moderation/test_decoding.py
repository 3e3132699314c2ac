"""Decoding what people send: the hostile files of the issue, and the harmless ones beside them."""

import io
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from serving.moderation.decoding import DEFAULT_LIMITS, decode
from serving.moderation.decoding_process import DecodingProcess
from serving.moderation.picture_formats import MediaError


def encoded(form: str, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    gradient = Image.linear_gradient("L").resize(size)
    picture = Image.merge("RGB", (gradient, gradient.rotate(90, expand=False), gradient))
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def animation(form: str, frames: int, size: tuple[int, int] = (8, 8)) -> bytes:
    grey = [Image.new("L", size, n % 251) for n in range(frames)]
    file = io.BytesIO()
    grey[0].save(file, form, save_all=True, append_images=grey[1:], duration=20)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def zipped(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


GOOD_PNG = encoded("PNG")
HOSTILE = {
    "empty": (b"", "unsupported_format"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>', "unsupported_format"),
    "tiff": (encoded("TIFF"), "unsupported_format"),
    "100 megapixels": (
        png(10_000, 10_000, chunk(b"IDAT", zipped(100_010_000))),
        "picture_too_large",
    ),
    "zip bomb in the text": (
        png(8, 8, chunk(b"zTXt", b"a\0\0" + zipped(200 << 20)), chunk(b"IDAT", zipped(72))),
        "damaged_picture",
    ),
    "no pixels": (png(8, 8), "damaged_picture"),
    "truncated jpeg": (encoded("JPEG", (400, 300))[:3_000], "damaged_picture"),
    "truncated webp": (encoded("WEBP", (400, 300))[:300], "damaged_picture"),
    "10,000 frames": (animation("WEBP", 10_000, (2, 2)), "too_many_frames"),
    "html behind a gif": (encoded("GIF") + b"<script>alert(1)</script>", "foreign_content"),
    "zip behind a png": (GOOD_PNG + b"PK\x05\x06" + bytes(18), "foreign_content"),
    "pdf in a jpeg": (encoded("JPEG", comment=b"%PDF-1.7"), "foreign_content"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "unsupported_format"),
    "bytes behind a png": (GOOD_PNG + b"more", "trailing_bytes"),
}


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecodingProcess]:
    process = DecodingProcess()
    yield process
    process.close()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_picture_of_each_format_is_decoded(form: str, decoder: DecodingProcess) -> None:
    content = encoded(form)
    found = decoder.decode(content)
    assert (found.format, found.width, found.height, found.frame_count) == (form, 40, 30, 1)
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(found.pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_time_and_the_decoder_goes_on(
    name: str, decoder: DecodingProcess
) -> None:
    content, code = HOSTILE[name]
    decoder.decode(GOOD_PNG)
    started = time.monotonic()
    with pytest.raises(MediaError) as refusal:
        decoder.decode(content)
    assert refusal.value.code == code
    assert time.monotonic() - started < DEFAULT_LIMITS.time_s
    assert decoder.decode(GOOD_PNG).width == 40


def test_a_file_that_takes_too_long_or_too_much_memory_costs_one_process_only() -> None:
    slow = encoded("PNG", (3_000, 3_000))
    for limits, code in (
        (replace(DEFAULT_LIMITS, time_s=0.01), "decoding_timed_out"),
        (replace(DEFAULT_LIMITS, memory_bytes=250 << 20, longest_side=9_000), "picture_too_large"),
        (replace(DEFAULT_LIMITS, file_bytes=100), "file_too_large"),
    ):
        process = DecodingProcess(limits)
        for _ in range(2):
            with pytest.raises(MediaError) as refusal:
                process.decode(slow)
            assert refusal.value.code == code
        process.close()


def test_an_animation_is_judged_by_frames_spread_over_it() -> None:
    found = decode(animation("GIF", 9))
    assert found.frame_count == 9
    assert [int(frame[0, 0, 0]) for frame in found.frames] == [0, 3, 5, 8]


def test_transparency_lies_on_white_and_a_turned_photograph_stands_upright() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(file, "PNG")
    assert decode(file.getvalue()).pixels.min() == 255

    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode(encoded("JPEG", (40, 30), exif=exif))
    assert (turned.width, turned.height, turned.pixels.shape) == (30, 40, (40, 30, 3))


def test_a_large_picture_is_reduced_and_says_by_how_much() -> None:
    for form in ("JPEG", "PNG"):
        found = decode(encoded(form, (4_000, 1_000)))
        assert (found.width, found.height) == (4_000, 1_000)
        assert found.pixels.shape == (512, 2_048, 3)
        assert found.scale == pytest.approx(4_000 / 2_048)
