"""A stream in memory, and kills between any two steps of stream and store."""

from collections.abc import Callable
from typing import Any

import orjson

from serving.archive.rows import Entry
from serving.archive.store import ArchiveStore

DAY_MS = 86_400_000
START_MS = 1_800_000_000_000 - 1_800_000_000_000 % DAY_MS


class MemoryStream:
    """`Stream` with the semantics of the state server's."""

    def __init__(self, name: str = "e1") -> None:
        self.name = name
        self.entries: list[Entry] = []

    def add(self, ms: int, fields: dict[bytes, bytes]) -> None:
        n = sum(entry.id.startswith(f"{ms}-") for entry in self.entries)
        assert not self.entries or order(self.entries[-1].id) < (ms, n)
        self.entries.append(Entry(f"{ms}-{n}", fields))

    def epoch(self) -> str:
        return self.name

    def read(self, after: str, count: int) -> list[Entry]:
        return [entry for entry in self.entries if order(entry.id) > order(after)][:count]

    def newest(self) -> str:
        return self.entries[-1].id if self.entries else "0-0"

    def trim(self, through: str) -> None:
        self.entries = [entry for entry in self.entries if order(entry.id) > order(through)]


class Killed(BaseException):
    """The process is gone."""


class Fuse:
    """Kills at the n-th step, before or after it is done."""

    def __init__(self, step: int) -> None:
        self.left = step

    def burn(self, act: Callable[..., Any], *args: Any) -> Any:
        self._tick()
        result = act(*args)
        self._tick()
        return result

    def _tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


class Fragile:
    """Any object whose methods burn a fuse."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def __getattr__(self, name: str) -> Callable[..., Any]:
        act = getattr(self._inner, name)
        return lambda *args: self._fuse.burn(act, *args)


def order(entry: str) -> tuple[int, ...]:
    return tuple(int(part) for part in entry.split("-"))


def event_fields(*names: str, user: str = "u1") -> dict[Any, Any]:
    rows = [
        {"event_id": name, "user_id": user, "item_id": "i", "type": "play", "time": START_MS}
        for name in names
    ]
    return {b"kind": b"events", b"body": b"\n".join(map(orjson.dumps, rows))}


def served_fields(request: str, *items: str, user: str = "u1") -> dict[bytes, bytes]:
    rows = [{"item_id": item, "source": "interest", "propensity": 0.5} for item in items]
    header = {"request_id": request, "user_id": user, "region": "CN"}
    body = b"\n".join(map(orjson.dumps, rows))
    return {b"kind": b"served", b"header": orjson.dumps(header), b"body": body}


def event_ids(store: ArchiveStore) -> list[str]:
    from serving.archive.reading import read_rows

    ids: list[str] = read_rows(store, "events")["event_id"].to_pylist()
    return ids
