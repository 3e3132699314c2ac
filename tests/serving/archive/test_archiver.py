from collections import Counter
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.archive.archiver import Archiver
from serving.archive.commits import ArchiveError, cursor, quarantine, view
from serving.archive.compaction import compact, erase
from serving.archive.reading import count_rows, read_rows
from serving.archive.rows import SCHEMAS
from serving.archive.store import PARTS, ArchiveStore, LocalStore, ObjectStore
from tests.serving.archive.streams import (
    DAY_MS,
    START_MS,
    Fragile,
    Fuse,
    Killed,
    MemoryStream,
    event_fields,
    event_ids,
    served_fields,
)

TODAY = "2099-01-01"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def memory_store() -> ArchiveStore:
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    return ObjectStore(filesystem, "/log")


def filled(*days: int, users: int = 3) -> MemoryStream:
    stream = MemoryStream()
    for day in days:
        for user in range(users):
            at_ms = START_MS + day * DAY_MS + user
            stream.add(at_ms, event_fields(f"{day}-{user}-a", f"{day}-{user}-b", user=f"u{user}"))
            stream.add(at_ms, served_fields(f"r{day}-{user}", "i1", "i2", user=f"u{user}"))
    return stream


def test_rows_arrive_with_their_facts(store: LocalStore) -> None:
    stream = filled(0)
    assert Archiver(stream, store).drain() == 6
    assert stream.entries == []
    events = read_rows(store, "events").to_pylist()
    assert [row["event_id"] for row in events][:2] == ["0-0-a", "0-0-b"]
    assert events[0]["arrived_ms"] == START_MS
    served = read_rows(store, "served").to_pylist()
    facts = ("request_id", "item_id", "position", "source", "propensity")
    assert [served[1][name] for name in facts] == ["r0-0", "i2", 1, "interest", 0.5]


def test_a_commit_lies_in_one_day(store: LocalStore) -> None:
    Archiver(filled(0, 1), store).drain()
    assert [len(day.batches) for day in view(store)] == [1, 1]


def test_an_entry_without_sense_is_kept_and_stops_nothing(store: LocalStore) -> None:
    stream = filled(0)
    stream.add(START_MS + 50, {b"kind": b"events", b"body": b'{"event_id": "x"}'})
    stream.add(START_MS + 50, {b"kind": b"party"})
    stream.add(START_MS + 60, event_fields("after"))
    Archiver(stream, store).drain()
    assert "after" in event_ids(store)
    faults = read_rows(store, "rejected")["fault"].to_pylist()
    assert len(faults) == 2
    assert "user_id is missing" in faults[0]


def test_a_second_archiver_is_stopped_by_the_commit(store: LocalStore) -> None:
    stream = filled(0)
    first, second = Archiver(stream, store), Archiver(stream, store)
    stale = list(stream.entries)
    first.step()
    stream.entries = stale
    with pytest.raises(FileExistsError):
        second.step()
    assert len(event_ids(store)) == 6


def test_a_stream_that_lost_its_disk_begins_a_new_epoch(store: LocalStore) -> None:
    stream = filled(3)
    archiver = Archiver(stream, store)
    archiver.drain()
    stream.name, stream.entries = "e2", filled(1).entries
    archiver.drain()
    assert Counter(event_ids(store)) == Counter(
        f"{d}-{u}-{x}" for d in (3, 1) for u in range(3) for x in "ab"
    )


@pytest.mark.parametrize("place", ["commits/batches", "segments"])
def test_a_damaged_file_is_named(store: LocalStore, place: str) -> None:
    Archiver(filled(0), store).drain()
    name = store.names(place)[0]
    path = store.root / name
    path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
    with pytest.raises(ArchiveError, match=f"{name}.*restore"):
        [read_rows(store, kind) for kind in SCHEMAS]
    assert path.exists()


def test_what_is_set_aside_stops_everything_that_deletes(store: LocalStore) -> None:
    Archiver(filled(0), store).drain()
    name = next(n for n in store.names("segments") if "events" in n)
    whole = store.read(name)
    (store.root / name).write_bytes(b"damaged")
    with pytest.raises(ArchiveError) as found:
        compact(store, TODAY)
    assert quarantine(store, found.value.damaged) == f"quarantine/{name}"
    before = store.names("")
    for attempt in (lambda: compact(store, TODAY), lambda: erase(store, "u1")):
        with pytest.raises(ArchiveError, match=f"{name}: damaged and set aside"):
            attempt()
    Archiver(filled(1), store).drain()
    assert set(before) < set(store.names(""))
    store.put_new(name, whole)
    store.delete(f"quarantine/{name}")
    assert compact(store, TODAY) == ["2027-01-15", "2027-01-16"]
    assert len(event_ids(store)) == 12


def test_a_missing_segment_is_named(store: LocalStore) -> None:
    Archiver(filled(0), store).drain()
    name = next(n for n in store.names("segments") if "events" in n)
    store.delete(name)
    with pytest.raises(ArchiveError, match=f"{name}: missing"):
        read_rows(store, "events")


