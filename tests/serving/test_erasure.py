"""Erasure over all stores, and what a crash between any two steps leaves to do."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis

from configs.schema import RecordsSection
from models.bundle import MANIFEST, read_manifest
from serving.archive.archiver import Archiver
from serving.archive.reading import count_rows
from serving.archive.store import ArchiveStore, LocalStore
from serving.bundles.receipts import settle
from serving.erasure import StoreEraser
from serving.live.erasure import USER_KEYS, bar, held_keys
from serving.live.event_stream import BARRED
from serving.live.scripts import FOLDER
from serving.records.contracts import Erasures, Stores
from serving.records.tables import metadata
from serving.stores import open_stores
from tests.serving.archive.streams import (
    START_MS,
    Fragile,
    Fuse,
    Killed,
    MemoryStream,
    event_fields,
    served_fields,
)

COUNTS = {"archive": 3, "state": 3, "records": 1}


@pytest.fixture
def stores(migrated_records: Path, tmp_path: Path) -> Iterator[Stores]:
    shutil.copytree(migrated_records, tmp_path / "records")
    section = RecordsSection(folder=tmp_path / "records", secrets=tmp_path / "secrets")
    opened = open_stores(section)
    yield opened
    opened.close()


def told(client: Redis, stream: MemoryStream, user: str, at_ms: int) -> None:
    stream.add(at_ms, event_fields(f"{user}-a", f"{user}-b", user=user))
    stream.add(at_ms + 1, served_fields(f"r-{user}", "i1", user=user))
    client.lpush(f"recent:{user}", "[]")
    client.zadd(f"shown:{user}", {"i1": 1})
    client.set(f"region:{user}", "CN")


def work_off(
    erasures: Erasures, client: Redis, store: ArchiveStore, stream: MemoryStream, fuse: Fuse
) -> None:
    fragile: ArchiveStore = Fragile(store, fuse)
    eraser = StoreEraser(Fragile(erasures, fuse), {"state": cast("Any", Fragile(client, fuse))})

    def drain() -> None:
        Archiver(stream, fragile).drain()

    eraser.work_off(fragile, drain)


def test_a_crash_between_any_two_steps_is_made_up_for(
    stores: Stores, live_url: str, tmp_path: Path
) -> None:
    client, stream, store = Redis.from_url(live_url), MemoryStream(), LocalStore(tmp_path / "log")
    client.flushall()
    told(client, stream, "stays", START_MS)
    stores.users.put("app", {"user_id": "stays"})
    for step in count(1, 7):
        user = f"leaves-{step}"
        told(client, stream, user, START_MS + 10 * step)
        stores.users.put("app", {"user_id": user})
        receipt = stores.erasures.request("app", user)
        fuse = Fuse(step)
        try:
            work_off(stores.erasures, client, store, stream, fuse)
        except Killed:
            work_off(stores.erasures, client, store, stream, Fuse(10**9))
        done = stores.erasures.receipt_of(receipt.receipt_id)
        assert done.erased_at_ms is not None
        assert dict(done.stores) == COUNTS, step
        assert (count_rows(store, user), held_keys(client, user)) == (0, 0)
        assert client.sismember(BARRED, stores.users.subject(user))
        if fuse.left > 0:
            break
    assert (count_rows(store, "stays"), held_keys(client, "stays")) == (3, 3)
    assert stores.users.get("stays").user_id == "stays"
    assert not list((tmp_path / "log").rglob("parts/*"))
    client.close()


def test_a_state_that_lost_its_disk_learns_again_whom_to_refuse(
    stores: Stores, live_url: str, tmp_path: Path
) -> None:
    client, store = Redis.from_url(live_url), LocalStore(tmp_path / "log")
    eraser = StoreEraser(stores.erasures, {"state": client})
    stores.erasures.request("app", "u1")
    assert eraser.waiting()
    eraser.work_off(store, lambda: None)
    assert not eraser.waiting()
    for lost in (set(), {"somebody of before a restore", "somebody else"}):
        client.flushall()
        if lost:
            client.sadd(BARRED, *lost)
            eraser = StoreEraser(stores.erasures, {"state": client})
        eraser.work_off(store, lambda: None)
        assert client.sismember(BARRED, stores.users.subject("u1"))
    client.close()


class Meanwhile:
    """`Erasures`, of which somebody asks one more thing while the list of the barred is read."""

    def __init__(self, inner: Erasures, user_id: str) -> None:
        self._inner, self._user_id = inner, user_id

    def subject_count(self) -> int:
        count = self._inner.subject_count()
        self._inner.request("app", self._user_id)
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_nobody_is_erased_before_they_are_barred(
    stores: Stores, live_url: str, tmp_path: Path
) -> None:
    client, store = Redis.from_url(live_url), LocalStore(tmp_path / "log")
    client.flushall()
    bar(client, {"others"})
    erasures = cast("Erasures", Meanwhile(stores.erasures, "u9"))
    eraser = StoreEraser(erasures, {"state": client})
    eraser._barred = 0  # as after a round without anyone
    eraser.work_off(store, lambda: None)
    assert eraser.waiting()
    assert not client.sismember(BARRED, stores.users.subject("u9"))
    eraser.work_off(store, lambda: None)
    assert not eraser.waiting()
    assert client.sismember(BARRED, stores.users.subject("u9"))
    client.close()


def test_every_place_that_names_users_is_known_to_the_erasure() -> None:
    scripts = "".join(path.read_text() for path in FOLDER.glob("*.lua"))
    assert set(re.findall(r"'(\w+):' \.\. user\b", scripts)) == set(USER_KEYS)
    named = {name for name, table in metadata.tables.items() if "user_id" in table.columns}
    assert named == {"users", "blocks", "erasure_receipts"}


def test_a_receipt_is_done_when_every_bundle_read_its_data_later(
    stores: Stores, bundles: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundles, tmp_path / "bundles")
    (path,) = (tmp_path / "bundles" / "feed").glob(f"*/{MANIFEST}")
    asked = stores.erasures.request("app", "u1")
    before = datetime.now(UTC)
    stores.erasures.close("archiver", asked.receipt_id)
    for read_at, finished in ((None, 0), (before, 0), (datetime(2999, 1, 1, tzinfo=UTC), 1)):
        manifest = read_manifest(path.parent)
        data = manifest.data.model_copy(update={"read_at": read_at})
        path.write_text(manifest.model_copy(update={"data": data}).model_dump_json())
        assert settle(stores.erasures, tmp_path / "bundles") == finished
    assert stores.erasures.receipt_of(asked.receipt_id).model == "done"
    assert settle(stores.erasures, tmp_path / "none") == 0
