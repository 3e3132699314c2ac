"""Which bundle serves: a row in the records, and its copy in the file ``CURRENT``."""

from pathlib import Path

from models.bundle import CURRENT, BundleError, current, make_current
from serving.records.contracts import BundleKind, Bundles, Pointer


class CopiedPointers:
    """`Bundles` that also keeps ``CURRENT``, from which a server starts.

    Whoever publishes writes ``CURRENT``: a file newer than the row is a wish, see `published`.
    """

    def __init__(self, rows: Bundles, root: Path) -> None:
        self._rows = rows
        self._root = root

    def activate(self, actor: str, kind: BundleKind, version: str, expected: int | None) -> Pointer:
        """See `Bundles.activate`."""
        pointer = self._rows.activate(actor, kind, version, expected)
        make_current(self._root, kind, version)
        return pointer

    def current(self, kind: BundleKind) -> Pointer | None:
        """See `Bundles.current`."""
        return self._rows.current(kind)

    def history(self, kind: BundleKind, limit: int) -> list[Pointer]:
        """See `Bundles.history`."""
        return self._rows.history(kind, limit)

    def published(self, kind: BundleKind) -> str | None:
        """Version that was published since the newest row; None if there is none.

        Raises:
            RecordsError: the row cannot be read.
        """
        pointer = self._rows.current(kind)
        try:
            version = current(self._root, kind).name
            changed_ms = (self._root / kind / CURRENT).stat().st_mtime_ns // 1_000_000
        except (BundleError, OSError):
            return None
        if pointer is None:
            return version
        return version if version != pointer.version and changed_ms > pointer.at_ms else None

    def refuse(self, kind: BundleKind) -> None:
        """Let ``CURRENT`` name again what serves.

        Raises:
            RecordsError: the row cannot be read.
        """
        pointer = self._rows.current(kind)
        if pointer is not None:
            make_current(self._root, kind, pointer.version)
