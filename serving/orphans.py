"""What a killed launcher leaves behind: Ray's HAProxy, which holds the port of HTTP for ever."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
MARK = "TIDEGATE_LAUNCHER"  # in the environment of everything that a launcher starts for Ray
END_LIMIT_S = 5.0


def mark_of(process_id: int) -> str:
    """Tells a process from every other, also from a later one under the same id."""
    started = (PROC / str(process_id) / "stat").read_text().rpartition(")")[2].split()[19]
    return f"{process_id}:{started}"


def end_orphans() -> list[int]:
    """Kill every marked process whose launcher is gone; return their ids once they are gone."""
    found = [process_id for process_id, mark in _marked() if not _runs(mark)]
    for process_id in found:
        with contextlib.suppress(OSError):  # ended meanwhile, or is another user's
            os.kill(process_id, signal.SIGKILL)
    deadline = time.monotonic() + END_LIMIT_S
    while time.monotonic() < deadline and any(_mark_in(one) for one in found):
        time.sleep(0.02)
    return found


def _marked() -> Iterator[tuple[int, str]]:
    for folder in PROC.glob("[0-9]*"):
        if mark := _mark_in(int(folder.name)):
            yield int(folder.name), mark


def _mark_in(process_id: int) -> str:
    try:
        variables = (PROC / str(process_id) / "environ").read_bytes().split(b"\0")
    except OSError:  # ended, or is another user's
        return ""
    start = f"{MARK}=".encode()
    return next((one[len(start) :].decode() for one in variables if one.startswith(start)), "")


def _runs(mark: str) -> bool:
    try:
        return mark_of(int(mark.partition(":")[0])) == mark
    except (OSError, ValueError):
        return False
