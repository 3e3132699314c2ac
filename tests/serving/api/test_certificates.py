"""From audited decisions to certificates, and back when audits speak against them."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from embeddings.fingerprint import fingerprint
from serving.media import path_of
from serving.moderation.banks import BankBook
from serving.moderation.certificates import EVERYTHING, Certificate
from serving.moderation.verdict import Moderator
from serving.moderation_follower import FINGERPRINTS, ModerationFollower
from serving.moderators import banks_of
from serving.records.moderation import Draw, Settled
from serving.records.status import EVERYONE
from tests.drawn_pictures import scene
from tests.serving.api.conftest import Served
from tests.serving.api.test_moderation_pictures import png
from tests.serving.api.test_settling import check, settling, statuses, upload

COPY = "内部渠道到货，扫码进群领取内购价，名额不多，抓紧时间联系店主"


def moderator_of(served: Served) -> Moderator:
    assert served.services.moderation is not None
    return served.services.moderation.moderator


def follower(served: Served) -> ModerationFollower:
    services = served.services
    desk = services.moderation
    assert desk is not None
    records, banks = services.stores.moderation, banks_of(desk)
    return ModerationFollower(records, lambda: desk, banks, services.media, services.metrics, 1.0)


def drawn(served: Served, count: int, margin: float = 0.1) -> None:
    """Audits of passes of one judge, not answered."""
    judge = moderator_of(served).judge_in("CN")
    draw = Draw("CN", judge.model, judge.policy, margin, {"hate": 0.01}, 1.0)
    checks = served.services.stores.moderation.checks
    for name in (f"tea-{n}" for n in range(count)):
        upload(served, name, title="I love tea")
        checks.settle("test", Settled(name, 1, "pass", [(EVERYONE, "visible")], {}, draws=[draw]))


def answered(served: Served, violations: list[str]) -> list[dict[str, Any]]:
    waiting = served.client.get("/v1/admin/audits").json()["audits"]
    body = {"violations": violations}
    return [
        served.client.post(f"/v1/admin/audits/{one['audit_id']}", json=body).json()
        for one in waiting
    ]


def test_too_few_audits_certify_nothing_and_say_how_many_would(moderated: Served) -> None:
    drawn(moderated, 3)
    answered(moderated, [])
    found = moderated.client.post("/v1/admin/certificates", json={"region": "CN"}).json()
    assert found["certificates"] == []
    assert found["lacking"]["pass *"] == "3 audited decisions; 2995 without an error would do"


def test_a_drifting_certificate_is_revoked_and_its_decisions_go_to_review(
    moderated: Served, caplog: pytest.LogCaptureFixture
) -> None:
    moderator = moderator_of(moderated)
    certificates = moderated.services.stores.moderation.certificates
    made = Certificate(
        "", "pass", EVERYTHING, moderator.judge_in("CN"), 1.0, 0.001, 0.05, 2995, 0, 0.001
    )
    [issued] = certificates.issue("ops", [made])
    moderated.client.run(follower(moderated).step())
    upload(moderated, "clean", title="I love tea")
    moderated.client.run(settling(moderated).step())
    assert statuses(moderated, "clean") == {"*": "visible"}
    drawn(moderated, 4)
    with caplog.at_level(logging.CRITICAL, "tidegate.moderation"):
        revoked = [name for one in answered(moderated, ["hate"]) for name in one["revoked"]]
    assert revoked == [issued.certificate_id]
    listed = moderated.client.get("/v1/admin/certificates").json()["certificates"]
    assert "speak against it" in listed[0]["revoked_because"]
    upload(moderated, "later", title="I love tea")
    moderated.client.run(settling(moderated).step())
    assert check(moderated, "later")["verdict"]["CN"]["uncertified"]


def test_an_operator_revokes_a_certificate(moderated: Served) -> None:
    moderator = moderator_of(moderated)
    judge = moderator.judge_in("CN")
    made = Certificate("", "block", "hate", judge, 0.97, 0.01, 0.05, 299, 0, 0.01)
    [issued] = moderated.services.stores.moderation.certificates.issue("ops", [made])
    path = f"/v1/admin/certificates/{issued.certificate_id}/revoke"
    body = {"reason": "a new kind of abuse"}
    assert moderated.client.post(path, json=body).status_code == 200
    assert moderated.client.post(path, json=body).status_code == 409
    unknown = moderated.client.post("/v1/admin/certificates/none/revoke", json=body)
    assert unknown.status_code == 404


def test_an_unknown_label_is_no_answer(moderated: Served) -> None:
    drawn(moderated, 1)
    [audit] = moderated.client.get("/v1/admin/audits").json()["audits"]
    path = f"/v1/admin/audits/{audit['audit_id']}"
    response = moderated.client.post(path, json={"violations": ["rudeness"]})
    assert (response.status_code, response.json()["error"]["details"][0]["value"]) == (
        422,
        "rudeness",
    )


def test_a_bank_finds_copies_until_its_entry_is_taken_out(moderated: Served) -> None:
    entry = {"text": COPY, "label": "commerce/diversion", "action": "block"}
    added = moderated.client.post("/v1/admin/banks/scams/entries", json=entry)
    assert added.status_code == 201, added.text
    moderated.client.run(follower(moderated).step())
    body = {"parts": [{"type": "text", "text": COPY.replace("，", " ")}], "region": "CN"}
    found = moderated.client.post("/v1/moderate", json=body).json()
    [copy] = found["duplicates"]
    assert (copy["bank"], copy["way"], copy["source"]) == ("scams", "minhash", "text:0")
    assert found["suggestion"] == "block"
    entry_id = added.json()["entry_id"]
    listed = moderated.client.get("/v1/admin/banks/scams/entries").json()["entries"]
    assert [one["entry_id"] for one in listed] == [entry_id]
    gone = moderated.client.request("DELETE", f"/v1/admin/banks/scams/entries/{entry_id}")
    assert gone.status_code == 200
    moderated.client.run(follower(moderated).step())
    assert moderated.client.post("/v1/moderate", json=body).json()["duplicates"] == []
    assert moderated.client.get("/v1/admin/banks").json()["entries"] == []


@pytest.mark.parametrize(
    ("bank", "entry", "field"),
    [
        ("scams", {"label": "hate"}, "body"),
        ("scams", {"text": COPY, "label": "rudeness"}, "label"),
        ("scams", {"text": "短", "label": "hate"}, "text"),
        ("scams", {"sha256": "ab" * 32, "label": "hate"}, "sha256"),
        ("Scams!", {"text": COPY, "label": "hate"}, "bank"),
    ],
)
def test_an_entry_that_could_never_match_is_refused(
    moderated: Served, bank: str, entry: dict[str, str], field: str
) -> None:
    response = moderated.client.post(f"/v1/admin/banks/{bank}/entries", json=entry)
    assert response.status_code == 422
    assert response.json()["error"]["details"][0]["field"] == field
    assert moderated.client.get("/v1/admin/banks").json()["entries"] == []


def test_prices_of_the_record_are_looked_at(moderated: Served) -> None:
    money = {"price": 1.0, "list_price": 999.0, "currency": "CNY"}
    upload(moderated, "tea", title="I love tea", **money)
    moderated.client.run(settling(moderated).step())
    found = check(moderated, "tea")
    [evidence] = found["verdict"]["CN"]["evidence"]
    assert (evidence["source"], evidence["label"]) == ("record", "commerce/price_fraud")
    assert (found["suggestion"], statuses(moderated, "tea")) == ("review", {"*": "pending"})


def test_known_pictures_are_known_at_the_next_start_without_a_look(moderated: Served) -> None:
    services = moderated.services
    content = png(scene(31))
    headers = {"content-type": "image/png"}
    sent = moderated.client.post("/v1/media", content=content, headers=headers).json()["sha256"]
    entry = {"sha256": sent, "label": "rights/reupload"}
    moderated.client.post("/v1/admin/banks/originals/entries", json=entry)
    first = follower(moderated)
    moderated.client.run(first.step())
    [kept] = [path for path in (services.media / FINGERPRINTS).rglob("*") if path.is_file()]
    path_of(services.media, sent).unlink()  # nothing could be looked at now
    again = replace(first, banks=BankBook())
    moderated.client.run(again.step())
    [copy] = again.banks.pictures("picture:0", lambda: fingerprint(scene(31)))
    assert (copy.bank, copy.way, copy.distance) == ("originals", "pdq", 0)
    kept.write_bytes(b"cut off")
    broken = replace(first, banks=BankBook())
    moderated.client.run(broken.step())
    assert not broken.banks.labels()  # neither kept nor to be looked at: told, not guessed
    path_of(services.media, sent).write_bytes(content)
    mended = replace(first, banks=BankBook())
    moderated.client.run(mended.step())
    assert mended.banks.labels() == {"rights/reupload"}
    assert kept.read_bytes()[:2] == b"PK"
