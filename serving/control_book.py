"""Operators' controls in one process: the records' rows, looked at again and again."""

import asyncio
import logging

from serving.feed.controls import Control
from serving.records.contracts import Controls
from serving.records.errors import RecordsError

log = logging.getLogger("tidegate.controls")

LOOK_S = 0.5


class ControlBook:
    """What holds now, at most LOOK_S old while the records answer; the last known otherwise.

    Attributes:
        holding: every control, also those for other surfaces and those that are over.
    """

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._sequence = 0
        self.holding: tuple[Control, ...] = ()

    async def refresh(self) -> None:
        """Look whether anything changed, and take it over.

        Raises:
            RecordsError: the records do not answer; what was known holds on.
        """
        if await asyncio.to_thread(self._controls.newest) != self._sequence:
            self._sequence, found = await asyncio.to_thread(self._controls.listed)
            self.holding = tuple(found)

    async def follow(self, look_s: float = LOOK_S) -> None:
        """Refresh until cancelled."""
        while True:
            try:
                await self.refresh()
            except RecordsError as error:
                log.error("controls are not followed: %s", error)
            await asyncio.sleep(look_s)
