"""Where requests meet the moderator: one thread of its own, so that no feed waits for a text."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from serving.moderation.verdict import Moderator, Verdict


class ModerationDesk:
    """Judges one request after another beside the event loop."""

    def __init__(self, moderator: Moderator, executor: ThreadPoolExecutor | None = None) -> None:
        self.moderator = moderator
        self._executor = executor or ThreadPoolExecutor(1, "moderation")

    @property
    def version(self) -> str:
        """Of the bundle by which it judges."""
        return self.moderator.model.version

    def judging_by(self, moderator: Moderator) -> "ModerationDesk":
        """A desk in the same thread; whoever asked this one gets its answer from this one."""
        return ModerationDesk(moderator, self._executor)

    async def judge(self, items: Sequence[Sequence[str]], region: str | None) -> list[Verdict]:
        """One verdict for the text parts of each item, in order."""

        def judged() -> list[Verdict]:
            return [self.moderator.judge(parts, region) for parts in items]

        return await asyncio.get_running_loop().run_in_executor(self._executor, judged)

    def close(self) -> None:
        """Finish what has begun; take nothing more."""
        self._executor.shutdown(wait=True, cancel_futures=True)
