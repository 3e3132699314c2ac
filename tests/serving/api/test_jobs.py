"""Batches, scans and their webhooks, step by step."""

import hashlib
import hmac
import json
import logging
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from configs.labels import load_labels
from serving.jobs import DELAYS_MS, JobWorker
from serving.moderation.posting import HEADER, Poster, PostError, signature
from serving.moderation.rulebook import RuleBook
from serving.moderation_follower import stamp_of
from tests.serving.api.conftest import Served
from tests.serving.api.test_certificates import COPY, follower, moderator_of
from tests.serving.api.test_settling import check, settling, statuses, upload

CLAIM = "口碑好，全国 销量第一"
SECRET = "a secret of sixteen letters"  # noqa: S105 - of this test


def worker(served: Served) -> JobWorker:
    services = served.services
    desk = services.moderation
    assert desk is not None
    return JobWorker(services, lambda: desk, services.poster, 0.01)


def work(served: Served, steps: int = 10) -> None:
    for _ in range(steps):
        if not served.client.run(worker(served).step()):
            return


def batch(served: Served, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = served.client.post("/v1/moderate/batch", json={"items": list(items)} | more)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def text(name: str, words: str) -> dict[str, Any]:
    return {"id": name, "parts": [{"type": "text", "text": words}], "region": "CN"}


def test_a_batch_is_judged_row_by_row(moderated: Served) -> None:
    damaged = {"id": "bad", "parts": [{"type": "image", "base64": "AAAA"}]}
    made = batch(
        moderated, *(text(f"t{n}", "I love tea") for n in range(9)), text("c", CLAIM), damaged
    )
    path = f"/v1/moderate/batch/{made['job_id']}"
    assert (made["state"], made["total"], made["done"]) == ("running", 11, 0)
    moderated.client.run(worker(moderated).step())
    assert moderated.client.get(path).json()["done"] == 8
    work(moderated)
    ended = moderated.client.get(path).json()
    assert (ended["state"], ended["done"], ended["delivery"]) == ("done", 11, "none")
    results = moderated.client.get(f"{path}/results").json()
    assert [row["id"] for row in results["results"]] == [*(f"t{n}" for n in range(9)), "c", "bad"]
    assert results["results"][9]["decision"]["suggestion"] == "block"
    assert results["results"][10]["error"]["code"] == "unsupported_format"
    assert results["next"] is None
    rest = moderated.client.get(f"{path}/results?after=8").json()["results"]
    assert [row["number"] for row in rest] == [9, 10]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"items": []}, "items"),
        ({"items": [text("a", "x"), text("a", "y")]}, "items.1.id"),
        ({"items": [{"id": "a", "parts": []}]}, "items.0.parts"),
        ({"items": [text("a", "x")], "webhook": {"url": "http://x.example/", "secret": SECRET}},
         "webhook.url"),
        ({"items": [text("a", "x")], "webhook": {"url": "http://x.example/", "secret": "short"}},
         "webhook.secret"),
    ],
)  # fmt: skip
def test_a_batch_that_cannot_be_done_is_refused_whole(
    moderated: Served, body: dict[str, Any], field: str
) -> None:
    answer = moderated.client.post("/v1/moderate/batch", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == field
    assert moderated.client.run(worker(moderated).step()) is False


def test_unknown_jobs_and_places(moderated: Served) -> None:
    assert moderated.client.get("/v1/moderate/batch/none").status_code == 404
    made = batch(moderated, text("a", "x"))
    path = f"/v1/moderate/batch/{made['job_id']}/results?after=many"
    assert moderated.client.get(path).status_code == 422


@pytest.fixture
def hook() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A webhook on loopback that refuses once, and what it was told."""
    told: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.headers[HEADER], body))
            self.send_response(500 if len(told) == 1 else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", told
        server.shutdown()
        thread.join()


def test_a_webhook_is_told_signed_and_told_again_where_it_failed(
    moderated: Served,
    hook: tuple[str, list[tuple[str, bytes]]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host, told = hook
    moderated.services.poster = Poster(frozenset({host}))
    webhook = {"url": f"http://{host}/done", "secret": SECRET}
    made = batch(moderated, text("a", "I love tea"), webhook=webhook)
    monkeypatch.setattr("serving.jobs.DELAYS_MS", (0, *DELAYS_MS[1:]))
    with caplog.at_level(logging.CRITICAL, "tidegate.moderation"):
        work(moderated)
    ended = moderated.client.get(f"/v1/moderate/batch/{made['job_id']}").json()
    assert (ended["delivery"], ended["attempts"]) == ("delivered", 2)
    assert SECRET not in json.dumps(ended)
    [(_, first), (header, body)] = told
    assert first == body
    assert json.loads(body)["job_id"] == made["job_id"]
    sent, mac = (part.split("=")[1] for part in header.split(","))
    expected = hmac.new(SECRET.encode(), f"{sent}.".encode() + body, hashlib.sha256)
    assert hmac.compare_digest(mac, expected.hexdigest())


@pytest.mark.parametrize(
    ("url", "addresses", "message"),
    [
        ("http://hooks.example/a", ["10.0.0.1"], "not public"),
        ("http://hooks.example/a", ["1.1.1.1", "127.0.0.1"], "not public"),
        ("http://other.example/a", ["1.1.1.1"], "not on the list"),
        ("http://127.0.0.1:1/a", [], "not on the list"),
        ("ftp://hooks.example/a", [], "http"),
        ("http://hooks.example:81/a", ["1.1.1.1"], "not on the list"),
    ],
)
def test_no_webhook_leads_inside(url: str, addresses: list[str], message: str) -> None:
    poster = Poster(frozenset({"hooks.example"}), resolve=lambda _host, _port: addresses)
    with pytest.raises(PostError, match=message):
        poster.post(url, b"{}", SECRET)


def test_a_signature_belongs_to_one_body_at_one_time() -> None:
    assert signature(b"a", SECRET, 1) != signature(b"a", SECRET, 2)
    assert signature(b"a", SECRET, 1) != signature(b"b", SECRET, 1)


def test_a_scan_finds_what_a_new_entry_copies_and_has_it_judged_again(moderated: Served) -> None:
    upload(moderated, "copy", title="茶", text=COPY)
    upload(moderated, "tea", title="I love tea")
    moderated.client.run(settling(moderated).step())
    before = statuses(moderated, "copy")
    entry = {"text": COPY, "label": "commerce/diversion", "action": "block"}
    moderated.client.post("/v1/admin/banks/scams/entries", json=entry)
    moderated.client.run(follower(moderated).step())
    made = moderated.client.post("/v1/admin/scans", json={}).json()
    assert made["total"] == 2
    work(moderated)
    path = f"/v1/admin/scans/{made['job_id']}"
    ended = moderated.client.get(path).json()
    assert (ended["state"], ended["done"]) == ("done", 2)
    [hit] = moderated.client.get(f"{path}/results").json()["results"]
    assert hit["item_id"] == "copy"
    assert len(hit["entries"]) == 1
    assert statuses(moderated, "copy") == before
    assert check(moderated, "copy")["state"] == "waiting"
    moderated.client.run(settling(moderated).step())
    assert statuses(moderated, "copy") == {"*": "hidden"}


def test_rules_are_read_again_when_a_file_changes_and_a_bad_pack_stays_out(
    moderated: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = Path(__file__).parents[3] / "configs/policies/rules/cn-commerce.yaml"
    pack = tmp_path / "packs" / "cn-commerce.yaml"
    pack.parent.mkdir()
    shutil.copy(source, pack)
    book = RuleBook(pack.parent, load_labels())
    moderator = moderator_of(moderated)
    object.__setattr__(moderator, "book", book)
    follow = follower(moderated)
    known = moderated.client.run(follow.read_rules(()))
    assert known == stamp_of(book)
    pack.write_text(source.read_text("utf-8").replace("version: ", "version: 9", 1), "utf-8")
    known = moderated.client.run(follow.read_rules(known))
    [version] = book.versions()
    assert "@9" in version
    pack.write_text("pack: broken", "utf-8")
    with caplog.at_level(logging.CRITICAL, "tidegate.moderation"):
        moderated.client.run(follow.read_rules(known))
    assert book.versions() == (version,)
    assert "tidegate_rule_packs_refused 1.0" in moderated.client.get("/metrics").text
