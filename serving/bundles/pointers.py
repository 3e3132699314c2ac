"""Which bundle serves, as the file ``CURRENT`` tells it."""

from pathlib import Path

from models.bundle import CURRENT, BundleError, current, make_current
from serving.records.contracts import BundleKind, Pointer
from serving.records.errors import Conflict


class FilePointers:
    """`Bundles` over a folder of published bundles, for servers without records."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def activate(self, actor: str, kind: BundleKind, version: str, expected: int | None) -> Pointer:
        """See `Bundles.activate`."""
        before = self.current(kind)
        if expected not in (None, 0 if before is None else before.sequence):
            raise Conflict(f"{kind} bundle: flipped meanwhile, to {before}")
        make_current(self._root, kind, version)
        return self.history(kind, 1)[0]

    def current(self, kind: BundleKind) -> Pointer | None:
        """See `Bundles.current`."""
        pointers = self.history(kind, 1)
        return pointers[0] if pointers else None

    def history(self, kind: BundleKind, limit: int) -> list[Pointer]:
        """See `Bundles.history`; a file remembers only the newest."""
        try:
            version = current(self._root, kind).name
            changed_ns = (self._root / kind / CURRENT).stat().st_mtime_ns
        except (BundleError, OSError):
            return []
        return [Pointer(changed_ns, kind, version, changed_ns // 1_000_000)][:limit]
