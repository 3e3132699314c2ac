"""Admission of feed requests: the queue of one process, and deadlines of its callers."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import Request

from serving.api.errors import ApiError, Detail, invalid, shown
from serving.feed.admission import (
    AdmissionLimits,
    Load,
    admitted,
    effort,
    lessened,
    retry_after_s,
    smoothed,
)
from serving.feed.contracts import DeadlineError, FeedRequest, Page
from serving.feed.rules import FeedRules

TIMEOUT_HEADER = "x-timeout-ms"
TIMEOUT_LIMIT_MS = 600_000
MILLISECONDS = re.compile(r"[1-9][0-9]{0,5}")


class Admission:
    """What one process has let in; used from its event loop only."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self.load = Load()
        self._limits = limits

    @asynccontextmanager
    async def place(self, request: Request, started_s: float) -> AsyncIterator[float]:
        """Hold a place in the queue; yields the caller's deadline on the clock of `started_s`.

        Raises:
            ApiError: the queue is full or too long for the deadline, the deadline passed, or the
                header is no number of milliseconds.
        """
        budget_s = budget_of(request)
        if not admitted(self.load, self._limits, budget_s):
            message = "the queue is full, or too long for the deadline"
            raise ApiError(503, "overloaded", message, headers=self._waiting())
        self.load = replace(self.load, waiting=self.load.waiting + 1)
        try:
            await asyncio.sleep(0)  # those that came together see each other in the queue
            yield started_s + budget_s
        except DeadlineError as late:
            raise ApiError(503, "deadline_passed", str(late), headers=self._waiting()) from late
        finally:
            self.load = replace(self.load, waiting=self.load.waiting - 1)

    def compute(
        self,
        answer: Callable[[FeedRequest, FeedRules], Page],
        asked: FeedRequest,
        rules: FeedRules,
        deadline_s: float,
    ) -> Page:
        """Let an engine answer with as much effort as the queue leaves, and learn how long it took.

        Raises:
            DeadlineError: the deadline passed between two stages.
        """
        asked, rules = lessened(asked, rules, effort(self.load, self._limits))
        page = answer(replace(asked, deadline_s=deadline_s), rules)
        took_s = sum(page.stage_ms.values()) / 1000
        self.load = replace(self.load, service_s=smoothed(self.load.service_s, took_s))
        return page

    def _waiting(self) -> dict[str, str]:
        return {"retry-after": str(retry_after_s(self.load))}


def budget_of(request: Request) -> float:
    """Seconds that the caller waits; infinite if it does not say.

    Raises:
        ApiError: the header is no number of milliseconds within its limit.
    """
    text = request.headers.get(TIMEOUT_HEADER)
    if text is None:
        return math.inf
    if MILLISECONDS.fullmatch(text) and int(text) <= TIMEOUT_LIMIT_MS:
        return int(text) / 1000
    message = f"expected whole milliseconds from 1 to {TIMEOUT_LIMIT_MS}"
    fault = Detail(field=TIMEOUT_HEADER, value=shown(text), message=message, limit=TIMEOUT_LIMIT_MS)
    raise invalid([fault])
