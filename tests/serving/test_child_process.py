import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from serving import child_process
from serving.child_process import Manner, Process, WatchedProcess, alive

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]
ENDS = [sys.executable, "-c", ""]
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready', flush=True); time.sleep(60)"
)


def wait_for(what: Callable[[], bool], limit_s: float = 20) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def watched(spawn: Callable[[], Process], last_restart_s: float = 0.2) -> WatchedProcess:
    return WatchedProcess(Manner("child", Process.terminate, 0.3, last_restart_s), spawn)


def test_what_ends_is_started_again_until_it_is_stopped() -> None:
    child = watched(lambda: subprocess.Popen(SLEEPS))
    assert child.process_id is None
    child.stop()  # was never started
    for _ in range(2):
        first = child.start().pid
        child.watch()
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: child.process_id not in {None, first})  # noqa: B023 - called at once
        child.stop()
        assert child.process_id is None
        child.stop()


def test_pauses_between_restarts_grow_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(child_process, "FIRST_RESTART_S", 0.01)
    started: list[float] = []

    def spawn() -> Process:
        started.append(time.monotonic())
        return subprocess.Popen(ENDS)

    child = watched(spawn, last_restart_s=0.04)
    child.start()
    child.watch()
    wait_for(lambda: len(started) >= 4)
    child.stop()
    count = len(started)
    time.sleep(0.2)
    assert len(started) == count
    said = [record.getMessage() for record in caplog.records][:3]
    assert said[0] == "child ended with status 0; restart in 0.0 s"
    assert len(said) == 3


def test_what_does_not_end_when_asked_is_killed() -> None:
    child = watched(
        lambda: subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    )
    process = child.start()
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        child.stop()
    assert process.returncode == -signal.SIGKILL


def test_a_process_that_only_waits_for_its_parent_is_not_alive() -> None:
    process = subprocess.Popen(ENDS)
    wait_for(lambda: not alive(process.pid))
    os.kill(process.pid, 0)  # a zombie can still be signalled
    process.wait()
    assert not alive(process.pid)
    assert alive(os.getpid())
    assert not alive(0)
