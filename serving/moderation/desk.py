"""Where requests meet the moderator: one thread of its own, so that no feed waits for a verdict."""

import asyncio
import io
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol, TypeVar

from PIL import Image

from serving.moderation.decoding import Picture
from serving.moderation.findings import Content
from serving.moderation.picture_formats import MediaError
from serving.moderation.verdict import Moderator, Verdict

log = logging.getLogger("tidegate.moderation")

_WARM_UP_SIDE = 64
T = TypeVar("T")


class Decoder(Protocol):
    """Turns bytes into pixels where they can do no harm; a ``DecodingProcess`` in service."""

    def decode(self, content: bytes) -> Picture:
        """Decode a picture. Raises: MediaError."""

    def close(self) -> None:
        """End it."""


class ModerationDesk:
    """Judges one request after another beside the event loop."""

    def __init__(
        self, moderator: Moderator, decoder: Decoder, executor: ThreadPoolExecutor | None = None
    ) -> None:
        self.moderator = moderator
        self._decoder = decoder
        self._executor = executor or ThreadPoolExecutor(1, "moderation")

    @property
    def version(self) -> str:
        """Of the bundle by which it judges."""
        return self.moderator.model.version

    def judging_by(self, moderator: Moderator) -> "ModerationDesk":
        """A desk in the same thread; whoever asked this one gets its answer from this one.

        Certificates and banks are records, not parts of a bundle: they stay.
        """
        kept = replace(
            moderator, certificates=self.moderator.certificates, banks=self.moderator.banks
        )
        return ModerationDesk(kept, self._decoder, self._executor)

    async def picture(self, content: bytes) -> Picture:
        """Decode a picture in the process that may be killed.

        Raises:
            MediaError: it is not judged; says why.
        """
        return await asyncio.to_thread(self._decoder.decode, content)

    async def judge(
        self, items: Sequence[Content], region: str | None, surface: str | None = None
    ) -> list[Verdict]:
        """One verdict for each item, in order."""
        judge = self.moderator.judge_content

        def judged() -> list[Verdict]:
            return [judge(one, region, surface) for one in items]

        return await asyncio.get_running_loop().run_in_executor(self._executor, judged)

    async def warm_up(self) -> None:
        """Start what starts with the first picture, so that no item waits for it."""
        file = io.BytesIO()
        Image.new("RGB", (_WARM_UP_SIDE, _WARM_UP_SIDE), "white").save(file, "PNG")
        try:
            picture = await self.picture(file.getvalue())
        except MediaError as error:
            log.error("pictures cannot be judged: %s", error)
            return
        await self.judge([Content(pictures=(picture,))], None)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do something in the thread that judges, so that it meets no judgement half done."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Finish what has begun; take nothing more."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._decoder.close()
