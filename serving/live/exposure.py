"""The exploration ladder as the state server keeps it: what is granted, served, seen and liked.

Keys: ``ladder`` (items by the time they came), ``ladder:moves`` (stream), ``ladder:promoter``,
``ladder:changes`` (counts changes), ``ladder:changed`` (items by their newest change),
``ladder:creator:<creator>``, ``exposure:<item>``, ``moves:<item>``, ``held:<item>`` and
``evidence:<item>:<what>``.
The evidence is a sketch of distinct people (HyperLogLog, Flajolet et al. 2007; exact to within a
percent), so that repeating an event changes nothing and nobody can be read from it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from serving.feed.exposure import FIRST, REACTIONS, Codes, Move, Rungs, creator_standing
from serving.live.scripts import Script, answered
from serving.live.wire import Argument

LADDER, MOVES, PROMOTER = "ladder", "ladder:moves", "ladder:promoter"
CHANGES, CHANGED = "ladder:changes", "ladder:changed"
HISTORY = "ladder:creator:"
KINDS = ("viewers", *REACTIONS)
READ_ITEMS = 50  # in one script; pages wait for it
MOVES_KEPT = 100_000
WHOLE_MS = 60_000  # between two looks at all items, whatever else has written to the state
OPENED = "opened"


class Rung(NamedTuple):
    """Where one item stands.

    Attributes:
        tier: 0 for the first audience. budget: impressions granted in all.
        confirmed: impressions that were seen. held: served and not seen yet.
        opened_ms: when it came onto the ladder.
        closed: nothing more is served at the ladder's expense.
        first: impressions of the first audience.
        lapses_ms: when the first of what is held is let go; 0 where nothing is.
        viewers: distinct people who saw it, wherever.
        reactions: distinct people of each of ``REACTIONS``.
    """

    item_id: str
    tier: int
    budget: int
    confirmed: int
    held: int
    opened_ms: int
    closed: bool
    first: int
    lapses_ms: int
    viewers: int
    reactions: tuple[int, ...]


class ExposureLadder:
    """The ladder of all replicas; every change is one atomic step and may be repeated.

    Every method raises ``StateUnreachableError`` where the state does not answer; whether a change
    was made is then not known.
    """

    def __init__(self, client: Any, kept_ms: int) -> None:
        """Keep what is known of an item for `kept_ms` after its newest move."""
        self._client, self._kept_ms = client, kept_ms
        self._read = Script(client, "read_rungs")
        self._move = Script(client, "move_rung")

    async def open(self, item_id: str, creator_id: str, impressions: int, now_ms: int) -> bool:
        """Grant an item its first audience; false if it has had it."""
        return await self._moved(creator_id, now_ms, item_id, OPENED, FIRST, FIRST, impressions)

    async def move(self, move: Move, creator_id: str, now_ms: int) -> bool:
        """Apply a decision; false where the item is no longer where it was decided."""
        step = str(move.step)
        return await self._moved(
            creator_id, now_ms, move.item_id, step, move.tier, move.to, move.budget
        )

    async def item_ids(self) -> list[str]:
        """Items on the ladder, the oldest first."""
        return [one.decode() for one in await answered(self._client.zrange(LADDER, 0, -1))]

    async def rungs(
        self, item_ids: Sequence[str], now_ms: int, evidence: bool = True
    ) -> list[Rung]:
        """Where these items stand; unknown ones are left out.

        Args:
            item_ids: asked for.
            now_ms: the present moment; what is held no longer is let go.
            evidence: count viewers and reactions, two thirds of the work; else they are 0.
        """
        found: list[Rung] = []
        kinds = KINDS if evidence else ()
        for start in range(0, len(item_ids), READ_ITEMS):
            asked: list[Argument] = [now_ms, len(kinds), *kinds]
            rows = await self._read([LADDER], asked + list(item_ids[start : start + READ_ITEMS]))
            found += [_rung(row) for row in rows]
        return found

    async def changed(self, since: int) -> tuple[int, frozenset[str]]:
        """Number of the newest change, and the items that changed after number `since`."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.get(CHANGES).zrangebyscore(CHANGED, f"({since}", "+inf")
        newest, item_ids = await answered(pipeline.execute())
        return int(newest or 0), frozenset(one.decode() for one in item_ids)

    async def moves(self, limit: int) -> list[dict[str, str]]:
        """The newest moves of all items, newest first."""
        entries = await answered(self._client.xrevrange(MOVES, count=limit))
        return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in entries]

    async def moves_of(self, item_id: str) -> list[dict[str, str]]:
        """One item's moves, oldest first."""
        found = await answered(self._client.lrange(f"moves:{item_id}", 0, -1))
        return [orjson.loads(move) for move in found]

    async def standings(self, creator_ids: Sequence[str]) -> list[float]:
        """What former items say of creators, in [-1, 1]."""
        pipeline = self._client.pipeline(transaction=False)
        for creator_id in creator_ids:
            pipeline.hmget(HISTORY + creator_id, "promoted", "decided")
        rows = await answered(pipeline.execute())
        return [creator_standing(*(int(one or 0) for one in row)) for row in rows]

    async def promotes(self, replica: str, lease_ms: int) -> bool:
        """Whether this replica is the one that decides; it stays so while it keeps asking."""
        if await answered(self._client.set(PROMOTER, replica, nx=True, px=lease_ms)):
            return True
        if await answered(self._client.get(PROMOTER)) != replica.encode():
            return False
        return bool(await answered(self._client.pexpire(PROMOTER, lease_ms)))

    async def _moved(self, creator_id: str, now_ms: int, *fields: str | int) -> bool:
        keys = [LADDER, MOVES, HISTORY + creator_id]
        return bool(await self._move(keys, [now_ms, self._kept_ms, *fields, MOVES_KEPT]))


