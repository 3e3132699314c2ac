"""Lua scripts of the state server: one atomic step each, sent once and then named by checksum."""

from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from redis.exceptions import RedisError

from serving.live.state import StateFullError, StateUnreachableError

FOLDER = Path(__file__).parent / "scripts"
Argument = bytes | str | int
Answer = TypeVar("Answer")


class Script:
    """One Lua file on one client; arguments and answers are those its header describes."""

    def __init__(self, client: Any, name: str) -> None:
        self._script = client.register_script((FOLDER / f"{name}.lua").read_text())

    async def __call__(self, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run it and return what its header says.

        Raises:
            StateUnreachableError: no answer; whether it ran cannot be known.
        """
        return await answered(self._script(keys=keys, args=arguments))


async def answered(answer: Awaitable[Answer]) -> Answer:
    """Wait for a reply of the state server.

    Raises:
        StateFullError: its disk is full.
        StateUnreachableError: it gave none, or refused.
    """
    try:
        return await answer
    except (RedisError, OSError) as error:
        if "No space left on device" in str(error):
            raise StateFullError(str(error)) from error
        raise StateUnreachableError(f"{type(error).__name__}: {error}") from error
