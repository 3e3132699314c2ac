"""Time of the stages: what each took, the caller's deadline, and which stages are too slow now."""

import time
from dataclasses import dataclass, field

from serving.feed.contracts import DeadlineError

REST_S = 1.0


@dataclass
class Stopwatch:
    """Milliseconds of each stage, in the order in which they ended.

    Attributes:
        deadline_s: when the caller stops waiting, on the clock of ``time.perf_counter``.
    """

    deadline_s: float
    stage_ms: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    @property
    def running_ms(self) -> float:
        """Milliseconds since the last stage ended."""
        return (time.perf_counter() - self._last) * 1000

    def lap(self, stage: str) -> None:
        """The stage ends now; it began where the one before ended.

        Raises:
            DeadlineError: the deadline has passed; nobody waits for the stages to come.
        """
        now = time.perf_counter()
        self.stage_ms[stage] = (now - self._last) * 1000
        self._last = now
        if now > self.deadline_s:
            raise DeadlineError(stage)


class Lateness:
    """Stages that took more than their budget a moment ago: they rest for REST_S."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}

    def rests(self, stage: str) -> bool:
        """Whether a stage is not asked now."""
        return time.perf_counter() < self._until_s.get(stage, 0.0)

    def over(self, stage: str, took_ms: float, budget_ms: float) -> bool:
        """Whether a stage took more than its budget; then it rests."""
        if took_ms <= budget_ms:
            return False
        self._until_s[stage] = time.perf_counter() + REST_S
        return True
