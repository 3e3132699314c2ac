"""Paging: a cursor tells what was served before, so that the next page repeats and skips nothing.

Each page is computed anew over whatever may be shown at its moment, without what the cursor names:
an item that rises meanwhile comes on the next page, one that was taken down never does.
"""

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

LIMIT_ITEMS = 1_000
LIFETIME_MS = 24 * 3_600_000
MAC_BYTES = 16
WINDOW_BITS, MEMORY_LEVEL = 12, 5  # to fill the usual tables takes ten times as long as a page


class CursorError(ValueError):
    """A cursor that cannot be followed; the message says why and the way out."""


@dataclass(frozen=True)
class Cursors:
    """Issues cursors and reads them; opaque to callers, and of no use to anyone else.

    Attributes:
        key: secret, the same on every replica.
    """

    key: bytes

    def issue(self, shown: Sequence[str], owner: str, now_ms: int) -> str | None:
        """Return the cursor after these items; None where it would name too many.

        Args:
            shown: ids of everything served under it, in order.
            owner: user and surface, as one text.
            now_ms: the moment, ms since 1970.
        """
        if len(shown) > LIMIT_ITEMS:
            return None
        packer = zlib.compressobj(1, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
        content = packer.compress(orjson.dumps([now_ms, *shown])) + packer.flush()
        return base64.urlsafe_b64encode(self._mac(content, owner) + content).decode()

    def read(self, text: str, owner: str, now_ms: int) -> tuple[str, ...]:
        """Return the ids that a cursor names, in order.

        Raises:
            CursorError: it was not issued here, or to someone else, or is too old.
        """
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise CursorError("not a cursor of this server; ask without it") from error
        mac, content = raw[:MAC_BYTES], raw[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(content, owner)):
            raise CursorError("not a cursor of this user and surface; ask without it")
        issued_ms, *shown = orjson.loads(zlib.decompress(content))
        if now_ms - issued_ms > LIFETIME_MS:
            raise CursorError(f"older than {LIFETIME_MS // 3_600_000} hours; ask without it")
        return tuple(shown)

    def _mac(self, content: bytes, owner: str) -> bytes:
        message = hashlib.blake2b(owner.encode()).digest() + content
        return hashlib.blake2b(message, key=self.key, digest_size=MAC_BYTES).digest()


def cursor_key(secret: bytes) -> bytes:
    """A key of its own from a secret that has another purpose."""
    return hmac.new(secret, b"feed cursor", hashlib.sha256).digest()
