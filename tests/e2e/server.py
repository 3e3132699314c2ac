"""The launcher as a child process, for tests that need the whole of it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from serving.archive.commits import SegmentKind
from serving.archive.reading import read_rows
from serving.archive.store import LocalStore

ROOT = Path(__file__).parents[2]
ARCHIVE, ACCESS_LOG = "log/events", "log/access"  # below the folder, which is laid out as var
START_LIMIT_S = 150
STOP_LIMIT_S = 60


@dataclass(frozen=True)
class Server:
    """A running launcher.

    Attributes:
        http: a client of it. port: of HTTP.
        process: the launcher. folder: its state and logs.
    """

    http: httpx.Client
    port: int
    process: "subprocess.Popen[bytes]"
    folder: Path

    @property
    def output(self) -> str:
        """What the launcher has printed."""
        return (self.folder / "output").read_text()

    @property
    def state_process_id(self) -> int:
        """Of the state server of events, which may have been restarted."""
        return int((self.folder / "state" / "log" / "lock").read_text().split()[1])

    @property
    def live_process_id(self) -> int:
        """Of the state server of pages and visibility."""
        return int((self.folder / "state" / "live" / "lock").read_text().split()[1])

    def archived(self, kind: SegmentKind) -> list[dict[str, Any]]:
        """Rows of the archive."""
        rows: list[dict[str, Any]] = read_rows(LocalStore(self.folder / ARCHIVE), kind).to_pylist()
        return rows


@contextmanager
def running(host: str, bundles: Path, folder: Path) -> Iterator[Server]:
    """Run the launcher until the block ends, then stop it as an operator would."""
    port, *ray_ports = free_ports(3)
    process = launched(
        ["--host", host, "--bundles", str(bundles), "--port", str(port)], folder, ray_ports
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            server = Server(http, port, process, folder)
            wait_until_it_serves(server)
            yield server
    finally:
        process.terminate()
        process.wait(STOP_LIMIT_S)


def launched(
    arguments: Sequence[str], folder: Path, ray_ports: Sequence[int] = ()
) -> "subprocess.Popen[bytes]":
    """Start the launcher with its data in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    environ = os.environ | {
        "TIDEGATE__STATE__FOLDER": str(folder / "state"),
        "TIDEGATE__ARCHIVE__INTERVAL_S": "0.2",
        "TIDEGATE__ARCHIVE__LOCATION": str(folder / ARCHIVE),
        "TIDEGATE__LOG__FOLDER": str(folder / ACCESS_LOG),
        "TIDEGATE__RECORDS__FOLDER": str(folder / "records"),
        "TIDEGATE__RECORDS__SECRETS": str(folder / "secrets"),
        "TIDEGATE__MEDIA__FOLDER": str(folder / "media"),
    }
    if ray_ports:
        names = ("TIDEGATE__RAY__STATS_PORT", "TIDEGATE__RAY__METRICS_PORT")
        environ |= dict(zip(names, map(str, ray_ports), strict=True))
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "serving", *arguments],
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def wait_until_it_serves(server: Server) -> None:
    """Return when the launcher says that it serves."""
    deadline = time.monotonic() + START_LIMIT_S
    while "serving on" not in server.output:
        assert server.process.poll() is None, server.output
        assert time.monotonic() < deadline, server.output
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def family(process_id: int) -> set[int]:
    """A process and all that it started, directly or not."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {process_id}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found
