"""From an upload to what its check did: machine-settled and visible, or held back.

``python -m tests.benchmarks.moderation_settle [--bundle BUNDLE]`` runs a server with a moderation
bundle (a small one of its own, if none is given) under a certificate of every pass, uploads items
at a fixed rate, every third with a picture of its own that was uploaded before, and asks for each
until its check is done. The time counts from when the upload was due, answered or not.
"""

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from configs.schema import RecordsSection
from models.bundle import publish, read_manifest
from serving.moderation.certificates import ANYWHERE, EVERYTHING, Certificate, Judge
from serving.stores import open_stores
from tests.drawn_pictures import scene
from tests.e2e.server import running
from tests.feed_bundles import make_feed_bundle
from training.report import print_report

BAR_S, GIVE_UP_S, PAUSE_S = 5.0, 60.0, 0.05
POLICY = "commerce-cn@2"  # of items that name no region
TITLES = ("I love tea", "a teapot of red clay", "green tea from the hills", "cups for two")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report; return the exit status."""
    line = argparse.ArgumentParser(prog="tests.benchmarks.moderation_settle")
    line.add_argument("--bundle", type=Path)
    line.add_argument("--uploads", type=int, default=300)
    line.add_argument("--rate", type=float, default=2.0, help="items a second")
    line.add_argument("--seed", type=int, default=0)
    options = line.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = options.bundle or small_bundle(folder / "moderation")
        make_feed_bundle(folder / "made", 200, options.seed)
        publish(folder / "made", folder / "bundles", "feed")
        publish(bundle, folder / "bundles", "moderation")
        with running("uvicorn", folder / "bundles", folder / "server") as server:
            certify(folder / "server", read_manifest(bundle).version)
            rows = [row(server.http, n) for n in range(options.uploads)]
            took_s, statuses = settled(server.http, rows, options.rate)
    figures = {
        "uploads": len(took_s),
        "with_a_picture": sum("media" in one for one in rows),
        "rate_per_s": options.rate,
        "p50_s": float(np.median(took_s)),
        "p99_s": float(np.percentile(took_s, 99)),
        "max_s": float(max(took_s)),
        "visible": statuses.count("visible"),
        "held_back": len(statuses) - statuses.count("visible"),
    }
    bars = {f"settled and visible: p99 <= {BAR_S:g} s": figures["p99_s"] <= BAR_S}
    return (
        0 if print_report("moderation_settle", figures=figures, bars=bars, seed=options.seed) else 1
    )


def small_bundle(folder: Path) -> Path:
    """A moderation bundle that is trained in seconds."""
    from tests.moderation_bundles import make_moderation_bundle  # torch, where it is needed only

    make_moderation_bundle(folder, pictures=True)
    return folder


def certify(folder: Path, model: str) -> None:
    """Cover every pass, as audits would in the long run; wait until the server knows."""
    section = RecordsSection(folder=folder / "records", secrets=folder / "secrets")
    judge = Judge(model, POLICY, ANYWHERE)
    covers = Certificate("", "pass", EVERYTHING, judge, 1.0, 0.001, 0.05, 2_995, 0, 0.001)
    with closing(open_stores(section)) as stores:
        stores.moderation.certificates.issue("benchmark", [covers])
    time.sleep(2.5)


def settled(
    http: httpx.Client, rows: Sequence[dict[str, Any]], rate: float
) -> tuple[list[float], list[str]]:
    """Seconds from when an upload was due to settled, and what each item came to."""
    took_s: list[float] = []
    statuses: list[str] = []
    waiting: dict[str, float] = {}
    started, sent = time.perf_counter(), 0
    end_s = len(rows) / rate + GIVE_UP_S
    while len(took_s) < len(rows) and time.perf_counter() - started < end_s:
        while sent < len(rows) and time.perf_counter() - started >= sent / rate:
            http.put("/v1/items", json={"items": [rows[sent]]}).raise_for_status()
            waiting[rows[sent]["item_id"]] = started + sent / rate
            sent += 1
        for name, due in list(waiting.items()):
            if checked(http, name):
                took_s.append(time.perf_counter() - due)
                statuses.append(status_of(http, name))
                del waiting[name]
        time.sleep(PAUSE_S)
    lost = len(rows) - len(took_s)
    return took_s + [GIVE_UP_S] * lost, statuses + ["never"] * lost


def row(http: httpx.Client, n: int) -> dict[str, Any]:
    """One item; every third has a picture, uploaded before."""
    own = {"item_id": f"new-{n}", "creator_id": "c", "published_at_ms": 1, "kind": "video"}
    found: dict[str, Any] = own | {"title": f"{TITLES[n % len(TITLES)]} {n}"}
    if n % 3 == 0:
        file = io.BytesIO()
        Image.fromarray(scene(n, 480)).save(file, "PNG")
        headers = {"content-type": "image/png"}
        answer = http.post("/v1/media", content=file.getvalue(), headers=headers)
        sha256 = answer.raise_for_status().json()["sha256"]
        found["media"] = [{"sha256": sha256, "mime": "image/png"}]
    return found


def status_of(http: httpx.Client, item_id: str) -> str:
    """What everyone gets of an item."""
    answer = http.get(f"/v1/items/{item_id}").raise_for_status().json()
    return str(answer["statuses"][0]["status"])


def checked(http: httpx.Client, item_id: str) -> bool:
    """Whether its check is done, and so what follows from it."""
    answer = http.get(f"/v1/moderate/items/{item_id}").raise_for_status().json()
    return bool(answer["state"] == "done")


if __name__ == "__main__":
    sys.exit(main())
