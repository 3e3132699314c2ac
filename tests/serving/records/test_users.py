from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from serving.records import bundles
from serving.records.contracts import Leaving
from serving.records.database import Records
from serving.records.errors import BadRows, Conflict, NotFound
from serving.records.secret_keys import load_secrets, pseudonym, secret_key
from serving.records.store import SqlAuditTrail, SqlErasures, SqlUsers
from serving.records.tables import audit, metadata
from tests.serving.records.conftest import SECRETS


def person(**changes: Any) -> dict[str, Any]:
    row = {
        "user_id": "u-secret-7",
        "region": "CN",
        "birth_year": 1990,
        "time_zone": "Asia/Shanghai",
    }
    row |= {"consents": {"personal": True}, "blocks": {"creators": ["c1"], "categories": ["toys"]}}
    return row | changes


def test_a_user_comes_back_and_is_corrected_whole(records: Records) -> None:
    store = SqlUsers(records)
    stored = store.put("app", person())
    assert store.get("u-secret-7") == stored
    corrected = store.put("app", person(region="US", personalised=False, blocks={}))
    assert store.get("u-secret-7") == corrected
    assert (corrected.personalised, corrected.blocks.creators) == (False, frozenset())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time_zone": "Mars/Base"}, "IANA"),
        ({"birth_year": 1800}, "birth_year = 1800: must lie in"),
        ({"surprise": 1}, "surprise"),
        ({"user_id": ""}, "user_id"),
    ],
)
def test_bad_users_are_refused(records: Records, change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRows, match=said):
        SqlUsers(records).put("app", person(**change))
    assert records.read(lambda c: c.execute(select(audit)).all()) == []


def test_erasure_leaves_only_keyed_hashes(records: Records) -> None:
    store, erasures = SqlUsers(records), SqlErasures(records)
    store.put("app", person())
    asked = erasures.request("app", "u-secret-7")
    assert (asked.stores, asked.erased_at_ms, asked.model) == ({}, None, "pending")
    with pytest.raises(Conflict, match="no longer accepted"):
        store.put("app", person())
    erasures.note("app", asked.receipt_id, {"archive": 12})
    (leaving,) = erasures.pending()
    erasures.forget("app", leaving)
    with pytest.raises(NotFound):
        store.get("u-secret-7")
    assert erasures.pending() == [Leaving(asked.receipt_id, None)]
    receipt = erasures.close("app", asked.receipt_id)
    assert receipt.stores == {"archive": 12, "records": 3}
    assert erasures.receipt_of(receipt.receipt_id) == receipt
    assert erasures.pending() == []
    for table in metadata.sorted_tables:
        rows = records.read(lambda c, t: c.execute(select(t)).all(), table)
        assert "u-secret-7" not in repr(rows)
    if records.engine.dialect.name == "sqlite":
        folder = Path(str(records.engine.url.database)).parent
        assert all(b"u-secret-7" not in file.read_bytes() for file in folder.iterdir())


def test_an_erasure_asked_for_again_keeps_its_receipt(records: Records) -> None:
    erasures = SqlErasures(records)
    first = erasures.request("app", "u1")
    assert erasures.request("app", "u1") == first
    erasures.note("app", first.receipt_id, {"archive": 9})
    erasures.note("app", first.receipt_id, {"archive": 4, "state": 1})  # cut off, and begun anew
    erasures.close("app", first.receipt_id)
    again = erasures.request("app", "u1")
    assert (again.receipt_id, again.erased_at_ms) == (first.receipt_id, None)
    assert again.stores == {"archive": 9, "state": 1}
    acts = [row.action for row in SqlAuditTrail(records).rows(0, 10)]
    assert acts == ["user.erase.request", "user.erase", "user.erase.request"]


def test_receipts_wait_for_the_models(records: Records) -> None:
    erasures = SqlErasures(records)
    assert erasures.finish("train", 0) == 0
    asked = erasures.request("app", "u1")
    assert erasures.finish("train", 2 * asked.requested_at_ms) == 0  # still under way
    done = erasures.close("app", asked.receipt_id).erased_at_ms
    assert done is not None
    assert erasures.finish("train", done) == 0
    assert erasures.finish("train", done + 1) == 1
    assert erasures.receipt_of(asked.receipt_id).model == "done"
    assert erasures.erased_subjects() == {pseudonym(SECRETS.subject, "u1")}
    assert SqlUsers(records).subject("u1") == pseudonym(SECRETS.subject, "u1")
    assert erasures.subject_count() == 1


def test_a_flip_that_came_second_is_refused(records: Records) -> None:
    first = records.write("ops", bundles.activate, "feed", "v1", 0)
    records.write("ops", bundles.activate, "moderation", "m1", None)
    second = records.write("ops", bundles.activate, "feed", "v2", first.sequence)
    with pytest.raises(Conflict, match="flipped meanwhile"):
        records.write("ops", bundles.activate, "feed", "v3", first.sequence)
    assert records.read(bundles.current, "feed") == second
    assert [p.version for p in records.read(bundles.history, "feed", 10)] == ["v2", "v1"]
    assert second.sequence > first.sequence


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    made = load_secrets(tmp_path / "keys")
    assert load_secrets(tmp_path / "keys") == made
    assert made.audit != made.subject
    path = tmp_path / "keys" / "audit.key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(PermissionError, match="chmod 600"):
        load_secrets(tmp_path / "keys")
    assert secret_key(path, "ab" * 32) == b"\xab" * 32
    with pytest.raises(ValueError, match="at least 32"):
        secret_key(path, "ab")
    with pytest.raises(ValueError, match="not hexadecimal"):
        secret_key(path, "zz")


def test_who_changed_is_told_by_keyed_hashes(records: Records) -> None:
    stored = SqlUsers(records)
    stored.put("me", {"user_id": "a"})
    known = stored.changed(None)
    assert (known.sequence, known.subjects) == (1, frozenset())
    stored.put("me", {"user_id": "b"})
    erasures = SqlErasures(records)
    erasures.close("me", erasures.request("me", "a").receipt_id)
    found = stored.changed(known.sequence)
    assert found.subjects == {stored.subject("a"), stored.subject("b")}
    assert found.sequence == 4
    assert stored.changed(found.sequence).subjects == frozenset()