def test_compaction_sorts_days_into_buckets_and_deletes_the_rest(store: LocalStore) -> None:
    stream = filled(0, 1, users=12)
    archiver = Archiver(stream, store)
    archiver.drain()
    before = sorted(event_ids(store))
    assert compact(store, TODAY) == ["2027-01-15", "2027-01-16"]
    assert compact(store, TODAY) == []
    assert sorted(event_ids(store)) == before
    assert store.names("commits/batches") == []
    live = {segment.name for day in view(store) for segment in day.segments}
    assert set(store.names("segments")) == live
    stream.add(START_MS + 2 * DAY_MS, event_fields("late"))
    Archiver(stream, store).drain()
    assert len(event_ids(store)) == len(before) + 1


def test_the_place_to_go_on_survives_compaction_and_erasure(store: LocalStore) -> None:
    stream = filled(0, 1)
    last = stream.entries[-1].id
    Archiver(stream, store).drain()
    compact(store, TODAY)
    erase(store, "u1")
    assert cursor(view(store), "e1") == last
    assert cursor(view(store), "e2") == "0-0"


def test_today_is_not_compacted(store: LocalStore) -> None:
    Archiver(filled(0), store).drain()
    assert compact(store, "2027-01-15") == []


def test_batches_that_come_after_a_generation_join_the_next(store: LocalStore) -> None:
    stream = filled(0)
    archiver = Archiver(stream, store)
    archiver.drain()
    compact(store, TODAY)
    stream.add(START_MS + 9_000, event_fields("later", user="u0"))
    archiver.drain()
    assert len(event_ids(store)) == 7
    compact(store, TODAY)
    assert len(event_ids(store)) == 7
    (day,) = view(store)
    assert day.compacted is not None
    assert day.compacted.generation == 2


@pytest.mark.parametrize("compacted", [True, False])
def test_erasure_leaves_nothing_of_the_user(store: LocalStore, compacted: bool) -> None:
    stream = filled(0, 1, users=9)
    stream.add(START_MS + DAY_MS + 50, {b"kind": b"party", b"body": b'{"user_id": "u7"}'})
    Archiver(stream, store).drain()
    if compacted:
        compact(store, TODAY)
    assert count_rows(store, "u7") == 2 * (2 + 2) + 1
    assert len(read_rows(store, "events", "u7")) == 4
    erase(store, "u7")
    assert count_rows(store, "u7") == 0
    assert len(read_rows(store, "events", "u7")) == 0
    for kind in ("events", "served"):
        users = read_rows(store, kind)["user_id"].to_pylist()
        assert "u7" not in users
        assert len(users) == 2 * 2 * 8
    assert len(read_rows(store, "rejected")) == 0
    names = store.names("segments")
    assert len(names) == sum(len(day.segments) for day in view(store))


stretches = st.lists(st.integers(0, 2), min_size=1, max_size=8).map(sorted)
work = st.lists(st.sampled_from(["archive", "compact", "erase"]), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(stretches, work, st.lists(st.integers(1, 120), max_size=4))
def test_kills_between_any_two_steps_lose_and_repeat_nothing(
    days: list[int], jobs: list[str], kills: list[int]
) -> None:
    """Every kill is followed by a new archiver, as after a restart; the last round runs through."""
    store, stream = memory_store(), MemoryStream()
    for n, day in enumerate(days):
        fields = event_fields(f"e{n}", f"f{n}", user=f"u{n % 3}")
        stream.add(START_MS + day * DAY_MS + n, fields)
    for step in [*kills, 10**9]:
        fuse = Fuse(step)
        fragile_store, fragile_stream = Fragile(store, fuse), Fragile(stream, fuse)
        try:
            archiver = Archiver(fragile_stream, fragile_store)
            for job in jobs:
                archiver.drain()
                if job == "compact":
                    compact(fragile_store, TODAY)
                elif job == "erase":
                    erase(fragile_store, "u1")
        except Killed:
            pass
    erased = "erase" in jobs
    expected = [f"{x}{n}" for n in range(len(days)) for x in "ef" if not (erased and n % 3 == 1)]
    assert sorted(event_ids(store)) == sorted(expected)
    live = {segment.name for day in view(store) for segment in day.segments}
    assert stream.entries == []
    Archiver(stream, store)
    assert set(store.names("segments")) == live
    assert store.names(PARTS) == []


@settings(max_examples=60, deadline=None)
@given(stretches, st.integers(1, 60))
def test_one_kill_during_archiving_at_each_step(days: list[int], step: int) -> None:
    store, stream = memory_store(), MemoryStream()
    for n, day in enumerate(days):
        stream.add(START_MS + day * DAY_MS + n, event_fields(f"e{n}"))
    fuse = Fuse(step)
    try:
        Archiver(Fragile(stream, fuse), Fragile(store, fuse)).drain()
    except Killed:
        Archiver(stream, store).drain()
    assert sorted(event_ids(store)) == sorted(f"e{n}" for n in range(len(days)))
