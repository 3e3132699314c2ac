"""From an upload to what its viewers get, through the records and the cascade."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from serving.moderation.certificates import EVERYTHING, Certificate
from serving.records.moderation import Checks, Claim
from serving.settling import ATTEMPTS, Settling
from tests.serving.api.conftest import Served

CLAIM = "口碑好，全国 销量第一"
ABUSE = "those immigrants are vermin"


def settling(served: Served) -> Settling:
    services = served.services
    assert services.moderation is not None

    async def tell() -> None:
        pass

    checks, catalogue = services.stores.moderation.checks, services.stores.catalogue
    desk, media = services.moderation, services.media
    return Settling(checks, catalogue, lambda: desk, media, tell, services.metrics, 0.01)


def certify_passes(served: Served) -> None:
    assert served.services.moderation is not None
    moderator = served.services.moderation.moderator
    judge = moderator.judge_in("CN")
    covers = Certificate("cert-1", "pass", EVERYTHING, judge, 1.0, 0.001, 0.05, 2995, 0, 0.001)
    moderator.certificates.replace([covers])


def upload(served: Served, item_id: str, **fields: Any) -> None:
    row = {"item_id": item_id, "kind": "video", "creator_id": "c", "published_at_ms": 1}
    answer = served.client.request("PUT", "/v1/items", json={"items": [row | fields]})
    assert answer.status_code == 200, answer.text


def statuses(served: Served, item_id: str) -> dict[str, str]:
    answer = served.client.get(f"/v1/items/{item_id}").json()
    return {row["region"]: row["status"] for row in answer["statuses"]}


def check(served: Served, item_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = served.client.get(f"/v1/moderate/items/{item_id}").json()
    return answer


def test_uploads_wait_for_the_check_and_get_what_it_says(moderated: Served) -> None:
    certify_passes(moderated)
    upload(moderated, "clean", title="I love tea", regions=["CN"])
    upload(moderated, "claim", title="茶", text=CLAIM, regions=["CN", "US"])
    upload(moderated, "abuse", title=ABUSE)
    assert statuses(moderated, "clean") == {"*": "pending"}
    assert check(moderated, "clean")["state"] == "waiting"
    assert moderated.client.run(settling(moderated).step()) == 3
    assert statuses(moderated, "clean") == {"*": "visible"}
    assert statuses(moderated, "claim")["*"] == "hidden"  # of two regions the stricter
    assert statuses(moderated, "claim")["US"] in ("limited", "pending")
    assert statuses(moderated, "abuse") == {"*": "pending"}
    found = check(moderated, "claim")
    assert (found["state"], found["suggestion"]) == ("done", "block")
    [evidence] = found["verdict"]["CN"]["evidence"]
    assert (evidence["source"], evidence["raw"]) == ("text", "全国 销量第一")
    assert check(moderated, "clean")["verdict"]["CN"]["certificate"] == "cert-1"


def test_what_a_dying_process_had_claimed_is_settled_by_another_once(moderated: Served) -> None:
    certify_passes(moderated)
    names = [f"item-{n}" for n in range(12)]
    for name in names:
        upload(moderated, name, title=f"I love tea {name}")
    records = moderated.services.stores.moderation
    lost = records.checks.claim("dead", 8, 0)  # it died with these; their lease has ended
    worker = settling(moderated)
    while moderated.client.run(worker.step()):
        pass
    assert {check(moderated, name)["state"] for name in names} == {"done"}
    assert {statuses(moderated, name)["*"] for name in names} == {"visible"}
    drawn = records.audits.waiting(100)
    for claim in lost:  # it was only slow, and now says the same
        moderated.client.run(worker._settle(claim))
    assert {statuses(moderated, name)["*"] for name in names} == {"visible"}
    assert records.audits.waiting(100) == drawn
    assert records.checks.backlog().waiting == 0


def test_without_a_certificate_what_seems_clean_is_shown_and_not_promoted(
    moderated: Served,
) -> None:
    upload(moderated, "clean", title="I love tea")
    moderated.client.run(settling(moderated).step())
    assert statuses(moderated, "clean") == {"*": "limited"}
    assert check(moderated, "clean")["verdict"]["CN"]["uncertified"]


def test_an_edit_is_judged_anew_and_an_item_is_judged_once(moderated: Served) -> None:
    certify_passes(moderated)
    upload(moderated, "tea", title="I love tea")
    work = settling(moderated)
    moderated.client.run(work.step())
    assert moderated.client.run(work.step()) == 0
    moderated.client.request("PATCH", "/v1/items/tea", json={"title": CLAIM})
    assert statuses(moderated, "tea") == {"*": "pending"}
    moderated.client.run(work.step())
    assert statuses(moderated, "tea") == {"*": "hidden"}
    metrics = moderated.client.get("/metrics").text
    assert 'tidegate_checks_total{suggestion="block"} 1.0' in metrics


def test_a_verdict_that_comes_too_late_changes_nothing(moderated: Served) -> None:
    upload(moderated, "tea", title="I love tea")
    work = settling(moderated)
    services = moderated.services
    claims = services.stores.moderation.checks.claim("another process", 8, 60_000)
    moderated.client.request("PATCH", "/v1/items/tea", json={"title": CLAIM})
    assert [one.content_version for one in claims] == [1]
    moderated.client.run(work.step())
    assert check(moderated, "tea")["content_version"] == 2
    assert statuses(moderated, "tea") == {"*": "hidden"}


def test_a_claim_is_renewed_while_it_is_judged(
    moderated: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.settling.LEASE_MS", 400)
    upload(moderated, "tea", title="I love tea")
    upload(moderated, "cup", title="I love cups")
    work = replace(settling(moderated), renewed_every_s=0.05)
    checks, desk = work.checks, work.desk()
    stolen: list[Claim] = []

    class Slow:
        moderator = desk.moderator
        picture = desk.picture

        async def judge(self, *asked: Any) -> Any:
            await asyncio.sleep(0.8)  # twice the lease
            stolen.extend(await asyncio.to_thread(checks.claim, "another", 8, 60_000))
            return await desk.judge(*asked)

    assert moderated.client.run(replace(work, desk=Slow).step()) == 2
    assert stolen == []
    assert {check(moderated, name)["state"] for name in ("tea", "cup")} == {"done"}


def test_what_no_process_survives_is_shown_to_people(moderated: Served) -> None:
    upload(moderated, "tea", title="I love tea")
    work = settling(moderated)
    for _ in range(ATTEMPTS):
        assert work.checks.claim("dies", 8, 0)
    assert moderated.client.run(work.step()) == 1
    found = check(moderated, "tea")
    assert (found["state"], found["suggestion"]) == ("done", "review")
    assert found["fault"] == "never judged in 4 attempts"
    assert statuses(moderated, "tea") == {"*": "pending"}


class Broken:
    """A desk whose model raises."""

    def __init__(self, served: Served) -> None:
        assert served.services.moderation is not None
        self.moderator = served.services.moderation.moderator

    async def picture(self, content: bytes) -> Any:
        raise AssertionError("the item has no picture")

    async def judge(self, *_: Any) -> Any:
        raise RuntimeError("out of memory")


def test_what_cannot_be_judged_is_tried_again_and_then_shown_to_people(
    moderated: Served, caplog: pytest.LogCaptureFixture
) -> None:
    upload(moderated, "tea", title="I love tea")
    work = replace(settling(moderated), desk=lambda: Broken(moderated))
    with caplog.at_level(logging.CRITICAL, "tidegate.moderation"):
        assert moderated.client.run(work.step()) == 1
        waiting = check(moderated, "tea")
        assert (waiting["state"], waiting["fault"]) == ("waiting", "RuntimeError('out of memory')")
        assert moderated.client.run(work.step()) == 0  # not before its time
        checks = moderated.services.stores.moderation.checks
        for _ in range(ATTEMPTS - 1):
            [claim] = _due(checks)
            moderated.client.run(work._settle(claim))
    found = check(moderated, "tea")
    assert (found["state"], found["suggestion"]) == ("done", "review")
    assert statuses(moderated, "tea") == {"*": "pending"}


def _due(checks: Checks) -> list[Claim]:
    """Claims of what waits for its next attempt, whose time comes at once."""
    found = checks.get("tea")
    assert found is not None
    claim = Claim("tea", found.content_version, found.attempts, 0)
    checks.postpone("test", claim, "now", -1)
    return checks.claim("test", 8, 60_000)


def test_an_item_of_no_catalogue_has_no_check(moderated: Served) -> None:
    assert moderated.client.get("/v1/moderate/items/nobody").status_code == 404
