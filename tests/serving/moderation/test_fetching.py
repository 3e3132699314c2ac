"""Fetching goes to allowed hosts at public addresses, whatever names and servers answer."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serving.moderation.fetching import Fetcher, FetchLimits, allows, is_public
from serving.moderation.picture_formats import MediaError

PUBLIC = "93.184.215.14"
LIMITS = FetchLimits(
    hosts=frozenset({"shop.test", "cdn.test", "*.img.test"}), schemes=frozenset({"http", "https"})
)


class Shop(BaseHTTPRequestHandler):
    """Answers by path."""

    redirects: Mapping[str, str] = {
        "/moved": "http://cdn.test/picture",
        "/inside": "http://127.0.0.1/picture",
        "/metadata": "http://169.254.169.254/latest",
        "/elsewhere": "http://evil.test/picture",
        "/loop": "/loop",
        "/file": "file:///etc/passwd",
    }

    def do_GET(self) -> None:
        if location := self.redirects.get(self.path):
            self.send_response(302)
            self.send_header("Location", location)
            self.end_headers()
        elif self.path == "/missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.written()

    def written(self) -> None:
        if self.path == "/trickle":
            for _ in range(20):
                self.wfile.write(b"x")
                time.sleep(0.1)
        else:
            self.wfile.write(b"x" * (5_000 if self.path == "/long" else 10))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Network:
    """Every public address is one local server; what is connected to is remembered."""

    def __init__(self, port: int, names: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self.port, self.reached = port, list[str]()
        self.answers = {name: list(answers) for name, answers in names.items()}

    def resolve(self, host: str, port: int) -> Sequence[str]:
        answers = self.answers.get(host)
        if answers is None:
            raise socket.gaierror(host)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def connect(self, address: str, port: int, time_s: float) -> socket.socket:
        self.reached.append(address)
        return socket.create_connection(("127.0.0.1", self.port), timeout=time_s)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def network(port: int) -> Network:
    return Network(
        port,
        {
            "shop.test": [[PUBLIC]],
            "cdn.test": [["8.8.8.8"]],
            "a.img.test": [["127.0.0.1"]],
            "b.img.test": [[PUBLIC, "10.0.0.1"]],
            "turns.img.test": [[PUBLIC], ["127.0.0.1"]],
            "empty.img.test": [[]],
        },
    )


@pytest.fixture
def fetcher(network: Network) -> Callable[..., Fetcher]:
    def made(**limits: object) -> Fetcher:
        return Fetcher(replace(LIMITS, **limits), network.resolve, network.connect)  # type: ignore[arg-type]

    return made


def test_a_picture_is_fetched_directly_and_over_a_redirect(
    network: Network, fetcher: Callable[..., Fetcher]
) -> None:
    assert fetcher().fetch("http://shop.test/picture") == b"x" * 10
    assert fetcher().fetch("http://SHOP.test/moved") == b"x" * 10
    assert network.reached == [PUBLIC, PUBLIC, "8.8.8.8"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://evil.test/picture", "url_refused"),
        ("http://127.0.0.1/picture", "url_refused"),
        ("http://169.254.169.254/latest", "url_refused"),
        ("http://shop.test.evil.test/picture", "url_refused"),
        ("http://user:word@shop.test/picture", "url_refused"),
        ("http://shop.test:6379/picture", "url_refused"),
        ("http://shop.test:x/picture", "url_refused"),
        ("ftp://shop.test/picture", "url_refused"),
        ("file:///etc/passwd", "url_refused"),
        ("picture", "url_refused"),
        ("http://a.img.test/picture", "address_refused"),
        ("http://b.img.test/picture", "address_refused"),
        ("http://unknown.img.test/picture", "fetch_failed"),
        ("http://empty.img.test/picture", "fetch_failed"),
        ("http://shop.test/missing", "fetch_failed"),
        ("http://shop.test/inside", "url_refused"),
        ("http://shop.test/metadata", "url_refused"),
        ("http://shop.test/elsewhere", "url_refused"),
        ("http://shop.test/file", "url_refused"),
        ("http://shop.test/loop", "fetch_failed"),
    ],
)
def test_what_is_refused(
    url: str, code: str, network: Network, fetcher: Callable[..., Fetcher]
) -> None:
    with pytest.raises(MediaError) as refusal:
        fetcher().fetch(url)
    assert refusal.value.code == code
    assert set(network.reached) <= {PUBLIC}


def test_a_name_that_changes_between_check_and_fetch_reaches_what_was_checked(
    network: Network, fetcher: Callable[..., Fetcher]
) -> None:
    assert fetcher().fetch("http://turns.img.test/picture") == b"x" * 10
    assert network.reached == [PUBLIC]
    with pytest.raises(MediaError, match="not public"):
        fetcher().fetch("http://turns.img.test/picture")
    assert network.reached == [PUBLIC]


def test_size_and_time_are_bounded(fetcher: Callable[..., Fetcher]) -> None:
    with pytest.raises(MediaError, match="more than 4000 bytes"):
        fetcher(file_bytes=4_000).fetch("http://shop.test/long")
    started = time.monotonic()
    with pytest.raises(MediaError, match=r"longer than 0\.4 s"):
        fetcher(time_s=0.4).fetch("http://shop.test/trickle")
    assert time.monotonic() - started < 1.5


def test_a_certificate_of_another_name_is_refused(fetcher: Callable[..., Fetcher]) -> None:
    with pytest.raises(MediaError) as refusal:
        fetcher().fetch("https://shop.test/picture")  # the server does not even speak TLS
    assert refusal.value.code == "fetch_failed"


def test_no_host_is_allowed_unless_it_is_named() -> None:
    assert not allows(FetchLimits().hosts, "shop.test")
    assert not allows(LIMITS.hosts, "img.test")
    assert not allows(LIMITS.hosts, "")
    assert allows(LIMITS.hosts, "x.img.test.")


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1",
        "192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1",
        "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b:1::1",
        "2001:db8::1", "nonsense",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)
