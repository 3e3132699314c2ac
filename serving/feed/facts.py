"""What the catalogue says of each item, as columns that filters read and that may change live."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.arrays import Rows

Value = TypeVar("Value")

UNKNOWN = -1  # code of a fact that is not known
NEVER_MS = 2**62
SEPARATOR = "\x1f"  # of regions that stand in one string
COLUMNS = np.dtype(
    [
        ("creator", "i4"),
        ("category", "i4"),
        ("language", "i4"),
        ("regions", "i4"),
        ("kind", "i4"),
        ("shop_grade", "i4"),
        ("duration_ms", "f4"),  # NaN where not known
        ("published_at_ms", "i8"),
        ("expires_at_ms", "i8"),
        ("adult", "?"),
        ("commerce", "?"),  # a product, or content that carries products
        ("sold_out", "?"),
        ("removed", "?"),
    ]
)

CODED = {  # column -> the codes it holds
    "creator": "creators",
    "category": "categories",
    "language": "languages",
    "regions": "regions",
    "kind": "kinds",
    "shop_grade": "shop_grades",
}


class Codes(Generic[Value]):
    """Distinct values in the order of their first appearance."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._codes: dict[Value, int] = {}

    def code(self, value: Value | None) -> int:
        """Return the code of a value, a new one where needed; UNKNOWN for None."""
        if value is None:
            return UNKNOWN
        code = self._codes.setdefault(value, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code

    def recoded(self, theirs: "Codes[Value]", codes: NDArray[Any]) -> NDArray[np.int64]:
        """Return these codes of the values for which `codes` [B] stand over there."""
        distinct, places = np.unique(codes, return_inverse=True)
        values = (None if code == UNKNOWN else theirs.values[code] for code in distinct.tolist())
        return np.array([self.code(value) for value in values], np.int64)[places]

    def copied(self) -> "Codes[Value]":
        """Return codes that are alike and may change apart from these."""
        codes: Codes[Value] = Codes()
        codes.values, codes._codes = self.values.copy(), self._codes.copy()
        return codes

    def known(self, values: Iterable[Value]) -> NDArray[np.int64]:
        """Return the codes of those values that have one."""
        found = (self._codes.get(value, UNKNOWN) for value in values)
        return np.array([code for code in found if code != UNKNOWN], np.int64)


class Facts:
    """One row of `COLUMNS` an item; rows are added at the end or written anew."""

    def __init__(self, count: int = 0) -> None:
        """Hold `count` items of which nothing is known."""
        self.creators: Codes[str] = Codes()
        self.categories: Codes[str] = Codes()
        self.languages: Codes[str] = Codes()
        self.regions: Codes[frozenset[str]] = Codes()
        self.kinds: Codes[str] = Codes()
        self.shop_grades: Codes[str] = Codes()
        self._room = np.zeros(max(256, count), COLUMNS)
        self._count = count
        self.version = 0  # counts changes, so that what is derived knows when it is old

    def __len__(self) -> int:
        return self._count

    def column(self, name: str) -> NDArray[Any]:
        """Return one column, a view."""
        return self._room[name][: self._count]

    def put(self, row: int, item: Mapping[str, Any]) -> None:
        """Write what a record of the Item contract says; any field but the id may be absent.

        Raises:
            IndexError: the row is past the next one.
        """
        if row > self._count:
            raise IndexError(f"row {row} comes after the next one, {self._count}")
        if row == len(self._room):
            self._room = np.concatenate([self._room, np.zeros(len(self._room), COLUMNS)])
        self.version += 1
        self._room[row] = (
            self.creators.code(item.get("creator_id")),
            self.categories.code(item.get("category") or None),
            self.languages.code(language_of(item.get("language"))),
            self.regions.code(frozenset(item.get("regions") or ()) or None),
            self.kinds.code(item.get("kind")),
            self.shop_grades.code(item.get("shop_grade")),
            _or_nan(item.get("duration_ms")),
            item.get("published_at_ms") or 0,
            _or_never(item.get("expires_at_ms")),
            item.get("audience") == "adult",
            item.get("kind") == "product" or bool(item.get("product_ids")),
            item.get("in_stock") is False,
            False,
        )
        self._count = max(self._count, row + 1)

    def remove(self, row: int) -> None:
        """Mark an item as deleted."""
        self._room["removed"][row] = True

    def take(self, rows: Rows) -> "Facts":
        """Return a copy of the facts in these rows, to be read only: it shares the codes."""
        taken = copy(self)
        taken._room, taken._count = self._room[rows], len(rows)
        return taken

    def copied(self) -> "Facts":
        """Return facts that are alike and may change apart from these."""
        other = copy(self)
        other._room = self._room.copy()
        for name in CODED.values():
            setattr(other, name, getattr(self, name).copied())
        return other

    def put_all(self, rows: Rows, facts: "Facts") -> None:
        """Write what `facts` say of B items into rows [B], as `put` does one by one.

        Raises:
            IndexError: rows past the last one are not all those that follow it.
        """
        count = max(self._count, int(rows.max(initial=-1)) + 1)
        if len(np.unique(rows[rows >= self._count])) < count - self._count:
            raise IndexError(
                f"rows up to {count - 1} do not follow the last one, {self._count - 1}"
            )
        if count > len(self._room):
            spare = np.zeros(max(count, 2 * len(self._room)) - len(self._room), COLUMNS)
            self._room = np.concatenate([self._room, spare])
        told = facts._room[: len(facts)].copy()
        for column, name in CODED.items():
            own, theirs = getattr(self, name), getattr(facts, name)
            told[column] = own.recoded(theirs, told[column])
        self.version += 1
        self._room[rows] = told
        self._count = count


def told_of(items: Sequence[Mapping[str, Any]]) -> Facts:
    """Return the facts of records of the Item contract, in their order."""
    facts = Facts(len(items))
    for row, item in enumerate(items):
        facts.put(row, item)
    return facts


def facts_of(items: pa.Table) -> Facts:
    """Return the facts of items in row order; any column of the Item contract may be absent.

    Column by column, because a whole catalogue is read while requests wait for the interpreter.
    """
    facts = Facts(items.num_rows)
    fill = {
        "creator": _codes(items, "creator_id", facts.creators, str),
        "category": _codes(items, "category", facts.categories, lambda name: name or None),
        "language": _codes(items, "language", facts.languages, language_of),
        "regions": _codes(items, "regions", facts.regions, _region_set),
        "kind": _codes(items, "kind", facts.kinds, lambda name: name or None),
        "shop_grade": _codes(items, "shop_grade", facts.shop_grades, lambda name: name or None),
        "duration_ms": _values(items, "duration_ms", pa.float32(), float("nan")),
        "published_at_ms": _values(items, "published_at_ms", pa.int64(), 0),
        "expires_at_ms": _values(items, "expires_at_ms", pa.int64(), NEVER_MS),
        "adult": pc.equal(_texts(items, "audience"), "adult"),
        "commerce": pc.or_(
            pc.equal(_texts(items, "kind"), "product"),
            pc.not_equal(_texts(items, "product_ids"), ""),
        ),
        "sold_out": pc.invert(_values(items, "in_stock", pa.bool_(), True)),
    }
    for name, values in fill.items():
        facts.column(name)[:] = np.asarray(values)
    return facts


def _column(items: pa.Table, name: str) -> pa.Array:
    if name not in items.column_names:
        return pa.nulls(items.num_rows)
    column = items[name].combine_chunks()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.binary_join(column.cast(pa.list_(pa.string())), SEPARATOR)
    return column


def _values(items: pa.Table, name: str, of: pa.DataType, missing: Any) -> pa.Array:
    return pc.fill_null(_column(items, name).cast(of), pa.scalar(missing, of))


def _texts(items: pa.Table, name: str) -> pa.Array:
    return pc.fill_null(_column(items, name).cast(pa.string()), "")


def _codes(
    items: pa.Table, name: str, codes: Codes[Value], read: Callable[[str], Value | None]
) -> NDArray[np.int64]:
    """The codes of a whole column; each distinct text is read once."""
    encoded = _column(items, name).cast(pa.string()).dictionary_encode()
    known = [codes.code(read(text)) for text in encoded.dictionary.to_pylist()]
    found: NDArray[np.int64] = np.array([*known, UNKNOWN])[pc.fill_null(encoded.indices, -1)]
    return found


def _region_set(joined: str) -> frozenset[str] | None:
    return frozenset(joined.split(SEPARATOR)) if joined else None


def language_of(tag: str | None) -> str | None:
    """Return the language of a tag, ``zh`` of ``zh-Hant-TW``."""
    return tag.partition("-")[0].lower() if tag else None


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _or_never(value: int | None) -> int:
    return NEVER_MS if value is None else value
