"""Archiver and state server as processes, killed again and again while events come in."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from serving.archive.archiver import Archiver, RedisStream
from serving.archive.store import LocalStore
from serving.live.event_stream import EventStream, LoggedEvent, StreamLimits
from serving.live.state import StateUnreachableError
from serving.live.supervisor import StateServer
from tests.serving.archive.streams import event_fields, event_ids

ROUNDS = 4
WORKER = """
import sys, time
from pathlib import Path
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from serving.archive import archiver
from serving.archive.store import LocalStore
archiver.STEP_ENTRIES = 5
stream = archiver.RedisStream(Redis.from_url(sys.argv[1]))
worker = archiver.Archiver(stream, LocalStore(Path(sys.argv[2])))
print("ready", flush=True)
while True:
    worker.step() or time.sleep(0.002)
"""


def test_kills_at_random_moments(tmp_path: Path) -> None:
    server = StateServer(tmp_path / "state")
    server.start()
    try:
        client, store = Redis.from_url(server.url), LocalStore(tmp_path / "log")
        sent: list[str] = []
        for round_ in range(ROUNDS):
            feed_and_kill(server.url, client, store, sent, random.Random(round_))
        left = client.xlen("events")
        Archiver(RedisStream(client), store).drain()
        assert sorted(event_ids(store)) == sorted(sent)
        assert client.xlen("events") == 0
        assert left < len(sent)
        client.close()
    finally:
        server.stop()


def feed_and_kill(
    url: str, client: Redis, store: LocalStore, sent: list[str], chance: random.Random
) -> None:
    command = [sys.executable, "-c", WORKER, url, str(store.root)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    end = time.monotonic() + chance.uniform(0.05, 0.4)
    while time.monotonic() < end:
        names = [f"e{len(sent) + n}" for n in range(3)]
        client.xadd("events", event_fields(*names))
        sent += names
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()


def test_kills_of_the_state_server_lose_and_repeat_nothing(tmp_path: Path) -> None:
    server = StateServer(tmp_path / "state")
    server.start()
    try:
        sent = asyncio.run(send_through_kills(server))
        client = Redis.from_url(server.url)
        Archiver(RedisStream(client), store := LocalStore(tmp_path / "log")).drain()
        assert sorted(event_ids(store)) == sorted(sent)
        recent = client.lrange("recent:u", 0, -1)
        assert len(recent) == min(len(sent), 200)
        client.close()
    finally:
        server.stop()


async def send_through_kills(server: StateServer) -> list[str]:
    """Three senders that repeat a batch until it is acknowledged; returns the ids."""
    client = AsyncRedis.from_url(server.url, retry=Retry(NoBackoff(), 0), socket_timeout=1)
    stream, sent, kills = EventStream(client, StreamLimits()), list[str](), asyncio.Event()

    async def send(sender: int) -> None:
        number = 0
        while not kills.is_set():
            number += 1
            names = [f"{sender}-{number}-{n}" for n in range(5)]
            batch = [logged(name) for name in names]
            while not await accepted(stream, batch):
                await asyncio.sleep(0.01)
            sent.extend(names)

    async def kill() -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(0.2)
            while (process_id := server.process_id) is None:
                await asyncio.sleep(0.01)  # it is started again after a pause
            os.kill(process_id, signal.SIGKILL)
        kills.set()

    await asyncio.gather(kill(), *(send(sender) for sender in range(3)))
    await client.aclose()
    return sent


def logged(name: str) -> LoggedEvent:
    return LoggedEvent(name, "u", event_fields(name, user="u")[b"body"], b"[]")


async def accepted(stream: EventStream, batch: list[LoggedEvent]) -> bool:
    try:
        await stream.append(batch, 1_800_000_000_000)
    except StateUnreachableError:
        return False
    return True
