"""What users carry from one shown item to the next: fatigue, woken interests, followed creators."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows
from training.datasets.world.draw import World
from training.datasets.world.parameters import AWAKENING_COSINE

RECENT_LEAVES = 16
RECENT_ITEMS = 64
FOLLOWED = 32


@dataclass(frozen=True)
class Memory:
    """State of U users; ``respond`` and ``begin_sessions`` write into its arrays in place.

    Attributes:
        leaves: [U, RECENT_LEAVES] leaves seen in the current session, newest last, -1 before.
        items: [U, RECENT_ITEMS] item rows seen lately, newest last, -1 before.
        followed: [U, FOLLOWED] creator rows, newest last, -1 before.
        position: [U] items examined in the current session.
        awake: [U, M] interests that the user has shown.
    """

    leaves: Rows
    items: Rows
    followed: Rows
    position: Rows
    awake: Mask


def fresh_memory(world: World) -> Memory:
    """Users before their first session: known interests awake, hidden ones asleep."""
    count = len(world.user_traits)
    return Memory(
        leaves=np.full((count, RECENT_LEAVES), -1),
        items=np.full((count, RECENT_ITEMS), -1),
        followed=np.full((count, FOLLOWED), -1),
        position=np.zeros(count, np.int64),
        awake=~world.user_traits.hidden,
    )


def begin_sessions(memory: Memory, user_rows: Rows) -> None:
    """Users come back rested: session fatigue and position start anew."""
    memory.leaves[user_rows] = -1
    memory.position[user_rows] = 0


def remember_shown(
    world: World, memory: Memory, user_rows: Rows, item_rows: Rows, examined: Mask
) -> None:
    """Append the examined prefix of each page [B, K] to what its user has seen."""
    leaves = np.where(item_rows >= 0, world.item_traits.leaf[item_rows], -1)
    seen = examined.shape[1] - np.argmax(examined[:, ::-1], axis=1)
    seen = np.where(examined.any(axis=1), seen, 0)
    memory.leaves[user_rows] = shifted(memory.leaves[user_rows], leaves, seen)
    memory.items[user_rows] = shifted(memory.items[user_rows], item_rows, seen)
    memory.position[user_rows] += examined.sum(axis=1)


def remember_liked(
    world: World, memory: Memory, user_rows: Rows, item_rows: Rows, reactions: dict[str, Mask]
) -> None:
    """Follow the creators followed [B, K], and wake hidden interests near what was viewed long."""
    for b, k in zip(*np.nonzero(reactions["follow"]), strict=True):
        row = memory.followed[user_rows[b]]
        row[:-1] = row[1:]
        row[-1] = world.item_traits.creator[item_rows[b, k]]
    page, position = np.nonzero(reactions["long_view"])
    viewers = user_rows[page]
    vectors = world.item_traits.vectors[item_rows[page, position]]
    near = np.einsum("emd,ed->em", world.user_traits.interests[viewers], vectors)
    np.logical_or.at(memory.awake, viewers, near >= AWAKENING_COSINE)


def shifted(memory: Rows, page: Rows, seen: Rows) -> Rows:
    """The newest R of memory [B, R] followed by the first `seen` [B] of page [B, K]."""
    sequence = np.concatenate([memory, page], axis=1)
    columns = seen[:, None] + np.arange(memory.shape[1])
    return np.take_along_axis(sequence, columns, axis=1)


def fatigue(
    world: World, memory: Memory, user_rows: Rows, item_rows: Rows
) -> tuple[NDArray[np.float64], Mask]:
    """Repetition felt at each position [B, K], and where the branch is new to the session.

    Repetition is the sum over the last R items of ``decay ** (lag - 1)`` times 1 for the same
    leaf and `branch_fatigue` for another leaf of the same branch.
    """
    settings, branches = world.parameters, world.maker.space.branches
    page = np.where(item_rows >= 0, world.item_traits.leaf[item_rows], -1)
    sequence = np.concatenate([memory.leaves[user_rows], page], axis=1)
    length, window = item_rows.shape[1], memory.leaves.shape[1]
    felt: NDArray[np.float64] = np.zeros(page.shape)
    met: Mask = np.zeros(page.shape, bool)
    for lag in range(1, window + 1):
        before = sequence[:, window - lag : window - lag + length]
        kin = (branches[before] == branches[page]) & (before >= 0)
        likeness = np.where(before == page, 1.0, settings.branch_fatigue)
        felt += np.where(kin, likeness * settings.fatigue_decay ** (lag - 1), 0.0)
        met |= kin
    return felt, ~met
