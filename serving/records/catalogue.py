"""The catalogue: items with their versions, prices and place in the change feed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from serving.records import audit, checks, visibility
from serving.records.contracts import Outcome, Price, Stored, Upserted
from serving.records.database import Transaction, next_sequence
from serving.records.errors import BadRows, Conflict, Fault, NotFound
from serving.records.items import CONTENT_FIELDS, STORED, Item, parse_items
from serving.records.status import EVERYONE, Publish, Status, StatusRow, item_subject
from serving.records.tables import items, media, prices

PRICE_FIELDS = ("price", "list_price", "currency")
DESCRIBED = tuple(Item.model_fields)  # by its owner; all other columns are kept by the records


def upsert(
    unit: Transaction, rows: Sequence[Mapping[str, Any]], publish: Publish = "after_check"
) -> list[Upserted]:
    """Store items, all or nothing; the same content again changes nothing.

    Raises:
        BadRows: any row is bad or names media that were never uploaded; every fault is listed.
    """
    parsed = parse_items(rows, unit.now_ms)
    _require_media(unit.connection, parsed)
    before = _found(unit.connection, [item.item_id for item in parsed])
    plans = [_planned(item, before.get(item.item_id)) for item in parsed]
    changed = [plan for plan in plans if plan.outcome != "unchanged"]
    if changed:
        _write_items(unit, changed)
        _write_prices(unit, [plan for plan in changed if plan.new_price])
        status: Status = "pending" if publish == "after_check" else "visible"
        new_content = [plan for plan in changed if plan.new_content]
        _begin_versions(unit, new_content, status)
        checks.enqueue(unit, {plan.item_id: plan.content_version for plan in new_content})
        versions = {plan.item_id: plan.content_version for plan in changed}
        audit.append(unit, "catalogue.upsert", f"{len(changed)} items", {"versions": versions})
    return [Upserted(plan.item_id, plan.outcome, plan.content_version) for plan in plans]


def patch(
    unit: Transaction, item_id: str, changes: Mapping[str, Any], publish: Publish = "after_check"
) -> Upserted:
    """Change some fields of one item.

    Raises:
        NotFound: no such item.
        BadRows: a field is unknown, bad, or the item's id.
    """
    stored = get(unit.connection, item_id)
    if changes.get("item_id", item_id) != item_id:
        message = "an item keeps its id; delete it and store another one"
        raise BadRows([Fault(0, "item_id", changes["item_id"], message)])
    return upsert(unit, [stored.item.model_dump(mode="json") | dict(changes)], publish)[0]


def remove(unit: Transaction, item_id: str) -> None:
    """Delete one item: a tombstone in the change feed, hidden for everyone at once.

    Raises:
        NotFound: no such item.
    """
    stored = get(unit.connection, item_id)
    version = stored.content_version + 1  # what people allowed was said of an older one
    values = {"sequence": next_sequence(unit.connection, "catalogue"), "content_version": version}
    values |= {"deleted_at_ms": unit.now_ms, "updated_at_ms": unit.now_ms}
    unit.connection.execute(update(items).where(items.c.item_id == item_id).values(**values))
    row = visibility.unnumbered(
        item_subject(item_id), EVERYONE, "hidden", decided=False, version=version
    )
    visibility.put_rows(unit, [row])
    checks.remove(unit, [item_id])
    audit.append(unit, "catalogue.remove", item_subject(item_id), {})


def get(connection: Connection, item_id: str) -> Stored:
    """One item.

    Raises:
        NotFound: no such item, or it was deleted.
    """
    found = _found(connection, [item_id]).get(item_id)
    if found is None or found["deleted_at_ms"] is not None:
        raise NotFound(f"item {item_id}: not in the catalogue")
    return _stored(found, visibility.rows_of(connection, item_subject(item_id)))


def changes(connection: Connection, after: int, limit: int) -> list[Stored]:
    """Items and tombstones changed past a sequence number, oldest change first."""
    query = select(items).where(items.c.sequence > after).order_by(items.c.sequence).limit(limit)
    found = connection.execute(query).mappings().all()
    rows = visibility.rows_of_subjects(connection, [item_subject(row["item_id"]) for row in found])
    return [_stored(row, rows.get(item_subject(row["item_id"]), [])) for row in found]


def price_history(connection: Connection, item_id: str) -> list[Price]:
    """Every price an item has had, oldest first."""
    query = select(prices).where(prices.c.item_id == item_id).order_by(prices.c.content_version)
    return [
        Price(*(row[name] for name in ("content_version", *PRICE_FIELDS, "at_ms")))
        for row in connection.execute(query).mappings()
    ]


def add_media(unit: Transaction, sha256: str, mime: str, size: int) -> bool:
    """Record an uploaded file; false if the same bytes are there already.

    Raises:
        Conflict: the same bytes are recorded as another type.
    """
    found = unit.connection.execute(select(media.c.mime).where(media.c.sha256 == sha256)).scalar()
    if found not in (None, mime):
        raise Conflict(f"media {sha256}: is {found}, not {mime}")
    if found is None:
        row = {"sha256": sha256, "mime": mime, "bytes": size, "created_at_ms": unit.now_ms}
        unit.connection.execute(insert(media).values(**row))
    return found is None


def _require_media(connection: Connection, parsed: Sequence[Item]) -> None:
    named = {file.sha256 for item in parsed for file in item.media}
    query = select(media.c.sha256, media.c.mime).where(media.c.sha256.in_(sorted(named)))
    known = {row.sha256: row.mime for row in connection.execute(query)}
    faults = [
        Fault(n, f"media.{m}.sha256", file.sha256, "not uploaded as this type; upload it first")
        for n, item in enumerate(parsed)
        for m, file in enumerate(item.media)
        if known.get(file.sha256) != file.mime
    ]
    if faults:
        raise BadRows(faults)


@dataclass(frozen=True)
class _Plan:
    """What an upsert does to one item.

    Attributes:
        values: columns as described by the owner.
        exists: a row is there, alive or not.
    """

    item_id: str
    values: dict[str, Any]
    outcome: Outcome
    content_version: int
    exists: bool
    new_content: bool
    new_price: bool


def _planned(item: Item, before: RowMapping | None) -> _Plan:
    values = item.model_dump(mode="json")
    if before is None:
        return _Plan(item.item_id, values, "created", 1, False, True, True)
    version = before["content_version"]
    alive = before["deleted_at_ms"] is None
    if alive and _same_fields(before, values, values):
        return _Plan(item.item_id, values, "unchanged", version, True, False, False)
    new_content = not (alive and _same_fields(before, values, CONTENT_FIELDS))
    new_price = not _same_fields(before, values, PRICE_FIELDS)
    outcome: Outcome = "changed" if alive else "created"
    return _Plan(item.item_id, values, outcome, version + new_content, True, new_content, new_price)


def _write_items(unit: Transaction, plans: Sequence[_Plan]) -> None:
    first = next_sequence(unit.connection, "catalogue", len(plans))
    kept = {"updated_at_ms": unit.now_ms, "deleted_at_ms": None}
    rows = [
        plan.values | kept | {"content_version": plan.content_version, "sequence": first + n}
        for n, plan in enumerate(plans)
    ]
    new = [
        row | {"created_at_ms": unit.now_ms}
        for row, plan in zip(rows, plans, strict=True)
        if not plan.exists
    ]
    old = [row | {"an_id": row["item_id"]} for row, p in zip(rows, plans, strict=True) if p.exists]
    if new:
        unit.connection.execute(insert(items), new)
    if old:
        unit.connection.execute(update(items).where(items.c.item_id == bindparam("an_id")), old)


def _write_prices(unit: Transaction, plans: Sequence[_Plan]) -> None:
    if not plans:
        return
    rows = [
        {name: plan.values[name] for name in ("item_id", *PRICE_FIELDS)}
        | {"content_version": plan.content_version, "at_ms": unit.now_ms}
        for plan in plans
    ]
    unit.connection.execute(insert(prices), rows)


def _begin_versions(unit: Transaction, plans: Sequence[_Plan], status: Status) -> None:
    if not plans:
        return
    rows = [
        visibility.unnumbered(
            item_subject(plan.item_id),
            EVERYONE,
            status,
            decided=False,
            version=plan.content_version,
        )
        for plan in plans
    ]
    visibility.put_rows(unit, rows)


def _found(connection: Connection, item_ids: Iterable[str]) -> dict[str, RowMapping]:
    query = select(items).where(items.c.item_id.in_(list(item_ids)))
    return {row["item_id"]: row for row in connection.execute(query).mappings()}


def _stored(row: RowMapping, statuses: Iterable[StatusRow]) -> Stored:
    return Stored(
        Item.model_validate({name: row[name] for name in DESCRIBED}, context=STORED),
        row["content_version"],
        row["sequence"],
        row["deleted_at_ms"] is not None,
        tuple(sorted(statuses, key=lambda status: status.sequence)),
    )


def _same_fields(before: RowMapping, values: Mapping[str, Any], names: Iterable[str]) -> bool:
    return all(before[name] == values[name] for name in names)
