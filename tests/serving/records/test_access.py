import argparse
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from serving.clock import now_ms
from serving.keys import add_keys_parser
from serving.records.access import SCOPES, ApiKey, Bucket, Gate, bearer_text, key_id_of, take
from serving.records.contracts import NewKey
from serving.records.database import Records
from serving.records.errors import AccessDenied, BadRows, NotFound
from serving.records.store import SqlKeys
from serving.records.tables import api_keys, audit


def run(records: Records, *words: str) -> int:
    parser = argparse.ArgumentParser()
    add_keys_parser(parser.add_subparsers())
    arguments = parser.parse_args(["keys", *words])
    return int(arguments.run(arguments, SqlKeys(records)))


def test_a_key_opens_its_scopes_and_no_others(records: Records) -> None:
    keys = SqlKeys(records)
    gate = Gate(keys.find)
    text = keys.create("ops", NewKey("shop", ["feed", "events"]))
    assert gate.admit(text, "events", now_ms()).principal == "shop"
    for scope in set(SCOPES) - {"feed", "events"}:
        with pytest.raises(AccessDenied):
            gate.admit(text, scope, now_ms())
    admin = keys.create("ops", NewKey("root", ["admin"]))
    assert all(gate.admit(admin, scope, now_ms()) for scope in SCOPES)


def test_refusals_are_all_alike(records: Records) -> None:
    keys = SqlKeys(records)
    text = keys.create("ops", NewKey("shop", ["feed"], lifetime_ms=60_000))
    revoked = keys.create("ops", NewKey("gone", ["feed"]))
    keys.revoke("ops", str(key_id_of(revoked)))
    gate, now = Gate(keys.find), now_ms()
    forged = text[:-1] + ("0" if text[-1] != "0" else "1")
    tried = [
        (text, "admin", now),
        (text, "feed", now + 60_001),
        (revoked, "feed", now),
        (forged, "feed", now),
        ("", "feed", now),
        ("tg_' or 1=1", "feed", now),
    ]
    said = set()
    for key, scope, at_ms in tried:
        with pytest.raises(AccessDenied) as caught:
            gate.admit(key, scope, at_ms)  # type: ignore[arg-type]
        said.add(str(caught.value))
    assert said == {"access denied"}
    assert gate.admit(text, "feed", now).principal == "shop"


def test_a_revoked_key_ends_in_a_gate_that_knew_it(records: Records) -> None:
    keys = SqlKeys(records)
    text = keys.create("ops", NewKey("shop", ["feed"]))
    gate, now = Gate(keys.find), now_ms()
    gate.admit(text, "feed", now)
    keys.revoke("ops", str(key_id_of(text)))
    with pytest.raises(AccessDenied):
        gate.admit(text, "feed", now + 5_001)
    with pytest.raises(NotFound):
        keys.revoke("ops", str(key_id_of(text)))


def test_no_secret_is_stored(records: Records) -> None:
    text = SqlKeys(records).create("ops", NewKey("shop", ["feed"]))
    secret = text.split("_")[2]
    kept = records.read(lambda c: repr(c.execute(select(api_keys)).all()))
    trail = records.read(lambda c: repr(c.execute(select(audit)).all()))
    assert secret not in kept + trail


def test_bad_keys_are_refused_whole(records: Records) -> None:
    with pytest.raises(BadRows) as caught:
        SqlKeys(records).create("ops", NewKey(" ", ["fly"], 0.0, 0.0, -1))  # type: ignore[list-item]
    assert {fault.field for fault in caught.value.faults} == {
        "principal",
        "scopes",
        "rate_per_s",
        "burst",
        "lifetime_ms",
    }
    assert SqlKeys(records).listed() == []


def test_the_hot_path_asks_the_database_once() -> None:
    asked: list[str] = []
    key = ApiKey("0" * 12, "shop", frozenset({"feed"}), 1e9, 1e9, 0, None, None)

    def find(text: str) -> ApiKey:
        asked.append(text)
        return key

    gate, text = Gate(find), f"tg_{'0' * 12}_{'f' * 64}"
    started = time.process_time()  # of this process alone, however busy the machine
    for _ in range(2_000):
        gate.wait_s(gate.admit(text, "feed", 1_000), 1.0)
    assert len(asked) == 1
    assert (time.process_time() - started) / 2_000 < 0.5e-3


def test_keys_command(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(records, "create", "shop", "--scope", "feed", "--scope", "events", "--days", "2") == 0
    )
    text = capsys.readouterr().out.strip()
    assert SqlKeys(records).find(text) is not None
    assert run(records, "list") == 0
    listed = capsys.readouterr().out
    assert "events,feed" in listed
    assert text not in listed
    assert run(records, "revoke", str(key_id_of(text))) == 0
    assert run(records, "revoke", str(key_id_of(text))) == 1
    assert "none that could be revoked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "text"),
    [
        ("Bearer  abc ", None, "abc"),
        ("bearer abc", "other", "abc"),
        (None, "abc", "abc"),
        ("Basic abc", "key", "key"),
        (None, None, ""),
    ],
)
def test_headers(authorization: str | None, x_api_key: str | None, text: str) -> None:
    assert bearer_text(authorization, x_api_key) == text


steps = st.lists(st.floats(-1, 10, allow_nan=False), min_size=1, max_size=60)


@given(steps, st.floats(0.1, 50), st.floats(1, 20))
def test_a_bucket_never_gives_more_than_burst_and_rate(
    pauses_s: list[float], rate_per_s: float, burst: float
) -> None:
    bucket, now_s, given_at = Bucket(burst, 0.0), 0.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        bucket, wait_s = take(bucket, rate_per_s, burst, now_s)
        assert 0.0 <= bucket.tokens <= burst
        if wait_s == 0.0:
            given_at.append(bucket.at_s)
    for n, start in enumerate(given_at):
        for m in range(n, len(given_at)):
            allowed = burst + (given_at[m] - start) * rate_per_s
            assert m - n + 1 <= allowed + 1e-6


@given(st.floats(0.1, 50), st.floats(1, 20), st.floats(0, 20))
def test_waiting_as_told_is_enough(rate_per_s: float, burst: float, tokens: float) -> None:
    bucket, wait_s = take(Bucket(min(tokens, burst), 0.0), rate_per_s, burst, 0.0)
    if wait_s:
        assert take(bucket, rate_per_s, burst, wait_s * (1 + 1e-9) + 1e-9)[1] == 0.0
