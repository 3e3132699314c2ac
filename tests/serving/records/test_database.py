import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from serving.records import catalogue, schema, visibility
from serving.records.database import Records, Transaction, next_sequence, open_records
from serving.records.errors import CorruptStore, RecordsUnreachable, StorageFull
from serving.records.status import EVERYONE
from serving.records.tables import metadata
from tests.serving.records.conftest import SECRETS


def test_sequences_follow_the_order_of_commits_over_processes(
    records: Records, tmp_path: Path
) -> None:
    other = open_records(records.engine.url.render_as_string(hide_password=False), SECRETS)
    observed: list[int] = []

    def watch() -> None:
        deadline = time.monotonic() + 20
        while len(observed) < 40 and time.monotonic() < deadline:
            after = observed[-1] if observed else 0
            observed.extend(row.sequence for row in records.read(visibility.changes, after, 100))

    def work(store: Records, name: str) -> None:
        for n in range(20):
            store.write(name, visibility.decide, f"{name}{n}", "hidden", EVERYONE, "")

    threads = [threading.Thread(target=work, args=pair) for pair in ((records, "a"), (other, "b"))]
    threads.append(threading.Thread(target=watch))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert observed == list(range(1, 41))


def test_two_processes_change_one_item_by_turns(records: Records) -> None:
    other = open_records(records.engine.url.render_as_string(hide_password=False), SECRETS)
    row = {"item_id": "p", "kind": "video", "creator_id": "c", "published_at_ms": 1}

    def work(store: Records, name: str) -> list[int]:
        titles = [row | {"title": f"{name}{n}"} for n in range(15)]
        done = [store.write(name, catalogue.upsert, [titled])[0] for titled in titles]
        return [one.content_version for one in done]

    with ThreadPoolExecutor(2) as pool:
        versions = pool.map(work, (records, other), ("a", "b"))
    other.close()
    assert sorted(version for made in versions for version in made) == list(range(1, 31))


def test_a_failed_change_leaves_no_gap(records: Records) -> None:
    def failing(unit: Transaction) -> None:
        next_sequence(unit.connection, "bundles")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        records.write("x", failing)
    assert records.write("x", lambda unit: next_sequence(unit.connection, "bundles")) == 1


def test_migrations_lead_to_the_tables_and_back(records: Records) -> None:
    with records.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    schema.downgrade(records.engine, "base")
    assert set(inspect(records.engine).get_table_names()) == {"alembic_version"}
    schema.upgrade(records.engine)
    assert set(metadata.tables) <= set(inspect(records.engine).get_table_names())


def test_an_upgrade_of_the_newest_keeps_what_is_there(records: Records) -> None:
    records.write("ann", visibility.decide, "p1", "hidden", EVERYONE, "fake")
    schema.upgrade(records.engine)
    assert records.read(visibility.newest_sequence) == 1


def test_a_damaged_file_is_named_set_aside_and_never_replaced(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "records.db"
    damaged = bytearray(migrated_sqlite.read_bytes())
    damaged[4096:12288] = b"\xff" * 8192
    path.write_bytes(damaged)
    with pytest.raises(CorruptStore, match=r"set aside as .*corrupt-.*restore"):
        open_records(f"sqlite:///{path}", SECRETS)
    (aside,) = tmp_path.glob("records.db.corrupt-*")
    assert aside.read_bytes() == damaged
    with pytest.raises(CorruptStore, match=r"is damaged and .* is missing"):
        open_records(f"sqlite:///{path}", SECRETS)
    shutil.copy(migrated_sqlite, path)
    restored = open_records(f"sqlite:///{path}", SECRETS)
    assert restored.read(visibility.newest_sequence) == 0
    restored.close()


def test_a_full_disk_is_refused_whole(migrated_sqlite: Path, tmp_path: Path) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "records.db")
    records = open_records(f"sqlite:///{tmp_path / 'records.db'}", SECRETS)

    def limit(unit: Transaction) -> None:
        pages = unit.connection.execute(text("pragma page_count")).scalar()
        unit.connection.execute(text(f"pragma max_page_count = {pages}"))
        visibility.decide(unit, "p", "hidden", EVERYONE, "x" * 200_000)

    with pytest.raises(StorageFull, match="no space left"):
        records.write("ann", limit)
    assert records.read(visibility.newest_sequence) == 0
    records.close()


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////proc/none/records.db"]
)
def test_a_database_that_does_not_answer_is_named(url: str) -> None:
    if url.startswith("sqlite"):
        with pytest.raises(OSError, match="/proc/none"):
            open_records(url, SECRETS)
        return
    records = open_records(url, SECRETS)
    with pytest.raises(RecordsUnreachable, match="nobody@"):
        records.read(visibility.newest_sequence)
    with pytest.raises(RecordsUnreachable, match="nobody@"):
        records.write("ann", visibility.settle, 1)
    records.close()


@pytest.mark.parametrize("url", ["sqlite://", "mysql://host/database", "postgresql://host"])
def test_urls_of_no_use_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="give sqlite:///path or postgresql"):
        open_records(url, SECRETS)
