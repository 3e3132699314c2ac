"""Known texts and pictures are known again."""

import numpy as np
import pytest

from embeddings.fingerprint import fingerprint
from models.canonical import read
from serving.moderation.banks import BankBook, Known, signature
from tests.drawn_pictures import scene

TEXT = "加微信领取内部优惠，先到先得，名额有限，仅限今天下单的新用户"


def known(entry_id: str, kind: str = "text") -> Known:
    return Known(entry_id, "scams", "text" if kind == "text" else "picture", "hate", "block")


def book() -> BankBook:
    made = BankBook()
    made.add_text(known("a"), TEXT)
    made.add_text(known("b"), "an entirely different sentence about tea and teapots")
    made.add_picture(known("p", "picture"), fingerprint(scene(1)))
    return made


@pytest.mark.parametrize(
    "copy", [TEXT, TEXT.replace("，", " "), TEXT.replace("微信", "微 信") + "！"]
)
def test_a_copy_of_a_text_is_found_however_it_is_spaced(copy: str) -> None:
    [found] = book().texts("text:0", read(copy))
    assert (found.bank, found.entry, found.action, found.way) == ("scams", "a", "block", "minhash")
    assert found.distance is not None
    assert found.distance < 0.2


def test_another_text_is_not() -> None:
    assert book().texts("text:0", read("今天下雨，我们在家喝茶看书，晚上吃火锅")) == []
    assert book().texts("text:0", read("茶")) == []
    assert BankBook().texts("text:0", read(TEXT)) == []


def test_a_copy_of_a_picture_is_found_and_leaves_with_its_entry() -> None:
    banks = book()
    paler = np.clip(scene(1).astype(int) + 12, 0, 255).astype(np.uint8)
    [found] = banks.pictures("picture:0", lambda: fingerprint(paler))
    assert (found.entry, found.way, found.source) == ("p", "pdq", "picture:0")
    assert banks.pictures("picture:0", lambda: fingerprint(scene(2))) == []
    banks.remove("p")
    assert banks.pictures("picture:0", lambda: fingerprint(paler)) == []
    banks.remove("a")
    assert banks.texts("text:0", read(TEXT)) == []
    assert banks.labels() == {"hate"}


def test_signatures_estimate_the_share_of_shingles_that_are_the_same() -> None:
    rng = np.random.default_rng(0)
    letters = [chr(0x4E00 + n) for n in rng.permutation(3000)[:400].tolist()]
    one, other = signature("".join(letters)), signature("".join(letters[40:]))
    assert one is not None
    assert other is not None
    assert (one == other).mean() == pytest.approx(0.9, abs=0.08)


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer than 12"):
        BankBook().add_text(known("a"), "太短了")
