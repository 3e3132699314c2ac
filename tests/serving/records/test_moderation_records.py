"""Audits, certificates and banks in the records."""

from dataclasses import replace

import pytest

from serving.moderation.certificates import EVERYTHING, Certificate, Judge
from serving.records import audits, banks, certificates, checks
from serving.records.database import Records
from serving.records.errors import Conflict, NotFound
from serving.records.moderation import BankEntry, Draw, Settled
from serving.records.status import EVERYONE
from tests.serving.records.test_catalogue import product, put

JUDGE = Judge("m@1", "commerce@1", "CN")
ENTRY = BankEntry("", "scams", "text", {"text": "…"}, "hate", "block", "seen twice", 0, 0, None)


def settle(records: Records, item_id: str, share: float) -> None:
    draw = Draw("CN", "m@1", "commerce@1", 0.1, {"hate": 0.02}, share)
    settled = Settled(item_id, 1, "pass", [(EVERYONE, "visible")], {}, draws=[draw])
    records.write("m", checks.settle, settled)


def test_a_share_is_drawn_the_same_way_however_often_it_is_settled(records: Records) -> None:
    names = [f"item-{n}" for n in range(200)]
    put(records, *(product(name) for name in names))
    for name in names:
        settle(records, name, 0.25)
    drawn = records.read(audits.waiting, 1000)
    assert 25 <= len(drawn) <= 80
    settle(records, drawn[0].item_id, 0.25)
    assert records.read(audits.waiting, 1000) == drawn


def test_an_audit_is_answered_once(records: Records) -> None:
    put(records, product("a"))
    settle(records, "a", 1.0)
    [one] = records.read(audits.waiting, 10)
    assert records.read(audits.answered, JUDGE) == []
    done = records.write("eve", audits.answer, one.audit_id, ["hate"])
    assert done.violations == ["hate"]
    assert records.read(audits.waiting, 10) == []
    assert [found.audit_id for found in records.read(audits.answered, JUDGE)] == [one.audit_id]
    assert records.read(audits.answered, replace(JUDGE, model="m@2")) == []
    with pytest.raises(Conflict):
        records.write("eve", audits.answer, one.audit_id, [])
    with pytest.raises(NotFound):
        records.write("eve", audits.answer, "nothing", [])


def test_a_certificate_is_issued_replaced_and_revoked(records: Records) -> None:
    made = Certificate("", "pass", EVERYTHING, JUDGE, 0.7, 0.001, 0.05, 3000, 0, 0.00099)
    [first] = records.write("ops", certificates.issue, [made])
    other = replace(made, side="block", label="hate")
    [second, third] = records.write("ops", certificates.issue, [made, other])
    found = {one.certificate_id: one for one in records.read(certificates.listed)}
    assert found[first.certificate_id].revoked_because == certificates.REPLACED
    assert found[second.certificate_id] == second
    assert second.judge == JUDGE
    done = records.write("ops", certificates.revoke, third.certificate_id, "a new fraud")
    assert not done.speaks_about(JUDGE)
    with pytest.raises(Conflict):
        records.write("ops", certificates.revoke, third.certificate_id, "again")
    with pytest.raises(NotFound):
        records.write("ops", certificates.revoke, "cert-none", "")


def test_banks_are_one_change_feed(records: Records) -> None:
    first = records.write("ops", banks.add, ENTRY)
    second = records.write("ops", banks.add, replace(ENTRY, bank="originals"))
    assert [one.sequence for one in records.read(banks.changes, 0, 10)] == [1, 2]
    assert records.read(banks.listed, "scams", 10) == [first]
    with pytest.raises(NotFound):
        records.write("ops", banks.remove, "originals", first.entry_id)
    records.write("ops", banks.remove, "scams", first.entry_id)
    [changed] = records.read(banks.changes, 2, 10)
    assert (changed.entry_id, changed.removed_at_ms is not None) == (first.entry_id, True)
    assert records.read(banks.listed, None, 10) == [second]
