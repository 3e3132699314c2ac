"""Signals reach the host wherever they come, even where an exception would be swallowed."""

import gc
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from serving import host_uvicorn
from serving.__main__ import interrupting

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def serve(
    monkeypatch: pytest.MonkeyPatch, ended: threading.Event, meanwhile: Callable[[], None]
) -> None:
    def built(*_: Any) -> Any:
        meanwhile()
        return app

    monkeypatch.setattr(host_uvicorn, "build", built)
    monkeypatch.setattr(host_uvicorn, "open_state", lambda _: None)
    settings: Any = SimpleNamespace(serving=SimpleNamespace(state=None))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        host_uvicorn.serve(settings, listener, ended)


def swallowed() -> None:
    """Get the signal while a finalizer runs, which loses every exception."""

    class Finalised:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)  # the handler runs here

    Finalised()
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_a_finalizer_swallows_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, interrupting(ended))
    serve(monkeypatch, ended, swallowed)
    assert ended.is_set()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_just_before_it_serves_ends_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def told(_: logging.LogRecord) -> bool:
        os.kill(os.getpid(), number)  # the line is out, uvicorn does not run yet
        return True

    host_uvicorn.log.addFilter(told)
    try:
        with caplog.at_level(logging.INFO, host_uvicorn.log.name):
            serve(monkeypatch, threading.Event(), lambda: None)
    finally:
        host_uvicorn.log.removeFilter(told)
    assert "serving on" in caplog.text
