"""Fetching a picture from an address that somebody sent: from allowed hosts, public addresses only.

A name is resolved once and the connection goes to an address of that answer, so that a name which
points elsewhere a moment later changes nothing. Every redirect is checked like the first address.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from serving.moderation.picture_formats import MediaError

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, int, float], socket.socket]


@dataclass(frozen=True)
class FetchLimits:
    """What is fetched at all.

    Attributes:
        hosts: allowed, exact names; "*.example.org" allows the names under example.org. None are
            allowed by default.
        schemes: allowed. file_bytes: of the answer. time_s: of everything. redirects: followed.
    """

    hosts: frozenset[str] = frozenset()
    schemes: frozenset[str] = frozenset({"https"})
    file_bytes: int = 20 << 20
    time_s: float = 8.0
    redirects: int = 3


def resolved(host: str, port: int) -> list[str]:
    """Addresses of a name, as the system resolves it."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in answers]


def connected(address: str, port: int, time_s: float) -> socket.socket:
    """A connection to an address."""
    return socket.create_connection((address, port), timeout=time_s)


@dataclass(frozen=True)
class Fetcher:
    """Fetches under limits; `resolve` and `connect` are the system's but in tests."""

    limits: FetchLimits
    resolve: Resolve = resolved
    connect: Connect = connected

    def fetch(self, url: str) -> bytes:
        """The bytes at an address.

        Raises:
            MediaError: `url_refused` (scheme, host, credentials or port), `address_refused` (it
                leads to an address that is not public), `file_too_large`, `fetch_timed_out` or
                `fetch_failed`.
        """
        deadline = time.monotonic() + self.limits.time_s
        for _ in range(self.limits.redirects + 1):
            target = self._checked(url)
            try:
                content, location = self._got(target, deadline)
            except TimeoutError as error:
                raise _timed_out(self.limits) from error
            except (OSError, http.client.HTTPException) as error:
                raise MediaError("fetch_failed", f"{target.hostname}: {error}") from error
            if location is None:
                return content
            url = urljoin(url, location)
        raise MediaError("fetch_failed", f"more than {self.limits.redirects} redirects")

    def _checked(self, url: str) -> SplitResult:
        try:
            target = urlsplit(url)
            host, port = target.hostname or "", target.port
        except ValueError as error:
            raise MediaError("url_refused", f"no valid URL: {error}") from error
        if target.scheme not in self.limits.schemes:
            allowed = sorted(self.limits.schemes)
            raise MediaError("url_refused", f"scheme {target.scheme!r} is not one of {allowed}")
        if not allows(self.limits.hosts, host):
            raise MediaError("url_refused", f"host {host!r} is not on the list of allowed hosts")
        if target.username is not None or port not in {None, _PORTS[target.scheme]}:
            raise MediaError("url_refused", "names a user or a port of its own")
        return target

    def _got(self, target: SplitResult, deadline: float) -> tuple[bytes, str | None]:
        """Content, or where it is said to be instead."""
        host, port = target.hostname or "", _PORTS[target.scheme]
        connection = http.client.HTTPConnection(host, port)
        pipe = self._opened(target, self._public(host, port), deadline)
        connection.sock = pipe
        # Shut at the deadline, however slowly the bytes trickle.
        timer = threading.Timer(_left(deadline), pipe.shutdown, (socket.SHUT_RDWR,))
        timer.start()
        try:
            path = target.path or "/"
            connection.request("GET", f"{path}?{target.query}" if target.query else path)
            with connection.getresponse() as answer:
                if answer.status in _REDIRECTS:
                    return b"", answer.getheader("Location") or ""
                if answer.status != http.client.OK:
                    raise MediaError("fetch_failed", f"{host} answers {answer.status}")
                content = answer.read(self.limits.file_bytes + 1)
        finally:
            timer.cancel()
            connection.close()
            pipe.close()
            _left(deadline)  # what was cut off at the deadline is not whole, or failed by it
        if len(content) > self.limits.file_bytes:
            raise MediaError("file_too_large", f"has more than {self.limits.file_bytes} bytes")
        return content, None

    def _opened(self, target: SplitResult, address: str, deadline: float) -> socket.socket:
        pipe = self.connect(address, _PORTS[target.scheme], _left(deadline))
        if target.scheme == "http":
            return pipe
        try:
            context = ssl.create_default_context()
            return context.wrap_socket(pipe, server_hostname=target.hostname)
        except BaseException:
            pipe.close()
            raise

    def _public(self, host: str, port: int) -> str:
        """One address of a name, all of whose addresses are public."""
        try:
            addresses = self.resolve(host, port)
        except OSError as error:
            raise MediaError("fetch_failed", f"{host} cannot be resolved") from error
        for address in addresses:
            if not is_public(address):
                raise MediaError(
                    "address_refused", f"{host} leads to an address that is not public"
                )
        if not addresses:
            raise MediaError("fetch_failed", f"{host} has no address")
        return addresses[0]


def allows(hosts: frozenset[str], host: str) -> bool:
    """Whether a host stands on a list."""
    name = host.lower().rstrip(".")
    above = name.partition(".")[2]
    return bool(name) and (name in hosts or (bool(above) and f"*.{above}" in hosts))


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet, also inside IPv6 forms of IPv4."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast and not found.is_reserved


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _timed_out(limits: FetchLimits) -> MediaError:
    return MediaError("fetch_timed_out", f"takes longer than {limits.time_s} s")
