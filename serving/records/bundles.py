"""Which bundle serves: one sequenced pointer row a flip, so that no two flips are confused."""

from sqlalchemy import Connection, insert, select

from serving.records import audit
from serving.records.contracts import BundleKind, Pointer
from serving.records.database import Transaction, next_sequence
from serving.records.errors import Conflict
from serving.records.tables import bundle_pointers


def activate(
    unit: Transaction, kind: BundleKind, version: str, expected: int | None = None
) -> Pointer:
    """Point a kind at a version.

    Args:
        unit: the transaction.
        kind: which pointer.
        version: the bundle's folder name.
        expected: sequence of the pointer that the caller saw when staging began.

    Raises:
        Conflict: another flip came first.
    """
    before = current(unit.connection, kind)
    seen = before.sequence if before else 0
    if expected is not None and expected != seen:
        raise Conflict(f"{kind} bundle: flipped meanwhile (pointer {seen}, expected {expected})")
    pointer = Pointer(next_sequence(unit.connection, "bundles"), kind, version, unit.now_ms)
    unit.connection.execute(insert(bundle_pointers).values(**vars(pointer)))
    detail = {"version": version, "before": before.version if before else None}
    audit.append(unit, "bundle.activate", kind, detail | {"sequence": pointer.sequence})
    return pointer


def current(connection: Connection, kind: BundleKind) -> Pointer | None:
    """The pointer of a kind; none before the first activation."""
    pointers = history(connection, kind, limit=1)
    return pointers[0] if pointers else None


def history(connection: Connection, kind: BundleKind, limit: int) -> list[Pointer]:
    """Pointers of a kind, newest first."""
    table = bundle_pointers.c
    query = select(bundle_pointers).where(table.kind == kind).order_by(table.sequence.desc())
    return [Pointer(**row) for row in connection.execute(query.limit(limit)).mappings()]
