import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from serving.live.mirror import VisibilityMirror
from serving.live.pages import SEQUENCE, VISIBILITY
from serving.live.supervisor import StateServer
from serving.live.takedown import (
    Replica,
    VisibilityLink,
    apply_everywhere,
    holding_out,
    keep_lease,
)
from serving.records.status import EVERYONE, Status, StatusRow

Run = Callable[[Callable[[Any], Any]], Any]


class Truth:
    """Visibility rows as the records keep them."""

    def __init__(self) -> None:
        self.rows: dict[str, StatusRow] = {}
        self.sequence = 0

    def put(self, subject: str, status: Status = "hidden") -> int:
        self.sequence += 1
        self.rows[subject] = StatusRow(subject, EVERYONE, status, True, 1, self.sequence)
        return self.sequence

    def changes(self, after: int, limit: int) -> list[StatusRow]:
        later = [row for row in self.rows.values() if row.sequence > after]
        return sorted(later, key=lambda row: row.sequence)[:limit]

    def newest_sequence(self) -> int:
        return max((row.sequence for row in self.rows.values()), default=0)

    def rows_of_subjects(self, subjects: Sequence[str]) -> dict[str, list[StatusRow]]:
        return {subject: [self.rows[subject]] for subject in subjects if subject in self.rows}


def status(mirror: VisibilityMirror, item_id: str) -> Status:
    return mirror.status(item_id, "c", "CN", "all")


def test_changes_flow_from_the_records_to_a_mirror(with_client: Run) -> None:
    async def body(client: Any) -> None:
        truth, link, mirror = Truth(), VisibilityLink(client), VisibilityMirror()
        assert not await link.renew("r", mirror)
        assert not mirror.trusted(time.monotonic())
        truth.put("item:a")
        assert await link.push(truth) == 1
        assert await link.renew("r", mirror)
        assert not await link.renew("r", mirror)
        assert status(mirror, "a") == "hidden"
        for n in range(5):
            truth.put(f"item:b{n}")
        truth.put("item:a", "visible")
        assert await link.push(truth) == 7
        assert await link.renew("r", mirror)
        assert (status(mirror, "a"), status(mirror, "b3")) == ("visible", "hidden")
        assert await client.hexists(VISIBILITY, "item:a") is False
        assert mirror.trusted(time.monotonic())

    with_client(body)


def test_a_lease_ends_when_reads_stop() -> None:
    mirror = VisibilityMirror(lease_s=15.0)
    mirror.replace(1, {})
    mirror.renew(100.0)
    mirror.renew(90.0)
    assert mirror.trusted(114.9)
    assert not mirror.trusted(115.0)


def test_a_takedown_waits_for_every_replica_or_its_lease() -> None:
    replicas = {"told": Replica(7, 900), "behind": Replica(6, 950), "gone": Replica(2, 0)}
    assert holding_out(replicas, 7, 1_000, lease_ms=500) == ["behind"]
    assert holding_out(replicas, 7, 1_451, lease_ms=500) == []
    assert holding_out(replicas, 7, 400, lease_ms=500) == ["behind", "gone"]


def test_waiting_ends_with_the_acknowledgement(with_client: Run) -> None:
    async def body(client: Any) -> None:
        truth, link, mirror = Truth(), VisibilityLink(client, lease_s=0.2), VisibilityMirror()
        truth.put("item:a")
        await link.push(truth)
        await asyncio.sleep(0.25)  # the lease that a rebuild begins
        await link.renew("r", mirror)
        await link.renew("r", mirror)
        assert await link.await_replicas(1, timeout_s=0.0) == []
        taken = truth.put("item:b")
        await link.push(truth)
        assert await link.await_replicas(taken, timeout_s=0.0) == ["r"]
        await link.renew("r", mirror)
        assert await link.await_replicas(taken, timeout_s=0.0) == ["r"]
        await link.renew("r", mirror)
        assert await link.await_replicas(taken, timeout_s=0.0) == []
        later = truth.put("item:c")
        await link.push(truth)
        started = time.monotonic()
        assert await link.await_replicas(later, timeout_s=5.0) == []
        assert time.monotonic() - started < 1.0
        await link.renew("r", mirror)
        await link.leave("r")
        assert await link.await_replicas(truth.put("item:d"), timeout_s=0.0) == []

    with_client(body)


