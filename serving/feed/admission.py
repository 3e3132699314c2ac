"""Overload: who is let in, how much work an answer may be, and when to come back. All pure.

A replica computes one answer after the other, so what is let in and not answered is a queue whose
wait is its length times the seconds of one answer (Little, 1961).
"""

import math
from dataclasses import dataclass, replace
from enum import IntEnum

from serving.feed.contracts import FeedRequest
from serving.feed.rules import FeedRules

FEWER = 5  # times fewer candidates on the first step of the ladder
SMOOTHING = 0.05  # share of the newest answer in the mean; about the last 20 count
LEAST_RETRY_S = 1


class Effort(IntEnum):
    """The degrade ladder, from the top."""

    FULL = 0
    FEWER_CANDIDATES = 1
    POPULAR = 2


CODES = {Effort.FEWER_CANDIDATES: "fewer_candidates", Effort.POPULAR: "popular_only"}


@dataclass(frozen=True)
class AdmissionLimits:
    """Where the ladder's steps begin.

    Attributes:
        queue: requests let in and not answered, at most.
        fewer_from: share of the queue from which answers rest on fewer candidates.
        popular_from: share of the queue from which answers are what is popular.
    """

    queue: int
    fewer_from: float
    popular_from: float


@dataclass(frozen=True)
class Load:
    """How busy a replica is.

    Attributes:
        waiting: requests let in and not answered.
        service_s: mean seconds of computing one answer; 0 before the first.
    """

    waiting: int = 0
    service_s: float = 0.0

    @property
    def wait_s(self) -> float:
        """Seconds until one more request would be answered."""
        return (self.waiting + 1) * self.service_s


def admitted(load: Load, limits: AdmissionLimits, budget_s: float) -> bool:
    """Whether one more request fits the queue and is likely to be answered in time.

    Args:
        load: at this moment. limits: of the queue.
        budget_s: how long the caller waits; infinite if it did not say.
    """
    return load.waiting < limits.queue and load.wait_s <= budget_s


def effort(load: Load, limits: AdmissionLimits) -> Effort:
    """The step of the ladder for the next answer; `load` counts the request itself."""
    share = load.waiting / limits.queue
    if share > limits.popular_from:
        return Effort.POPULAR
    return Effort.FEWER_CANDIDATES if share > limits.fewer_from else Effort.FULL


def retry_after_s(load: Load) -> int:
    """Whole seconds after which what waits now will have been answered."""
    return max(LEAST_RETRY_S, math.ceil(load.waiting * load.service_s))


def smoothed(mean_s: float, newest_s: float) -> float:
    """The mean after one more answer (exponential smoothing); the first one sets it."""
    return newest_s if mean_s == 0.0 else mean_s + SMOOTHING * (newest_s - mean_s)


def lessened(request: FeedRequest, rules: FeedRules, step: Effort) -> tuple[FeedRequest, FeedRules]:
    """The same request as less work; what the user did stays hidden from the page."""
    if step is Effort.FULL:
        return request, rules
    degraded = (*request.degraded, CODES[step])
    if step is Effort.FEWER_CANDIDATES:
        fewer = max(request.k, rules.interest_candidates // FEWER)
        return replace(request, degraded=degraded), replace(rules, interest_candidates=fewer)
    seen = (*request.seen, *(one.item_id for one in request.recent))
    return replace(request, degraded=degraded, recent=(), seen=seen), rules
