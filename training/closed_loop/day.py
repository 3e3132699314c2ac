"""A policy's day: every session of the stage, page by page, by draws that all policies share."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from models.arrays import Mask, Rows
from training.closed_loop.stage import Stage
from training.datasets.simulator import Memory, Responses, begin_sessions, respond, values
from training.datasets.world.people import HOUR_MS
from training.datasets.world.pull import Floats

BETWEEN_PAGES_MS = 60_000


@dataclass(frozen=True)
class Visitors:
    """B users with a page to be filled: users [B], asking [B] false where one has left."""

    users: Rows
    asking: Mask
    now_ms: int


class Policy(Protocol):
    """What decides on pages."""

    def begin(self, now_ms: int) -> None:
        """A tick begins."""

    def pages(self, visitors: Visitors) -> Rows:
        """Return item rows [B, K], -1 where nothing is shown."""

    def learn(self, visitors: Visitors, pages: Rows, told: Responses) -> None:
        """Take in what became of these pages."""


@dataclass(frozen=True)
class Day:
    """What became of a policy.

    Attributes:
        value: [S] of each session. hour: [S] of the day when it began.
        exposures: [N] examined impressions an item.
    """

    value: Floats
    hour: Rows
    exposures: Floats

    @property
    def session_value(self) -> float:
        """Mean value of a session."""
        return float(self.value.mean())


def live_through(stage: Stage, policy: Policy) -> Day:
    """Let everybody of the stage meet the policy."""
    memory = Memory(**{name: array.copy() for name, array in vars(stage.memory).items()})
    exposures = np.zeros(len(stage.world.item_traits))
    earned, hours = [np.empty(0)], [np.empty(0, np.int64)]
    ticks = (stage.visits.time_ms - stage.start_ms) // stage.plan.tick_ms
    for tick in range(stage.plan.hours * HOUR_MS // stage.plan.tick_ms):
        users = np.unique(stage.visits.user_rows[ticks == tick])
        now_ms = stage.start_ms + tick * stage.plan.tick_ms
        policy.begin(now_ms)
        begin_sessions(memory, users)
        visitors = Visitors(users, np.ones(len(users), bool), now_ms)
        session = Sessions(stage, policy, memory, exposures)
        earned.append(session.value(tick, visitors))
        hours.append(np.full(len(users), tick * stage.plan.tick_ms // HOUR_MS))
    return Day(np.concatenate(earned), np.concatenate(hours), exposures)


@dataclass(frozen=True)
class Sessions:
    """Sessions under one policy; `memory` and `exposures` [N] are written."""

    stage: Stage
    policy: Policy
    memory: Memory
    exposures: Floats

    def value(self, tick: int, visitors: Visitors) -> Floats:
        """Value [B] of the sessions that begin in a tick."""
        total = np.zeros(len(visitors.users))
        for page in range(self.stage.plan.pages):
            if not visitors.asking.any():
                break
            told = self._told(tick, page, visitors)
            total += values(told).sum(axis=1)
            # Who has left stays in the batch with an empty page: all policies meet one draw.
            asking, now_ms = visitors.asking & ~told.left, visitors.now_ms + BETWEEN_PAGES_MS
            visitors = replace(visitors, asking=asking, now_ms=now_ms)
        return total

    def _told(self, tick: int, page: int, visitors: Visitors) -> Responses:
        shown = self.policy.pages(visitors)
        time_ms = np.full(len(visitors.users), visitors.now_ms)
        draws, world = self.stage.draws(tick, page), self.stage.world
        told = respond(world, visitors.users, shown, time_ms, draws, self.memory)
        self.policy.learn(visitors, shown, told)
        np.add.at(self.exposures, shown[told.examined], 1.0)
        return told