class LadderCopy:
    """All rungs as one replica knows them; a look reads only those that may have changed."""

    def __init__(self, ladder: ExposureLadder) -> None:
        self._ladder = ladder
        self._known: dict[str, Rung] = {}
        self._sequence = 0
        self._evidence = False
        self._whole_ms = 0

    async def look(self, now_ms: int, evidence: bool) -> list[Rung]:
        """Rungs of the items on the ladder, the oldest first.

        Args:
            now_ms: the present moment. evidence: see `ExposureLadder.rungs`.

        Raises:
            StateUnreachableError: the state does not answer; the next look makes up for it.
        """
        newest, changed = await self._ladder.changed(self._sequence)
        emptied = newest < self._sequence  # the state was
        if emptied or evidence > self._evidence or now_ms >= self._whole_ms + WHOLE_MS:
            self._known, self._whole_ms = {}, now_ms
        on_ladder = await self._ladder.item_ids()
        kept = {
            item_id: rung
            for item_id in on_ladder
            if (rung := self._known.get(item_id))
            and item_id not in changed
            and (not rung.lapses_ms or now_ms < rung.lapses_ms)
        }
        asked = [item_id for item_id in on_ladder if item_id not in kept]
        read = {one.item_id: one for one in await self._ladder.rungs(asked, now_ms, evidence)}
        self._known = kept | read
        self._sequence, self._evidence = newest, evidence
        return [self._known[item_id] for item_id in on_ladder if item_id in self._known]


def rungs_of(rows: Sequence[Rung], kinds: Codes, categories: Codes) -> Rungs:
    """Rows as arrays, with the codes of like content."""
    return Rungs(
        item_ids=tuple(row.item_id for row in rows),
        tier=np.array([row.tier for row in rows], np.int64),
        budget=np.array([row.budget for row in rows], np.int64),
        confirmed=np.array([row.confirmed for row in rows], np.int64),
        held=np.array([row.held for row in rows], np.int64),
        opened_ms=np.array([row.opened_ms for row in rows], np.int64),
        closed=np.array([row.closed for row in rows], bool),
        viewers=np.array([row.viewers for row in rows], np.float64),
        reactions=np.array([row.reactions for row in rows], np.float64).reshape(-1, len(REACTIONS)),
        kind=kinds.astype(np.int64),
        category=categories.astype(np.int64),
    )


def _rung(row: Sequence[bytes | int]) -> Rung:
    item, *numbers = row
    tier, budget, confirmed, held, opened_ms, closed, first, lapses_ms, *counts = map(int, numbers)
    assert isinstance(item, bytes)  # noqa: S101 - the script's first field is a string
    return Rung(
        item.decode(),
        tier,
        budget,
        confirmed,
        held,
        opened_ms,
        closed == 1,
        first,
        lapses_ms,
        counts[0] if counts else 0,
        tuple(counts[1:]) or (0,) * len(REACTIONS),
    )
