"""A policy's day: every session of the stage, page by page, with the draws that all policies share."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from models.arrays import Mask, Rows, Vectors
from training.closed_loop.stage import Stage
from training.datasets.simulator import Memory, Responses, begin_sessions, respond, values


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
        value: [S] of each session.
        exposures: [N] examined impressions an item.
    """

    value: Vectors
    exposures: Vectors

    @property
    def session_value(self) -> float:
        """Mean value of a session."""
        return float(self.value.mean())


def live_through(stage: Stage, policy: Policy) -> Day:
    """Let everybody of the stage meet the policy."""
    memory = Memory(**{name: array.copy() for name, array in vars(stage.memory).items()})
    exposures = np.zeros(len(stage.world.item_traits))
    earned = []
    ticks = (stage.visits.time_ms - stage.start_ms) // stage.plan.tick_ms
    for tick in range(int(stage.plan.hours * 3_600_000 // stage.plan.tick_ms)):
        users = np.unique(stage.visits.user_rows[ticks == tick])
        now_ms = stage.start_ms + tick * stage.plan.tick_ms
        policy.begin(now_ms)
        begin_sessions(memory, users)
        earned.append(
            sessions(
                stage,
                policy,
                tick,
                Visitors(users, np.ones(len(users), bool), now_ms),
                memory,
                exposures,
            )
        )
    return Day(np.concatenate(earned), exposures)


def sessions(
    stage: Stage, policy: Policy, tick: int, visitors: Visitors, memory: Memory, exposures: Vectors
) -> Vectors:
    """Value [B] of the sessions of one tick; `memory` and `exposures` are written."""
    value = np.zeros(len(visitors.users))
    for page in range(stage.plan.pages):
        shown = policy.pages(visitors)
        time_ms = np.full(len(visitors.users), visitors.now_ms)
        told = respond(stage.world, visitors.users, shown, time_ms, stage.draws(tick, page), memory)
        policy.learn(visitors, shown, told)
        value += values(told).sum(axis=1)
        np.add.at(exposures, shown[told.examined], 1.0)
        # Who has left stays in the batch with an empty page, so that all policies meet one draw.
        stays = visitors.asking & ~told.left
        visitors = replace(visitors, asking=stays, now_ms=visitors.now_ms + 60_000)
        if not stays.any():
            break
    return value
