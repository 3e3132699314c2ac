"""Nothing is reached that was not allowed, whatever names and redirects say."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from serving.moderation.safe_fetch import FetchError, FetchLimits, Message, fetch, send

LARGE = 200_000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()
        if self.path == "/slow":
            time.sleep(1.0)
        self.wfile.write(b"x" * (LARGE if self.path == "/large" else 3))

    def do_POST(self) -> None:
        taken = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers["X-Mark"].encode() + taken)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def limits(*hosts: str, **changed: Any) -> FetchLimits:
    return FetchLimits(frozenset(hosts), **changed)


def code_of(url: str, given: FetchLimits, *addresses: str) -> str:
    with pytest.raises(FetchError) as caught:
        fetch(url, given, lambda _host, _port: list(addresses))
    return caught.value.code


def test_what_is_allowed_is_fetched_and_posted_to(host: str) -> None:
    assert fetch(f"http://{host}/a", limits(host)) == b"xxx"
    message = Message(b"body", {"X-Mark": "mark:"})
    answer = send(message, f"http://{host}/b", limits(host), time.monotonic() + 5)
    assert (answer.status, answer.body) == (200, b"mark:body")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "::1", "fe80::1%eth0"]
)
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    given = limits("pictures.example")
    assert code_of("http://pictures.example/a", given, address) == "address_not_allowed"
    assert code_of("http://pictures.example/a", given, "1.1.1.1", address) == "address_not_allowed"


def test_the_address_that_was_checked_is_the_one_that_is_asked(host: str) -> None:
    answers = iter([["1.1.1.1"], ["127.0.0.1"]])
    asked: list[str] = []

    def changing(name: str, port: int) -> list[str]:
        asked.append(name)
        return next(answers)

    given = limits("pictures.example", time_s=0.2)
    with pytest.raises(FetchError) as caught:
        fetch("http://pictures.example/a", given, changing)
    assert caught.value.code in ("fetch_timed_out", "fetch_failed")  # of 1.1.1.1, not of loopback
    assert asked == ["pictures.example"]


def test_a_redirect_is_checked_anew(host: str) -> None:
    given = limits(host)
    assert fetch(f"http://{host}/to/http://{host}/a", given) == b"xxx"
    assert code_of(f"http://{host}/to/http://127.0.0.1:1/", given) == "host_not_allowed"
    assert code_of(f"http://{host}/to/http://169.254.169.254/", given) == "host_not_allowed"
    assert code_of(f"http://{host}/to/file:///etc/passwd", given) == "bad_url"
    loop = f"http://{host}/to//to/http://{host}/to//to//to//to/"
    assert code_of(loop, given) in ("too_many_redirects", "host_not_allowed")


def test_limits_hold(host: str) -> None:
    assert code_of(f"http://{host}/large", limits(host, file_bytes=1000)) == "file_too_large"
    assert code_of(f"http://{host}/slow", limits(host, time_s=0.2)) == "fetch_timed_out"
    assert code_of(f"http://{host}/none", limits(host)) == "fetch_failed"
    assert code_of(f"http://{host}/a", limits()) == "host_not_allowed"
    assert code_of("http://pictures.example:81/a", limits("pictures.example")) == "host_not_allowed"
    assert code_of("http://[::bad/", limits(host)) == "bad_url"
