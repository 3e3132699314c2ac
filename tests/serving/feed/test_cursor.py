import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.feed.cursor import LIFETIME_MS, LIMIT_ITEMS, CursorError, Cursors, cursor_key

CURSORS = Cursors(cursor_key(b"s" * 32))
NOW = 1_800_000_000_000


@given(st.lists(st.text(max_size=20), max_size=30), st.text(max_size=10))
def test_what_was_shown_is_read_again_in_order(shown: list[str], owner: str) -> None:
    text = CURSORS.issue(shown, owner, NOW)
    assert text is not None
    assert CURSORS.read(text, owner, NOW + LIFETIME_MS) == tuple(shown)


@pytest.mark.parametrize(
    ("text", "owner", "later_ms", "says"),
    [
        (None, "someone else", 0, "not a cursor of this user"),
        (None, "u\nhome", LIFETIME_MS + 1, "older than 24 hours"),
        ("no base64!", "u\nhome", 0, "not a cursor of this server"),
        ("", "u\nhome", 0, "not a cursor of this user"),
        (base64.urlsafe_b64encode(b"x" * 40).decode(), "u\nhome", 0, "not a cursor of this user"),
    ],
)
def test_a_foreign_old_or_forged_cursor_is_refused(
    text: str | None, owner: str, later_ms: int, says: str
) -> None:
    issued = CURSORS.issue(["a", "b"], "u\nhome", NOW)
    with pytest.raises(CursorError, match=says):
        CURSORS.read(text if text is not None else str(issued), owner, NOW + later_ms)


def test_every_changed_byte_is_noticed() -> None:
    raw = bytearray(base64.urlsafe_b64decode(str(CURSORS.issue(["a"], "u", NOW))))
    for n in range(len(raw)):
        forged = raw.copy()
        forged[n] ^= 1
        with pytest.raises(CursorError):
            CURSORS.read(base64.urlsafe_b64encode(forged).decode(), "u", NOW)


def test_a_cursor_is_bounded() -> None:
    longest = [f"{n:0128d}" for n in range(LIMIT_ITEMS)]
    assert len(str(CURSORS.issue(longest, "u", NOW))) < 200_000
    assert CURSORS.issue([*longest, "one more"], "u", NOW) is None
