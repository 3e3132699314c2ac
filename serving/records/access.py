"""Who may do what, and how often: the part of every request that comes first. No host is named."""

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from serving.records.errors import AccessDenied

Scope = Literal["feed", "events", "catalogue", "moderate", "review", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
KEY_TEXT = re.compile(r"tg_([0-9a-f]{12})_[0-9a-f]{64}")
CACHE_KEYS = 10_000
CACHE_MS = 5_000  # a revoked key works at most this long in other processes


@dataclass(frozen=True)
class ApiKey:
    """A key as the server knows it; times are milliseconds since 1970.

    Attributes:
        rate_per_s: requests a second in the long run.
        burst: requests at once.
    """

    key_id: str
    principal: str
    scopes: frozenset[Scope]
    rate_per_s: float
    burst: float
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None

    def permits(self, scope: Scope, now_ms: int) -> bool:
        """Whether the key is alive and has the scope; `admin` has every scope."""
        revoked = self.revoked_at_ms is not None
        expired = self.expires_at_ms is not None and self.expires_at_ms <= now_ms
        return not revoked and not expired and bool({scope, "admin"} & self.scopes)


@dataclass(frozen=True)
class Bucket:
    """A token bucket at one moment (Turner, 1986: the leaky bucket as a meter).

    Attributes:
        tokens: requests left.
        at_s: monotonic seconds of that count.
    """

    tokens: float
    at_s: float


def take(bucket: Bucket, rate_per_s: float, burst: float, now_s: float) -> tuple[Bucket, float]:
    """Take one token: the new bucket, and the seconds to wait (0 when it was there)."""
    elapsed_s = max(0.0, now_s - bucket.at_s)
    tokens = min(burst, bucket.tokens + elapsed_s * rate_per_s)
    now_s = max(now_s, bucket.at_s)
    if tokens >= 1.0:
        return Bucket(tokens - 1.0, now_s), 0.0
    return Bucket(tokens, now_s), (1.0 - tokens) / rate_per_s


def key_id_of(text: str) -> str | None:
    """Public part of a key's text; None if it is no key at all."""
    found = KEY_TEXT.fullmatch(text)
    return found.group(1) if found else None


def bearer_text(authorization: str | None, x_api_key: str | None) -> str:
    """Key text of a request's headers; empty when there is none."""
    if authorization and authorization[:7].lower() == "bearer ":
        return authorization[7:].strip()
    return (x_api_key or "").strip()


class Gate:
    """Checks keys and their rates, remembering each for `CACHE_MS` by a digest of its text."""

    def __init__(self, find: Callable[[str], ApiKey | None]) -> None:
        self._find = find
        self._known: OrderedDict[bytes, tuple[ApiKey | None, int]] = OrderedDict()
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, text: str, scope: Scope, now_ms: int) -> ApiKey:
        """Return the key behind a request.

        Raises:
            AccessDenied: whatever is wrong with it; the answer does not tell what.
        """
        key = self._remembered(text, now_ms) if key_id_of(text) else None
        if key is None or not key.permits(scope, now_ms):
            raise AccessDenied
        return key

    def remembers(self, text: str, now_ms: int) -> bool:
        """Whether `admit` will answer without looking the key up."""
        return now_ms < self._known.get(_digest(text), (None, 0))[1]

    def wait_s(self, key: ApiKey, now_s: float) -> float:
        """Spend one request of the key; seconds until it may try again, 0 when admitted."""
        with self._lock:
            bucket = self._buckets.pop(key.key_id, Bucket(key.burst, now_s))
            self._buckets[key.key_id], wait_s = take(bucket, key.rate_per_s, key.burst, now_s)
            while len(self._buckets) > CACHE_KEYS:
                self._buckets.popitem(last=False)
        return wait_s

    def _remembered(self, text: str, now_ms: int) -> ApiKey | None:
        digest = _digest(text)
        with self._lock:
            key, until_ms = self._known.get(digest, (None, 0))
        if now_ms < until_ms:
            return key
        key = self._find(text)
        with self._lock:
            self._known[digest] = key, now_ms + CACHE_MS
            while len(self._known) > CACHE_KEYS:
                self._known.popitem(last=False)
        return key


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
