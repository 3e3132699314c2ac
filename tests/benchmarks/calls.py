"""Plain HTTP calls of the benchmarks, one keep-alive connection each."""

import http.client
import json
from typing import Any
from uuid import uuid4


class Caller:
    """One connection to a server on the loopback address; opened anew when it was lost."""

    def __init__(self, port: int, timeout_s: float = 60.0) -> None:
        self._port, self._timeout_s = port, timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and content; status 0 when there was no answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=self._timeout_s
            )
        try:
            self._connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, b""

    def ask(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The same with JSON both ways; no content is an empty object."""
        status, content = self.post(path, json.dumps(body).encode())
        return status, json.loads(content or b"{}")

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def event(user_id: str, item_id: str, time_ms: int, kind: str = "like") -> dict[str, Any]:
    """One event under a new id."""
    return {
        "event_id": uuid4().hex,
        "user_id": user_id,
        "item_id": item_id,
        "type": kind,
        "time": time_ms,
    }
