"""The feed over HTTP: what the way through Ray Serve costs, and what its default would cost.

``python -m tests.benchmarks.feed_http`` starts Ray Serve twice, once as `serving` configures it
and once as it comes, over the bundle of `feed_core`. The no-op is ``GET /healthz``. Every figure
is the median of rounds that take turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from threadpoolctl import threadpool_limits

from embeddings.feed_model import KIND
from models.bundle import current
from serving.app import read_settings
from serving.feed.contracts import FeedRequest
from serving.feed_bundle import load_bundle
from serving.live.publish import SPARE_ITEMS
from tests.benchmarks.bundles import ITEMS, publish_large_bundle
from tests.benchmarks.feed_core import NOW_MS, RULES, WARM_UP, K, measured, random_requests
from tests.benchmarks.feed_page import CONFIG
from tests.benchmarks.load import LoadResult, closed_loop, request_bytes
from tests.e2e.server import free_ports
from training.report import print_report

USERS = 1_000  # served pages are remembered for half an hour: nobody asks for hundreds of them
ROUNDS = 3
CONNECTIONS = 16
START_LIMIT_S = 180
OURS = "serving"
DEFAULT = "tests.benchmarks.default_proxy"
NO_OP = [request_bytes("GET", "/healthz")]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.feed_http", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="of each round")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        bundles = publish_large_bundle(folder, seed=options.seed)
        users = random_requests(USERS, ITEMS, options.seed)
        with threadpool_limits(1):  # as replicas run: side by side, one core each
            figures = engine_figures(bundles, users)
        figures |= host_figures(OURS, folder, users, options.seconds)
        default = host_figures(DEFAULT, folder, users, options.seconds)
    figures |= {
        "default_proxy_p50_ms": default["http_p50_ms"],
        "default_proxy_rps_16": default["http_rps_16"],
        "noop_default_proxy_rps_16": default["noop_rps_16"],
        "errors": figures["errors"] + default["errors"],
        "load_before": load_before,
    }
    print_report("feed_http", figures=figures, bars=bars(figures), seed=options.seed)


def bars(figures: Mapping[str, float]) -> dict[str, bool]:
    """What must hold."""
    over_core_ms = figures["http_p50_ms"] - figures["core_p50_ms"]
    return {
        "http p50 <= core p50 + 3 ms": over_core_ms <= 3,
        "no-op >= 6 x the default proxy": figures["noop_rps_16"]
        >= 6 * figures["noop_default_proxy_rps_16"],
        "feed >= 2 x the default proxy": figures["http_rps_16"]
        >= 2 * figures["default_proxy_rps_16"],
        "no errors": figures["errors"] == 0,
    }


def engine_figures(bundles: Path, users: list[FeedRequest]) -> dict[str, float]:
    """The users' pages without a server: by the rules of `feed_core`, and as the app asks for them.

    The second is no part of a bar: it tells what of the way is the page itself.
    """
    engine = load_bundle(current(bundles, KIND), RULES).engine
    core_ms, _ = measured(engine, users + users[:WARM_UP])
    served = read_settings(CONFIG, {}).rulebook.rules(None, None, NOW_MS).unhurried
    spared = [replace(user, k=K + SPARE_ITEMS) for user in users]
    page_ms, _ = measured(engine, spared + spared[:WARM_UP], served)
    return {"core_p50_ms": median(core_ms), "page_p50_ms": median(page_ms)}


def host_figures(
    module: str, folder: Path, users: list[FeedRequest], seconds: float
) -> dict[str, float]:
    """Start a host, tell it what the users did, and measure pages and no-ops by turns."""
    pages = [
        request_bytes("POST", "/v1/feed", json.dumps({"user_id": f"user-{n}", "k": K}).encode())
        for n in range(len(users))
    ]
    with host(module, folder) as port:
        for n, user in enumerate(users):
            report_events(port, f"user-{n}", user)
        rounds: dict[str, list[LoadResult]] = {"one": [], "page": [], "noop": []}
        for _ in range(ROUNDS + 1):
            print(f"{module}: round {len(rounds['one'])} of {ROUNDS}", file=sys.stderr)
            rounds["one"].append(closed_loop(port, pages, 1, seconds))
            rounds["page"].append(closed_loop(port, pages, CONNECTIONS, seconds))
            rounds["noop"].append(closed_loop(port, NO_OP, CONNECTIONS, seconds))
    kept = {name: results[1:] for name, results in rounds.items()}  # the first is a warm-up
    return {
        "http_p50_ms": median(result.percentile_ms(50) for result in kept["one"]),
        "http_p99_ms": median(result.percentile_ms(99) for result in kept["one"]),
        "http_rps_16": median(result.rps for result in kept["page"]),
        "http_p99_16_ms": median(result.percentile_ms(99) for result in kept["page"]),
        "noop_rps_16": median(result.rps for result in kept["noop"]),
        "errors": sum(result.errors for results in kept.values() for result in results),
    }


@contextmanager
def host(module: str, folder: Path) -> Iterator[int]:
    """Run a host's module over the bundle in `folder`; yield its port."""
    port, stats_port, metrics_port = free_ports(3)
    data = folder / module
    environ = os.environ | {
        "TIDEGATE__STATE__FOLDER": str(data / "state"),
        "TIDEGATE__ARCHIVE__LOCATION": str(data / "archive"),
        "TIDEGATE__LOG__FOLDER": str(data / "log"),
        "TIDEGATE__RECORDS__FOLDER": str(data / "records"),
        "TIDEGATE__RECORDS__SECRETS": str(data / "secrets"),
        "TIDEGATE__RAY__STATS_PORT": str(stats_port),
        "TIDEGATE__RAY__METRICS_PORT": str(metrics_port),
    }
    data.mkdir()
    arguments = ["--bundles", str(folder / "bundles"), "--port", str(port)]
    with (data / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while "serving on" not in (text := (data / "output").read_text()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{module} does not serve:\n{text}")
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


def report_events(port: int, user_id: str, user: FeedRequest) -> None:
    """Tell the server what one user did; the oldest first, as it happened."""
    events = [
        {
            "event_id": f"{user_id}-{n}",
            "user_id": user_id,
            "item_id": behaviour.item_id,
            "type": behaviour.type,
            "time": behaviour.time_ms,
            "watch_ms": behaviour.watch_ms,
        }
        for n, behaviour in enumerate(reversed(user.recent))
    ]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/events", json.dumps({"events": events}).encode()
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


if __name__ == "__main__":
    main()