def test_a_lost_copy_is_built_anew_and_waited_for(with_client: Run) -> None:
    async def body(client: Any) -> None:
        truth, link, mirror = Truth(), VisibilityLink(client), VisibilityMirror()
        for n in range(3):
            truth.put(f"item:{n}")
        await link.push(truth)
        await link.renew("r", mirror)
        await client.flushall()
        assert not await link.renew("r", mirror)
        await link.push(truth)
        assert await link.await_replicas(4, timeout_s=0.0) == ["(before the rebuild)"]
        assert await client.hlen(VISIBILITY) == 3

    with_client(body)


def test_records_restored_from_a_backup_win(with_client: Run) -> None:
    async def body(client: Any) -> None:
        truth, link, mirror = Truth(), VisibilityLink(client), VisibilityMirror()
        for n in range(9):
            truth.put(f"item:{n}")
        await link.push(truth)
        await link.renew("r", mirror)
        restored = Truth()
        restored.put("item:old")
        assert await link.push(restored) == 1
        await link.renew("r", mirror)
        assert (status(mirror, "old"), status(mirror, "3")) == ("hidden", "visible")

    with_client(body)


def test_pushes_at_once_lose_no_change(with_client: Run) -> None:
    async def body(client: Any) -> None:
        truth, link = Truth(), VisibilityLink(client)
        mirror = VisibilityMirror()
        for n in range(30):
            truth.put(f"item:{n}")
            await asyncio.gather(*(link.push(truth) for _ in range(3)))
            if n % 7 == 0:
                await link.renew("r", mirror)
        await link.renew("r", mirror)
        assert await client.get(SEQUENCE) == b"30"
        assert all(status(mirror, str(n)) == "hidden" for n in range(30))

    with_client(body)


def test_a_mirror_far_behind_takes_the_whole_copy(with_client: Run, monkeypatch: Any) -> None:
    async def body(client: Any) -> None:
        truth, link, mirror = Truth(), VisibilityLink(client), VisibilityMirror()
        truth.put("item:first")
        await link.push(truth)
        await link.renew("r", mirror)
        for n in range(6):
            truth.put(f"item:{n}")
            await link.push(truth)
        await link.renew("r", mirror)
        assert all(status(mirror, str(n)) == "hidden" for n in range(6))
        assert mirror.sequence == 7

    monkeypatch.setattr("serving.live.takedown.CHANGES_KEPT", 3)
    with_client(body)


def test_a_kept_lease_acknowledges_a_takedown_soon(with_client: Run) -> None:
    async def body(client: Any) -> None:
        truth, link, mirror = Truth(), VisibilityLink(client, lease_s=0.1), VisibilityMirror()
        keeper = asyncio.create_task(keep_lease(link, truth, "r", mirror, interval_s=0.01))
        while not mirror.trusted(time.monotonic()):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.15)  # the lease that the first fill began
        sequence = truth.put("item:a")
        assert await apply_everywhere(link, truth, sequence) == "done"
        assert status(mirror, "a") == "hidden"
        keeper.cancel()

    with_client(body)


def test_a_takedown_during_an_outage_is_applied_before_any_lease_is_renewed(tmp_path: Path) -> None:
    async def body() -> None:
        server = StateServer(tmp_path / "state")
        server.start()
        client = Redis.from_url(server.url, retry=Retry(NoBackoff(), 0), socket_timeout=0.1)
        truth, link, mirror = Truth(), VisibilityLink(client), VisibilityMirror()
        keeper = asyncio.create_task(keep_lease(link, truth, "r", mirror, interval_s=0.01))
        while mirror.sequence is None:
            await asyncio.sleep(0.01)
        process_id = server.process_id
        assert process_id is not None
        os.kill(process_id, signal.SIGSTOP)
        sequence = truth.put("item:a")
        assert await apply_everywhere(link, truth, sequence) == "pending"
        before = mirror.good_read_s
        await asyncio.sleep(0.3)
        assert mirror.good_read_s == before
        os.kill(process_id, signal.SIGCONT)
        while mirror.good_read_s == before:
            assert status(mirror, "a") == "visible"
            await asyncio.sleep(0)
        assert status(mirror, "a") == "hidden"
        keeper.cancel()
        await client.aclose()
        server.stop()

    asyncio.run(asyncio.wait_for(body(), 20))
