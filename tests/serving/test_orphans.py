import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from serving.orphans import MARK, end_orphans, mark_of

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def started(mark: str) -> "subprocess.Popen[bytes]":
            process = subprocess.Popen(
                [sys.executable, "-c", "print(flush=True); input()"],
                env=os.environ | {MARK: mark},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert process.stdout is not None
            process.stdout.readline()  # before, it may still be a copy of this process
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield started


@pytest.mark.parametrize("gone", ["0:0", f"{os.getpid()}:0", "launcher"])
def test_what_a_gone_launcher_left_is_ended_and_nothing_else(start: Start, gone: str) -> None:
    orphan, child = start(gone), start(mark_of(os.getpid()))
    assert orphan.pid in end_orphans()
    assert orphan.wait(5) == -9
    assert child.poll() is None
