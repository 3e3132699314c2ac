"""The work list of moderation lives in the records: nothing is lost, nothing judged for another."""

from typing import Any

import pytest
from sqlalchemy import text

from serving.records import catalogue, checks, schema, visibility
from serving.records.database import Records
from serving.records.moderation import Claim, Settled
from serving.records.status import EVERYONE, Scope, Status
from tests.serving.records.test_catalogue import product, put, seen

LONG_MS = 60_000


def claim(records: Records, count: int = 10, lease_ms: int = LONG_MS) -> list[Claim]:
    return records.write("m", checks.claim, count, lease_ms)


def settle(records: Records, one: Claim, *outcomes: tuple[Scope, Status]) -> bool:
    settled = Settled(one.item_id, one.content_version, "pass", outcomes, {"CN": {}})
    return records.write("m", checks.settle, settled)


def test_every_new_version_waits_until_it_is_judged(records: Records) -> None:
    put(records, product("a"), product("b"))
    put(records, product("a"))  # the same again is no new version
    assert [one.item_id for one in claim(records)] == ["a", "b"]
    assert claim(records) == []
    assert records.read(checks.backlog).waiting == 2


def test_a_claim_ends_and_somebody_else_takes_it_over(records: Records) -> None:
    put(records, product("a"))
    [first] = claim(records, lease_ms=0)
    [second] = claim(records)
    assert (first.attempts, second.attempts) == (1, 2)
    assert settle(records, first, (EVERYONE, "visible"))
    assert settle(records, second, (EVERYONE, "visible"))  # the same said twice
    assert seen(records, "a") == "visible"
    assert records.read(checks.backlog).waiting == 0


def test_a_claim_is_held_by_who_holds_it(records: Records) -> None:
    put(records, product("a"), product("b"))
    mine = claim(records, lease_ms=0)
    records.write("m", checks.renew, mine[:1], LONG_MS)
    [taken] = claim(records, lease_ms=0)
    assert taken.item_id == "b"
    records.write("m", checks.renew, mine, LONG_MS)  # b is another's by now
    assert [one.item_id for one in claim(records, lease_ms=0)] == ["b"]
    assert settle(records, mine[0], (EVERYONE, "visible"))
    records.write("m", checks.renew, mine, LONG_MS)
    assert records.read(checks.backlog).waiting == 1


@pytest.mark.parametrize(
    "change",
    [{"title": "another"}, {"price": 1.0}, {"tags": ["new"]}, {"regions": ["US"]}],
)
def test_a_verdict_on_an_older_version_does_nothing(
    records: Records, change: dict[str, Any]
) -> None:
    put(records, product("a"))
    [old] = claim(records)
    records.write("shop", catalogue.patch, "a", change)
    assert not settle(records, old, (EVERYONE, "visible"))
    assert seen(records, "a") == "pending"
    [new] = claim(records)
    assert (new.content_version, new.attempts) == (2, 1)


def test_regions_may_differ(records: Records) -> None:
    put(records, product("a"))
    [one] = claim(records)
    assert settle(records, one, (EVERYONE, "hidden"), (Scope("US"), "visible"))
    assert (seen(records, "a", "US"), seen(records, "a", "CN")) == ("visible", "hidden")


def test_what_failed_waits_its_time(records: Records) -> None:
    put(records, product("a"))
    [one] = claim(records)
    records.write("m", checks.postpone, one, "the model broke", LONG_MS)
    assert claim(records) == []
    found = records.read(checks.get, "a")
    assert found is not None
    assert (found.fault, found.state) == ("the model broke", "waiting")
    records.write("m", checks.postpone, one, "again", -1)
    assert claim(records)[0].attempts == 2


def test_checking_again_comes_behind_what_is_new(records: Records) -> None:
    put(records, product("a"), product("b"))
    for one in claim(records):
        settle(records, one, (EVERYONE, "visible"))
    put(records, product("c"))
    assert records.write("m", checks.again, ["a", "c", "gone"]) == 1
    assert [one.item_id for one in claim(records)] == ["c", "a"]
    assert seen(records, "a") == "visible"


def test_a_deleted_item_leaves_the_list(records: Records) -> None:
    put(records, product("a"))
    [one] = claim(records)
    records.write("shop", catalogue.remove, "a")
    assert records.read(checks.get, "a") is None
    assert not settle(records, one, (EVERYONE, "visible"))
    assert seen(records, "a") == "hidden"


def test_the_migration_queues_what_is_there_and_shows_it_meanwhile(records: Records) -> None:
    put(records, product("a"), product("b"), publish="before_check")
    records.write("shop", catalogue.remove, "b")
    schema.downgrade(records.engine, "0001")
    schema.upgrade(records.engine)
    found = records.read(checks.backlog)
    assert (found.waiting, found.background) == (0, 1)
    assert seen(records, "a") == "visible"
    assert records.read(visibility.newest_sequence) > 0
    with records.engine.connect() as connection:
        names = connection.execute(text("select name from sequences")).scalars().all()
    assert "banks" in names
