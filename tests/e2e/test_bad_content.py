"""Hostile content against a running server: a 4xx in time, the worker lives, nothing is kept."""

import base64
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.bundle import publish
from serving.moderation.decoding import DEFAULT_LIMITS
from tests.e2e.server import ROOT, START_LIMIT_S, Server, family, free_ports, launched, running
from tests.serving.moderation.test_decoding import GOOD_PNG, HOSTILE

SLACK_S = 5.0  # of a busy machine, beside the time cap of decoding
TEXTS: dict[str, tuple[bytes, int, str]] = {
    "empty": (b'{"parts": [{"type": "text", "text": ""}]}', 422, "invalid_request"),
    "nothing": (b"", 400, "invalid_json"),
    "1 MB": (
        json.dumps({"parts": [{"type": "text", "text": "x" * 1_000_000}]}).encode(),
        422,
        "invalid_request",
    ),
    "lone surrogate": (
        b'{"parts": [{"type": "text", "text": "a\\ud800"}]}',
        400,
        "invalid_json",
    ),
    "no UTF-8": (b'{"parts": [{"type": "text", "text": "\xff"}]}', 400, "invalid_utf8"),
    "unknown label": (b'{"parts": [], "labels": ["hatred"]}', 422, "invalid_request"),
}
ADDRESSES = {
    "https://169.254.169.254/latest": "address_refused",  # on the list, and still no public address
    "https://localhost/picture.png": "address_refused",
    "https://10.0.0.1/picture.png": "url_refused",
    "http://localhost/picture.png": "url_refused",
    "file:///etc/passwd": "url_refused",
}


@pytest.fixture(scope="module")
def server(
    bundles: Path, moderation_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(bundles, folder / "bundles", symlinks=True)
    publish(moderation_bundle, folder / "bundles", "moderation")
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("TIDEGATE__MODERATION__FETCH_HOSTS", '["localhost", "169.254.169.254"]')
        with running("uvicorn", folder / "bundles", folder / "server") as server:
            judge(server, GOOD_PNG)
            yield server


def judge(server: Server, content: bytes) -> httpx.Response:
    part = {"type": "image", "base64": base64.b64encode(content).decode()}
    return server.http.post("/v1/moderate", json={"parts": [part]})


def kept(folder: Path) -> dict[str, int]:
    """Files of media, and rows of the tables that content could reach."""
    with sqlite3.connect(folder / "records/records.db") as database:
        counts = {
            name: int(database.execute(f"select count(*) from {name}").fetchone()[0])  # noqa: S608
            for name in ("items", "media", "checks", "jobs", "audits", "audit")
        }
    return counts | {"files": sum(1 for _ in (folder / "media").rglob("*"))}


def refused(server: Server, ask: Any) -> tuple[int, str]:
    """Status and code of a refusal, in time, after which the same processes go on."""
    before, members = kept(server.folder), family(server.process.pid)
    started = time.monotonic()
    response = ask()
    assert time.monotonic() - started < DEFAULT_LIMITS.time_s + SLACK_S
    error = response.json()["error"]
    assert error["message"]
    assert error["details"]
    assert kept(server.folder) == before
    assert judge(server, GOOD_PNG).status_code == 200
    assert family(server.process.pid) >= members
    return response.status_code, str(error["code"])


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_is_refused(server: Server, name: str) -> None:
    content, status, code = TEXTS[name]
    ask = lambda: server.http.post("/v1/moderate", content=content)  # noqa: E731
    assert refused(server, ask) == (status, code)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_picture_is_refused(server: Server, name: str) -> None:
    content, code = HOSTILE[name]
    of_json = code if content else "invalid_request"  # base64 of no characters is none
    assert refused(server, lambda: judge(server, content)) == (422, of_json)
    files = {"file": ("picture.png", content)}
    response = server.http.post("/v1/moderate", files=files)
    assert (response.status_code, response.json()["error"]["code"]) == (422, code)


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_hostile_address_is_refused(server: Server, url: str) -> None:
    part = {"type": "image", "url": url}
    ask = lambda: server.http.post("/v1/moderate", json={"parts": [part]})  # noqa: E731
    assert refused(server, ask) == (422, ADDRESSES[url])


def test_a_policy_that_names_an_unknown_label_is_refused_by_its_key(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "configs/policies", tmp_path / "policies")
    path = tmp_path / "policies/cn.yaml"
    path.write_text(path.read_text("utf-8").replace("      hate:", "      hatred:"), "utf-8")
    monkeypatch.setenv("TIDEGATE__POLICIES", str(tmp_path / "policies"))
    [port] = free_ports(1)
    bundles = str(server.folder.parent / "bundles")
    arguments = ["--host", "uvicorn", "--bundles", bundles, "--port", str(port)]
    process = launched(arguments, tmp_path / "server")
    assert process.wait(START_LIMIT_S) != 0
    output = (tmp_path / "server/output").read_text()
    assert "cn.yaml: surfaces.live.thresholds.hatred: no such label 'hatred'" in output
