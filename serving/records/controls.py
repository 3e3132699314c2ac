"""Controls of the feed: one row a kind, target, surface and region, each change audited."""

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select

from serving.feed.controls import Control, contradicts
from serving.records import audit
from serving.records.database import Transaction, next_sequence
from serving.records.errors import Conflict, NotFound
from serving.records.tables import feed_controls, sequences

SEQUENCE = "controls"
SUBJECT_LENGTH = 160  # of the audit trail; the detail names the target in full


def put(unit: Transaction, control: Control, reason: str) -> int:
    """Lay a control upon the feed, in place of the one of the same name; return its number.

    Raises:
        Conflict: one that holds says the contrary.
    """
    unit.connection.execute(delete(feed_controls).where(_same(control)))
    for other in listed(unit.connection)[1]:
        if contradicts(control, other) and not other.is_over(unit.now_ms):
            raise Conflict(f"{_told(control)} contradicts {_told(other)}, which holds; lift that")
    number = next_sequence(unit.connection, SEQUENCE)
    values = vars(control) | {"sequence": number, "at_ms": unit.now_ms}
    unit.connection.execute(insert(feed_controls).values(**values))
    audit.append(unit, f"feed.{control.kind}", _subject(control), _detail(control, reason))
    return number


def lift(unit: Transaction, control: Control, reason: str) -> int:
    """Take a control off the feed; return the number of the change.

    Raises:
        NotFound: no such control holds.
    """
    if unit.connection.execute(delete(feed_controls).where(_same(control))).rowcount == 0:
        raise NotFound(f"{control.kind} of {control.target}: no such control")
    number = next_sequence(unit.connection, SEQUENCE)
    audit.append(unit, f"feed.{control.kind}.lift", _subject(control), _detail(control, reason))
    return number


def listed(connection: Connection) -> tuple[int, list[Control]]:
    """Number of the newest change, and all controls, oldest first."""
    columns = [feed_controls.c[name] for name in Control.__dataclass_fields__]
    query = select(*columns).order_by(feed_controls.c.sequence)
    found = [Control(**row) for row in connection.execute(query).mappings()]
    return newest(connection), found


def newest(connection: Connection) -> int:
    """Number of the newest change; 0 before the first."""
    query = select(sequences.c.value).where(sequences.c.name == SEQUENCE)
    return int(connection.execute(query).scalar_one())


def _told(control: Control) -> str:
    value = f" at {control.value:g}" if control.value else ""
    return f"{control.kind} of {control.target}{value}"


def _same(control: Control) -> ColumnElement[bool]:
    names = ("kind", "target", "surface", "region")
    return and_(*(feed_controls.c[name] == getattr(control, name) for name in names))


def _subject(control: Control) -> str:
    return control.target[:SUBJECT_LENGTH]


def _detail(control: Control, reason: str) -> dict[str, object]:
    return {name: value for name, value in vars(control).items() if name != "kind"} | {
        "reason": reason
    }
