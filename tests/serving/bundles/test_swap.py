"""Replicas and an activation together, with bundles that load when the test says."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from models.bundle import BundleError
from serving.bundles.activation import ActivationBusyError, Activator, NotActivatedError
from serving.bundles.board import Proposal, Report
from serving.bundles.follower import Follower, Seat, Target, next_target, targets_of
from serving.live.state import StateUnreachableError
from serving.records.contracts import Pointer
from serving.records.errors import Conflict
from tests.serving.bundles.boards import MemoryBoard, MemoryPointers


@dataclass(frozen=True)
class Model:
    version: str


@dataclass
class Replica:
    """One replica; `damaged` versions cannot be staged."""

    board: MemoryBoard
    pointers: MemoryPointers
    name: str = "one"
    serving: str = "old"
    damaged: set[str] = field(default_factory=set)
    staged: list[str] = field(default_factory=list)
    served: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        seat = Seat(lambda: Model(self.serving), self._stage, self._swap)
        self.follower = Follower(self.name, "feed", self.board, self.pointers, seat)

    async def steps(self, count: int = 4) -> None:
        for _ in range(count):
            await self.follower.step()
            await asyncio.sleep(0.02)  # the staging thread ends

    def _stage(self, version: str) -> Model:
        self.staged.append(version)
        if version in self.damaged:
            raise BundleError(f"{version}/index.faiss: its sha256 differs")
        return Model(version)

    def _swap(self, model: Model) -> None:
        self.serving = model.version
        self.served.append(model.version)


@dataclass
class Fleet:
    board: MemoryBoard = field(default_factory=MemoryBoard)
    pointers: MemoryPointers = field(default_factory=lambda: MemoryPointers("old"))

    def replica(self, name: str, damaged: set[str] | None = None) -> Replica:
        return Replica(self.board, self.pointers, name, damaged=damaged or set())

    async def activate(
        self, version: str, replicas: list[Replica], limit_s: float = 2.0
    ) -> Pointer:
        """Activate while the replicas go on stepping."""
        activator = Activator(Path(), "feed", self.board, self.pointers, limit_s)
        activation = asyncio.create_task(activator.activate("ann", version))
        while not activation.done():
            for replica in replicas:
                await replica.steps(1)
        return await activation


def test_the_pointer_is_followed_without_any_proposal() -> None:
    async def body() -> None:
        fleet = Fleet()
        replica = fleet.replica("one")
        await replica.steps()
        assert replica.staged == []
        fleet.pointers.activate("ann", "feed", "new", None)
        await replica.steps()
        assert (replica.serving, replica.staged) == ("new", ["new"])

    asyncio.run(body())


def test_an_unreachable_board_keeps_nobody_from_following_the_pointer() -> None:
    async def body() -> None:
        fleet = Fleet()
        replica = fleet.replica("one")
        fleet.board.silent = True
        fleet.pointers.activate("ann", "feed", "new", None)
        await replica.steps()
        assert replica.serving == "new"
        with pytest.raises(StateUnreachableError):
            await fleet.activate("old", [replica])
        assert fleet.pointers.rows[0].version == "new"

    asyncio.run(body())


def test_nobody_serves_before_everyone_has_staged() -> None:
    async def body() -> None:
        fleet = Fleet()
        quick, slow = fleet.replica("quick"), fleet.replica("slow")
        await slow.follower.step()
        fleet.board.proposal = Proposal("t", "new")
        await quick.steps(8)
        assert (quick.staged, quick.serving) == (["new"], "old")
        fleet.board.proposal = None
        await quick.steps()
        assert quick.follower.report.staged is None
        pointer = await fleet.activate("new", [quick, slow])
        assert pointer == Pointer(2, "feed", "new", 2)
        await quick.steps()
        await slow.steps()
        assert (quick.serving, slow.serving) == ("new", "new")
        assert fleet.board.proposal is None

    asyncio.run(body())


def test_going_back_stages_the_older_bundle_anew() -> None:
    async def body() -> None:
        fleet = Fleet()
        replica = fleet.replica("one")
        for version in ("new", "old"):
            await fleet.activate(version, [replica])
            await replica.steps()
        assert replica.staged == replica.served == ["new", "old"]

    asyncio.run(body())


def test_a_report_from_before_a_swap_acknowledges_nothing() -> None:
    async def body() -> None:
        fleet = Fleet()
        replica = fleet.replica("one")
        await fleet.activate("new", [replica])
        assert fleet.board.told["one"].serving == "old"  # it has not looked at the pointer yet
        pointer = await fleet.activate("old", [replica])
        assert replica.follower.report.staged == "old" or replica.serving == "old"
        await replica.steps()
        assert (pointer.sequence, replica.serving) == (3, "old")
        assert replica.staged == ["new", "old"]

    asyncio.run(body())


def test_one_replica_that_cannot_stage_keeps_all_as_they_were() -> None:
    async def body() -> None:
        fleet = Fleet()
        sound, broken = fleet.replica("sound"), fleet.replica("broken", damaged={"new"})
        with pytest.raises(
            NotActivatedError, match=r"broken: new/index\.faiss: its sha256"
        ) as seen:
            await fleet.activate("new", [sound, broken])
        assert list(seen.value.faults) == ["broken"]
        await sound.steps()
        await broken.steps()
        assert (sound.serving, broken.serving) == ("old", "old")
        assert [row.version for row in fleet.pointers.rows] == ["old"]
        assert sound.follower.report.staged is None
        broken.damaged.clear()  # and it may be tried again
        await fleet.activate("new", [sound, broken])
        await broken.steps()
        assert (broken.serving, broken.follower.report.fault) == ("new", None)

    asyncio.run(body())


def test_a_damaged_bundle_under_the_pointer_is_tried_once_and_reported() -> None:
    async def body() -> None:
        fleet = Fleet()
        replica = fleet.replica("one", damaged={"new"})
        fleet.pointers.activate("ann", "feed", "new", None)
        await replica.steps(6)
        assert (replica.serving, replica.staged) == ("old", ["new"])
        assert "index.faiss" in (fleet.board.told["one"].fault or "")

    asyncio.run(body())


def test_a_replica_that_takes_too_long_is_named() -> None:
    async def body() -> None:
        fleet = Fleet()
        fleet.board.told["stuck"] = Report("old")
        with pytest.raises(NotActivatedError, match="stuck: not staged within"):
            await fleet.activate("new", [fleet.replica("quick")], limit_s=0.2)
        assert fleet.pointers.rows[0].version == "old"

    asyncio.run(body())


def test_two_activations_exclude_each_other() -> None:
    async def body() -> None:
        fleet = Fleet()
        fleet.board.proposal = Proposal("t", "other")
        with pytest.raises(ActivationBusyError):
            await fleet.activate("new", [fleet.replica("one")])
        assert fleet.board.proposal == Proposal("t", "other")

    asyncio.run(body())


def test_a_flip_in_between_is_not_overwritten() -> None:
    async def body() -> None:
        fleet = Fleet()
        replica = fleet.replica("one")
        activator = Activator(Path(), "feed", fleet.board, fleet.pointers, 2.0)
        activation = asyncio.create_task(activator.activate("ann", "new"))
        await asyncio.sleep(0.05)
        fleet.pointers.activate("bob", "feed", "third", None)
        await replica.steps(10)
        with pytest.raises(Conflict):
            await activation
        assert fleet.pointers.rows[0].version == "third"

    asyncio.run(body())


def test_the_wait_for_a_turn_is_no_staging() -> None:
    entered: list[str] = []

    @contextmanager
    def turn() -> Iterator[None]:
        time.sleep(0.2)
        entered.append("turn")
        yield

    async def body() -> None:
        fleet = Fleet(pointers=MemoryPointers("new"))
        replica = fleet.replica("one")
        seat = replace(replica.follower._seat, turn=turn)
        replica.follower = Follower("one", "feed", fleet.board, fleet.pointers, seat)
        assert replica.follower.report.staging_s is None
        while replica.serving != "new":
            await replica.steps()
        assert entered == ["turn"]
        assert 0 < (replica.follower.report.staging_s or 0) < 0.1

    asyncio.run(body())


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (Report("a"), Target("b", "pointer 2")),
        (Report("b"), Target("c", "t")),
        (Report("b", staged="c"), None),
        (Report("b", failed="t"), None),
        (Report("a", failed="pointer 2"), Target("c", "t")),
        (Report("b", failed="an older ticket"), Target("c", "t")),
    ],
)
def test_the_pointer_comes_before_the_proposal(report: Report, expected: Target | None) -> None:
    targets = targets_of(Pointer(2, "feed", "b", 0), Proposal("t", "c"))
    assert next_target(targets, report) == expected


def test_without_a_pointer_nothing_is_staged() -> None:
    assert targets_of(None, None) == []
