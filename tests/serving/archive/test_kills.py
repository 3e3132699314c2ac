"""The archiver as a process, killed again and again while events come in."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from redis import Redis

from serving.archive.archiver import Archiver, RedisStream
from serving.archive.store import LocalStore
from serving.live.supervisor import StateServer
from tests.serving.archive.streams import event_fields, event_ids

ROUNDS = 4
WORKER = """
import sys, time
from pathlib import Path
from redis import Redis
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
