import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.child_process import alive
from serving.live import supervisor
from serving.live.state_files import APPEND_ONLY, MANIFEST, StateServerError
from serving.live.supervisor import StateServer

free_port = supervisor._free_port


def ask(server: StateServer, *words: str) -> bytes:
    """One command in the protocol's inline form."""
    port = int(server.url.rsplit(":", 1)[1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.recv(1 << 16)


def wait_for(what: Callable[[], bool], limit_s: float = 20) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StateServer]:
    server = StateServer(tmp_path / "state")
    server.start()
    yield server
    server.stop()


def test_it_listens_on_loopback_and_syncs_every_write(server: StateServer) -> None:
    assert server.url.startswith("redis://127.0.0.1:")
    assert b"always" in ask(server, "CONFIG", "GET", "appendfsync")
    assert b"127.0.0.1" in ask(server, "CONFIG", "GET", "bind")


def test_a_killed_server_comes_back_with_all_it_acknowledged(server: StateServer) -> None:
    assert ask(server, "SET", "kept", "1").startswith(b"+OK")
    before = server.process_id
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: server.process_id not in {None, before})
    wait_for(lambda: _answers(server))
    assert ask(server, "GET", "kept") == b"$1\r\n1\r\n"


def _answers(server: StateServer) -> bool:
    try:
        return ask(server, "PING").startswith(b"+PONG")
    except OSError:
        return False


def test_what_it_keeps_survives_a_restart(tmp_path: Path) -> None:
    server = StateServer(tmp_path)
    for expected in (b"$-1\r\n", b"$1\r\n1\r\n"):
        server.start()
        assert ask(server, "GET", "kept") == expected
        ask(server, "SET", "kept", "1")
        server.stop()
        assert server.process_id is None
        server.stop()  # a second time does nothing


def test_a_folder_serves_one_server(server: StateServer, tmp_path: Path) -> None:
    with pytest.raises(StateServerError, match=rf"in use by a launcher \(process {os.getpid()}\)"):
        StateServer(tmp_path / "state").start()
    assert ask(server, "PING").startswith(b"+PONG")


def test_the_server_of_a_killed_launcher_is_replaced(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path;"
        "from serving.live.supervisor import StateServer;"
        "s = StateServer(Path(sys.argv[1])); s.start(); print(s.process_id, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    launcher = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    orphan = int(launcher.stdout)
    os.kill(orphan, 0)  # still there
    server = StateServer(tmp_path)
    server.start()
    try:
        assert server.process_id != orphan
        wait_for(lambda: not alive(orphan))
    finally:
        server.stop()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StateServerError, match=f"port {port} on 127.0.0.1 is taken"):
            StateServer(tmp_path, port).start()


def test_a_port_that_is_taken_between_choice_and_use_is_given_up(
    server: StateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the answer of the server that was quicker would be taken for one's own."""
    taken = int(server.url.rsplit(":", 1)[1].split("/")[0])
    chosen = iter([taken, taken, 0])
    monkeypatch.setattr(supervisor, "_free_port", lambda _: next(chosen) or free_port(0))
    late = StateServer(tmp_path / "late")
    late.start()
    try:
        assert late.url != server.url
        assert b"late" in ask(late, "CONFIG", "GET", "dir")
    finally:
        late.stop()
    chosen = iter([taken])
    fixed = StateServer(tmp_path / "fixed", taken)
    with pytest.raises(StateServerError, match=f"port {taken} on 127.0.0.1 is taken"):
        fixed.start()
    assert fixed.process_id is None
    assert next(chosen, None) is None


def test_a_chosen_port_that_is_gone_at_the_next_start_is_replaced(tmp_path: Path) -> None:
    server = StateServer(tmp_path)
    server.start()
    server.stop()
    before = server.url
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(before.rsplit(":", 1)[1].split("/")[0])))
        other.listen()
        server.start()
        server.stop()
    assert server.url != before


def test_a_server_that_cannot_read_its_data_says_so(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("in the way of the folder")
    with pytest.raises(StateServerError, match=r"stopped with status .*valkey\.log"):
        StateServer(tmp_path).start()
    (tmp_path / "appendonlydir").unlink()
    server = StateServer(tmp_path)  # the failed start left no lock behind
    server.start()
    server.stop()


def filled(folder: Path) -> Path:
    """A stopped server's append-only files."""
    server = StateServer(folder)
    server.start()
    ask(server, "SET", "early", "v" * 500)
    ask(server, "BGREWRITEAOF")
    wait_for(lambda: b"aof_rewrite_in_progress:0" in ask(server, "INFO", "persistence"))
    ask(server, "SET", "late", "v" * 500)
    server.stop()
    return folder / APPEND_ONLY


def overwritten(path: Path) -> None:
    path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])


@pytest.mark.parametrize(
    ("pattern", "hurt"),
    [
        ("*.incr.aof", overwritten),
        ("*.base.rdb", overwritten),
        ("*.base.rdb", Path.unlink),
        (MANIFEST, overwritten),
        (MANIFEST, Path.unlink),
    ],
)
def test_damaged_files_are_named_set_aside_and_never_replaced(
    tmp_path: Path, pattern: str, hurt: Callable[[Path], None]
) -> None:
    files = filled(tmp_path)
    whole = tmp_path / "backup"
    shutil.copytree(files, whole)
    hurt(next(files.glob(pattern)))
    left = {path.name: path.read_bytes() for path in files.iterdir()}
    with pytest.raises(StateServerError, match=rf"{APPEND_ONLY}.*set aside as .*restore"):
        StateServer(tmp_path).start()
    (aside,) = tmp_path.glob(f"{APPEND_ONLY}.corrupt-*")
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == left
    with pytest.raises(
        StateServerError, match=rf"{APPEND_ONLY} is missing: restore .*{aside.name}"
    ):
        StateServer(tmp_path).start()
    shutil.copytree(whole, files)
    server = StateServer(tmp_path)
    server.start()
    try:
        assert b"v" * 500 in ask(server, "GET", "early")
        assert b"v" * 500 in ask(server, "GET", "late")
    finally:
        server.stop()


def test_a_last_write_that_a_kill_cut_off_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = next(filled(tmp_path).glob("*.incr.aof"))
    log.write_bytes(log.read_bytes()[:-9])
    server = StateServer(tmp_path)
    server.start()
    assert b"v" * 500 in ask(server, "GET", "early")
    server.stop()
    assert "Truncating the AOF" in caplog.text
