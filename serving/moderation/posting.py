"""Signed messages to webhooks of allowed hosts.

A message carries its time and an HMAC over both (``Tidegate-Signature: t=…,v1=…``), so that whoever
knows the secret can tell it from a forged or an old one. Names must lead to public addresses, and
the connection goes to the address that was checked; only an address written out in the allow-list
(``127.0.0.1:9000``) may be one of our own.
"""

import hashlib
import hmac
import http.client
import ipaddress
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from serving.moderation.fetching import Resolve, connected, is_public, resolved

HEADER = "Tidegate-Signature"
_PORTS = {"http": 80, "https": 443}


class PostError(ValueError):
    """Not delivered; the message says why."""


@dataclass(frozen=True)
class Poster:
    """Posts to allowed hosts; `resolve` and `clock` are the system's but in tests."""

    hosts: frozenset[str]
    time_s: float = 8.0
    resolve: Resolve = resolved
    clock: Callable[[], float] = time.time

    def post(self, url: str, body: bytes, secret: str) -> None:
        """Deliver a message once.

        Raises:
            PostError: the host is not allowed or not reached, or does not answer 2xx.
        """
        target, port = self.checked(url)
        headers = {
            "Host": target.netloc,
            "Content-Type": "application/json",
            "Connection": "close",
            HEADER: signature(body, secret, int(self.clock())),
        }
        try:
            status = self._sent(target, port, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise PostError(f"{target.hostname}: {error}") from error
        if status // 100 != 2:
            raise PostError(f"{target.hostname} answers {status}")

    def checked(self, url: str) -> tuple[SplitResult, int]:
        """Parts of an allowed address, and its port.

        Raises:
            PostError: no http address, or its host is not allowed.
        """
        try:
            target = urlsplit(url)
            port = target.port or _PORTS[target.scheme]
        except (ValueError, KeyError) as error:
            raise PostError("give an http:// or https:// address") from error
        host = target.hostname or ""
        usual = port == _PORTS[target.scheme]
        if f"{host}:{port}" not in self.hosts and not (usual and host in self.hosts):
            raise PostError(f"{host}:{port} is not on the list of allowed hosts")
        if target.username is not None:
            raise PostError("names a user")
        return target, port

    def _sent(self, target: SplitResult, port: int, body: bytes, headers: dict[str, str]) -> int:
        host = target.hostname or ""
        pipe = connected(self._address(host, port), port, self.time_s)
        try:
            if target.scheme == "https":
                pipe = ssl.create_default_context().wrap_socket(pipe, server_hostname=host)
            connection = http.client.HTTPConnection(host, port)
            connection.sock = pipe
            path = target.path or "/"
            connection.request(
                "POST", f"{path}?{target.query}" if target.query else path, body, headers
            )
            return connection.getresponse().status
        finally:
            pipe.close()

    def _address(self, host: str, port: int) -> str:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            return host  # written out in the allow-list
        addresses = self.resolve(host, port)
        if not addresses or not all(map(is_public, addresses)):
            raise PostError(f"{host} leads to an address that is not public")
        return addresses[0]


def signature(body: bytes, secret: str, time_s: int) -> str:
    """The header's value for a body sent at a moment."""
    mac = hmac.new(secret.encode(), f"{time_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={time_s},v1={mac}"
