"""Which sockets a process and its children listen on, as the kernel tells it (Linux)."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"  # state of a listening socket in /proc/net/tcp


@dataclass(frozen=True, order=True)
class Listener:
    """One listening TCP socket and the program that holds it."""

    port: int
    address: str
    program: str


def reachable_listeners(process_id: int) -> list[Listener]:
    """Return the listeners of a process and its descendants that other machines can reach."""
    sockets = _listening_sockets()
    found = {
        Listener(port, address, _program(member))
        for member in _family(process_id)
        for inode in _socket_inodes(member)
        if inode in sockets
        for address, port in [sockets[inode]]
        if not ip_address(address).is_loopback
    }
    return sorted(found)


def settled_listeners(process_id: int, program: str, limit_s: float = 10.0) -> list[Listener]:
    """Return the same once one of them is a program's, or the time is over.

    HAProxy hands its sockets to a successor for every replica that comes: between two looks at the
    kernel's tables neither of them may hold one.
    """
    deadline = time.monotonic() + limit_s
    while True:
        found = reachable_listeners(process_id)
        if program in {one.program for one in found} or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _listening_sockets() -> dict[str, tuple[str, int]]:
    sockets = {}
    for table in ("tcp", "tcp6"):
        path = PROC / "net" / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            columns = line.split()
            if columns[3] == LISTEN:
                address, port = columns[1].split(":")
                sockets[columns[9]] = (_address(address), int(port, 16))
    return sockets


def _address(words: str) -> str:
    """The kernel prints an address as 32-bit words of the machine's byte order (little-endian)."""
    raw = bytes.fromhex(words)
    ordered = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
    address = ip_address(ordered)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _family(process_id: int) -> set[int]:
    parents = dict(_parents())
    family = {process_id}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _parents() -> Iterator[tuple[int, int]]:
    for folder in PROC.glob("[0-9]*"):
        try:
            facts = (folder / "stat").read_text()
        except OSError:  # ended meanwhile
            continue
        yield int(folder.name), int(facts.rpartition(")")[2].split()[1])


def _socket_inodes(process_id: int) -> Iterator[str]:
    try:
        descriptors = list((PROC / str(process_id) / "fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if match := re.fullmatch(r"socket:\[(\d+)\]", target):
            yield match[1]


def _program(process_id: int) -> str:
    try:
        return (PROC / str(process_id) / "comm").read_text().strip()
    except OSError:
        return "?"
