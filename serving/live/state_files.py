"""The files of an embedded state server: damaged ones are set aside, never silently replaced."""

import re
from pathlib import Path

from serving.clock import now_ms

APPEND_ONLY = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"
DAMAGED = re.compile(
    "Bad file format reading the append only file|Unrecoverable error reading the append only file"
    "|AOF MANIFEST FILE ERROR|Unable to obtain the AOF file|Internal error in RDB"
    "|Short read or OOM loading DB|Wrong signature trying to load DB"
)
CUT_SHORT = re.compile("Truncating the AOF .*")


class StateServerError(RuntimeError):
    """The state server cannot run; the message says why and where to look."""


def check_files(folder: Path) -> None:
    """Refuse what the server would take for an empty start, though there was data.

    Raises:
        StateServerError: names the files and the way out.
    """
    files = folder / APPEND_ONLY
    aside = sorted(folder.glob(f"{APPEND_ONLY}.corrupt-*"))
    if aside and not files.exists():
        raise StateServerError(f"{files} is missing: {_way_out(files, aside[-1])}")
    if files.is_dir() and any(files.iterdir()) and not (files / MANIFEST).exists():
        moved = _set_aside(files)
        raise StateServerError(f"{files / MANIFEST}: missing; {_moved(files, moved)}")


def check_reading(folder: Path, said: str) -> None:
    """Set the files aside if what the server said at its end tells that it could not read them.

    Raises:
        StateServerError: names the files, the damage and the way out.
    """
    line = next((line for line in said.splitlines() if DAMAGED.search(line)), None)
    if line is not None:
        files = folder / APPEND_ONLY
        raise StateServerError(f"{files}: damaged ({line}); {_moved(files, _set_aside(files))}")


def _set_aside(files: Path) -> Path:
    return files.rename(files.with_name(f"{files.name}.corrupt-{now_ms()}"))


def _moved(files: Path, aside: Path) -> str:
    return f"set aside as {aside}: {_way_out(files, aside)}"


def _way_out(files: Path, aside: Path) -> str:
    return (
        f"restore {files} from a backup, or move {aside} away to start without recent behaviour "
        "and the events that were not archived yet"
    )
