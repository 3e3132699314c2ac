"""HTTP to allow-listed hosts at checked addresses: never into one's own network.

A name is resolved once; every address must be public, and the connection goes to the one that was
checked, so that DNS cannot change in between. A redirect is a new address and is checked anew. Only
an address written out in the allow-list (``127.0.0.1:9000``) may be one of ours.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urljoin, urlsplit

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 1 << 16

Resolve = Callable[[str, int], list[str]]


class FetchError(ValueError):
    """Not fetched; `code` says why in one word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class FetchLimits:
    """What may be reached and taken.

    Attributes:
        hosts: allow-listed, each ``host`` (usual ports) or ``host:port``; empty allows none.
        file_bytes: of the answer. time_s: of everything, redirects too.
    """

    hosts: frozenset[str]
    file_bytes: int = 20 << 20
    time_s: float = 10.0
    redirects: int = 3


@dataclass(frozen=True)
class Message:
    """What is sent: a GET, or a POST with a body."""

    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """Of HTTP."""
        return "GET" if self.body is None else "POST"


@dataclass(frozen=True)
class Answer:
    """What a host answered."""

    status: int
    location: str | None
    body: bytes


def resolved(host: str, port: int) -> list[str]:
    """Addresses of a name."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def fetch(url: str, limits: FetchLimits, resolve: Resolve = resolved) -> bytes:
    """Return what an address holds.

    Raises:
        FetchError: `bad_url`, `host_not_allowed`, `address_not_allowed`, `too_many_redirects`,
            `fetch_failed`, `fetch_timed_out` or `file_too_large`.
    """
    deadline = time.monotonic() + limits.time_s
    for _ in range(limits.redirects + 1):
        answer = send(Message(), url, limits, deadline, resolve)
        if answer.status not in _REDIRECTS or answer.location is None:
            break
        url = urljoin(url, answer.location)
    else:
        raise FetchError("too_many_redirects", f"more than {limits.redirects} redirects")
    if answer.status != http.client.OK:
        raise FetchError("fetch_failed", f"{_shown(url)} answers {answer.status}")
    return answer.body


def send(
    message: Message,
    url: str,
    limits: FetchLimits,
    deadline: float,
    resolve: Resolve = resolved,
) -> Answer:
    """One request to one checked address; redirects are not followed.

    Args:
        message: what is sent. url: where to.
        limits: of what may be reached and taken.
        deadline: monotonic seconds.
        resolve: host, port -> addresses.

    Raises:
        FetchError: see `fetch`.
    """
    parts, port = _parts(url)
    address = _checked(parts, port, limits.hosts, resolve)
    try:
        with socket.create_connection((address, port), _left(deadline)) as plain:
            connection = http.client.HTTPConnection(str(parts.hostname), port)
            connection.sock = _secured(plain, parts)
            path = parts.path or "/"
            target = f"{path}?{parts.query}" if parts.query else path
            given = {"Host": parts.netloc, "Connection": "close", **message.headers}
            connection.request(message.method, target, message.body, given)
            response = connection.getresponse()
            content = _taken(response, connection.sock or plain, limits, deadline)
            return Answer(response.status, response.getheader("location"), content)
    except TimeoutError as error:
        raise FetchError("fetch_timed_out", f"{_shown(url)} takes too long") from error
    except (OSError, http.client.HTTPException) as error:
        raise FetchError("fetch_failed", f"{_shown(url)}: {error}") from error


def _parts(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchError("bad_url", f"not an address: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.username or parts.password:
        raise FetchError("bad_url", "give http:// or https:// and a host, without credentials")
    if any(character <= " " for character in url):
        raise FetchError("bad_url", "holds spaces or control characters")
    return parts, port or _PORTS[parts.scheme]


def _checked(parts: SplitResult, port: int, hosts: frozenset[str], resolve: Resolve) -> str:
    host = str(parts.hostname)
    named = f"{host}:{port}"
    if named not in hosts and (host not in hosts or port != _PORTS[parts.scheme]):
        raise FetchError("host_not_allowed", f"{named} is not on the allow-list of the server")
    if _is_address(host):
        return host  # written out in the allow-list
    try:
        addresses = resolve(host, port)
    except OSError as error:
        raise FetchError("fetch_failed", f"{host} has no address: {error}") from error
    for address in addresses:
        if not ipaddress.ip_address(address.split("%")[0]).is_global:
            raise FetchError("address_not_allowed", f"{host} leads into a private network")
    if not addresses:
        raise FetchError("fetch_failed", f"{host} has no address")
    return addresses[0]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _secured(plain: socket.socket, parts: SplitResult) -> socket.socket:
    if parts.scheme == "http":
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)


def _taken(
    response: http.client.HTTPResponse,
    connection: socket.socket,
    limits: FetchLimits,
    deadline: float,
) -> bytes:
    taken = bytearray()
    while True:
        connection.settimeout(_left(deadline))
        chunk = response.read1(_CHUNK)
        if not chunk:
            return bytes(taken)
        taken += chunk
        if len(taken) > limits.file_bytes:
            raise FetchError("file_too_large", f"has more than {limits.file_bytes} bytes")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _shown(url: str) -> str:
    """Without the query, which may hold a secret."""
    return url.split("?", maxsplit=1)[0]
