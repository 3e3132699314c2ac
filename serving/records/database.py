"""The one way to the relational database: many readers, one writer queue, whole transactions."""

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, update
from sqlalchemy.exc import DBAPIError, OperationalError

from serving.clock import now_ms
from serving.records.errors import CorruptStore, RecordsUnreachable, StorageFull
from serving.records.secret_keys import Secrets
from serving.records.tables import sequences

P = ParamSpec("P")
R = TypeVar("R")
BUSY_TIMEOUT_S = 10.0  # how long one process waits for another one's SQLite transaction
WRITER_LOCK = 0x71DE6A7E  # any number that nobody else uses in this database
DISK_FULL = "53100"  # PostgreSQL's state for a full disk


@dataclass(frozen=True)
class Transaction:
    """What one change works with.

    Attributes:
        connection: inside one transaction, committed when the change returns.
        actor: the principal on whose behalf it happens.
        now_ms: its time, milliseconds since 1970.
        secrets: keys of the audit chain and of people's ids.
    """

    connection: Connection
    actor: str
    now_ms: int
    secrets: Secrets


@dataclass(frozen=True)
class Records:
    """An open database.

    Attributes:
        engine: pool of connections for changes.
        reader: the same pool; a transaction sees one snapshot.
        secrets: keys of the audit chain and of people's ids, kept outside the database.
        turns: on SQLite, the file whose lock lets processes write by turns: its own waiting sleeps
            and tries again, by which a busy process can starve another one.
        writer: the queue through which every change of this process goes, one at a time.
    """

    engine: Engine
    reader: Engine
    secrets: Secrets
    turns: Path | None = None
    writer: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="records-writer")
    )

    def read(
        self, query: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query on one consistent snapshot.

        Raises:
            RecordsUnreachable: the database does not answer.
            RecordsError: what the query refuses.
        """
        with _named_faults(self.engine), self.reader.connect() as connection:
            return query(connection, *args, **kwargs)

    def submit(
        self,
        actor: str,
        change: Callable[Concatenate[Transaction, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[R]:
        """Queue a change; its future is done when it is committed or rolled back whole."""
        return self.writer.submit(self._commit, actor, lambda unit: change(unit, *args, **kwargs))

    def write(
        self,
        actor: str,
        change: Callable[Concatenate[Transaction, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run a change in one transaction and wait until it is committed.

        Raises:
            StorageFull: the disk is full; nothing was stored.
            RecordsUnreachable: the database does not answer.
            RecordsError: what the change refuses; nothing was stored.
        """
        return self.submit(actor, change, *args, **kwargs).result()

    def named_faults(self) -> AbstractContextManager[None]:
        """Within it, what the driver raises comes out as a `RecordsError`."""
        return _named_faults(self.engine)

    def vacuum(self) -> None:
        """Leave nothing of deleted rows in SQLite's files; PostgreSQL's autovacuum does its own."""
        if self.engine.dialect.name == "sqlite":
            self.writer.submit(_vacuum, self.engine, self.turns).result()

    def close(self) -> None:
        """Finish what is queued and let go of every connection."""
        self.writer.shutdown()
        self.engine.dispose()

    def _commit(self, actor: str, change: Callable[[Transaction], R]) -> R:
        writing = self.engine.execution_options(writes=True)
        with _turn(self.turns), _named_faults(self.engine), writing.begin() as connection:
            return change(Transaction(connection, actor, now_ms(), self.secrets))


def open_records(url: str, secrets: Secrets) -> Records:
    """Connect to ``sqlite:///path`` or ``postgresql://…``; the schema is the migrations' work.

    Raises:
        ValueError: SQLite without a file, or a URL of neither kind.
        CorruptStore: the SQLite file cannot be read; it was set aside under another name.
    """
    target = make_url(url)
    backend = target.get_backend_name()
    if backend not in ("sqlite", "postgresql") or not target.database:
        raise ValueError(f"records at {url!r}: give sqlite:///path or postgresql://host/database")
    if backend == "sqlite":
        path = Path(target.database)
        check_sqlite_file(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(target, connect_args={"timeout": BUSY_TIMEOUT_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return Records(engine, engine, secrets, path.with_name(f"{path.name}.turns"))
    engine = create_engine(target.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    event.listen(engine, "begin", _begin_postgresql)
    snapshots = engine.execution_options(isolation_level="REPEATABLE READ")
    return Records(engine, snapshots, secrets)


def check_sqlite_file(path: Path) -> None:
    """Refuse a damaged file, and an empty start beside one that was set aside earlier.

    Raises:
        CorruptStore: names the file, where it went and the way out.
    """
    way_out = f"restore {path} from a backup, or move the damaged file away to start empty"
    aside = sorted(path.parent.glob(f"{path.name}.corrupt-*"))
    if not path.exists():
        if aside:
            raise CorruptStore(f"{aside[-1]} is damaged and {path} is missing: {way_out}")
        return
    fault = _sqlite_fault(path)
    if fault is not None:
        moved = path.with_name(f"{path.name}.corrupt-{now_ms()}")
        for part in ("-wal", "-shm", ""):
            if (found := path.with_name(path.name + part)).exists():
                found.rename(moved.with_name(moved.name + part))
        raise CorruptStore(f"{path}: {fault}; set aside as {moved}: {way_out}")


def next_sequence(connection: Connection, name: str, count: int = 1) -> int:
    """The next number of a counter: from 1, no gaps, in the order of commits.

    With a `count`, that many numbers are taken and the first is returned.
    """
    bumped = (
        update(sequences)
        .where(sequences.c.name == name)
        .values(value=sequences.c.value + count)
        .returning(sequences.c.value)
    )
    return int(connection.execute(bumped).scalar_one()) - count + 1


def _sqlite_fault(path: Path) -> str | None:
    try:
        database = sqlite3.connect(f"file:{path}?mode=rw", uri=True)
        try:
            found = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else found


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves; the driver's rules are legacy
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _vacuum(engine: Engine, turns: Path | None) -> None:
    with _turn(turns), engine.connect() as connection:
        plain: Any = connection.connection.dbapi_connection  # VACUUM runs outside transactions
        try:
            plain.execute("VACUUM")
            busy, *_ = plain.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise RecordsUnreachable(f"{engine.url.database}: {error}") from error
    if busy:
        raise RecordsUnreachable(f"{engine.url.database}: a reader keeps the old pages in use")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("writes", False):
        # One writer at a time over all processes, as on SQLite: what a change reads stays true.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


@contextmanager
def _turn(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # given back when the file is closed
        yield


@contextmanager
def _named_faults(engine: Engine) -> Iterator[None]:
    """Turn what the driver says into what a caller can act on."""
    try:
        yield
    except DBAPIError as error:
        place = engine.url.render_as_string()
        if "disk is full" in str(error.orig) or _sqlstate(error) == DISK_FULL:
            raise StorageFull(f"{place}: no space left; nothing was stored") from error
        if isinstance(error, OperationalError):
            raise RecordsUnreachable(f"{place}: {error.orig}") from error
        raise


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
