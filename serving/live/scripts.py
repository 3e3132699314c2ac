"""Lua scripts of the state server: one atomic step each, sent once and then named by checksum."""

import asyncio
import hashlib
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, RedisError

from serving.live.state import StateFullError, StateUnreachableError
from serving.live.wire import Argument, Commands

FOLDER = Path(__file__).parent / "scripts"
Answer = TypeVar("Answer")


class Script:
    """One Lua file on one client; arguments and answers are those its header describes."""

    def __init__(self, client: Commands, name: str) -> None:
        self._client = client
        self._text = (FOLDER / f"{name}.lua").read_bytes()
        self._checksum = hashlib.sha1(self._text, usedforsecurity=False).hexdigest()

    async def __call__(self, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run it and return what its header says.

        Raises:
            StateUnreachableError: no answer; whether it ran cannot be known.
        """
        return await answered(self._run(len(keys), *keys, *arguments))

    async def _run(self, *arguments: Argument) -> Any:
        try:
            return await self._client.execute_command("EVALSHA", self._checksum, *arguments)
        except NoScriptError:  # the server is new
            return await self._client.execute_command("EVAL", self._text, *arguments)


async def answered(answer: Awaitable[Answer]) -> Answer:
    """Wait for a reply of the state server.

    Raises:
        CancelledError: the task was cancelled.
        StateFullError: its disk is full.
        StateUnreachableError: it gave none, or refused.
    """
    task = asyncio.current_task()
    cancelled = task.cancelling() if task else 0
    try:
        found = await answer
    except (RedisError, OSError) as error:
        if "No space left on device" in str(error):
            raise StateFullError(str(error)) from error
        raise StateUnreachableError(f"{type(error).__name__}: {error}") from error
    if task and task.cancelling() > cancelled:
        # redis-py sends within asyncio.wait_for, which loses a cancellation that comes just as it
        # ends (Python before 3.12); a loop that nobody can end any more would keep its process.
        raise asyncio.CancelledError
    return found
