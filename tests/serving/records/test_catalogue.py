from typing import Any

import pytest
from sqlalchemy import text

from serving.clock import now_ms
from serving.records import catalogue, visibility
from serving.records.contracts import Verdict
from serving.records.database import Records
from serving.records.errors import BadRows, Conflict, NotFound
from serving.records.items import MAX_ROWS
from serving.records.status import (
    EVERYONE,
    Scope,
    Status,
    creator_subject,
    item_subject,
    resolve,
    strictest,
)
from serving.records.tables import items

SHA = "ab" * 32


def product(item_id: str = "p1", **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "item_id": item_id,
        "kind": "product",
        "creator_id": "c1",
        "title": "茶壶 teapot",
    }
    row |= {"price": 10.0, "currency": "CNY", "published_at_ms": 1_700_000_000_000}
    return row | changes


def put(records: Records, *rows: dict[str, Any], **options: Any) -> list[Any]:
    return records.write("shop", catalogue.upsert, list(rows), **options)


def seen(records: Records, item_id: str, region: str = "CN", audience: str = "all") -> Status:
    subjects = [item_subject(item_id), creator_subject("c1")]
    rows = records.read(visibility.rows_of_subjects, subjects).values()
    return strictest("visible", *(resolve(found, region, audience) for found in rows))


def test_an_item_comes_back_as_it_was_stored(records: Records) -> None:
    row = product(tags=["tea", "壶"], regions=["CN", "SG"], product_ids=["x"], in_stock=True)
    assert put(records, row)[0].outcome == "created"
    stored = records.read(catalogue.get, "p1")
    assert stored.item.model_dump(mode="json", exclude_unset=True) | row == (
        stored.item.model_dump(mode="json") | row
    )
    assert stored.item.tags == ("tea", "壶")
    assert (stored.content_version, stored.deleted) == (1, False)


def test_a_region_stored_before_regions_were_checked_is_still_read(records: Records) -> None:
    put(records, product(regions=["GB"]))
    with records.engine.begin() as connection:
        connection.execute(items.update().values(regions=["UK"]))
    assert records.read(catalogue.get, "p1").item.regions == ("UK",)
    with pytest.raises(BadRows, match="such region"):
        put(records, product(regions=["UK"]))


def test_a_batch_with_bad_rows_stores_nothing_and_lists_every_fault(records: Records) -> None:
    far = now_ms() + 400 * 86_400_000
    rows = [
        product("good"),
        product("a", kind="podcast", price=-1.0),
        product("b", published_at_ms=far),
        product("good"),
        product("c", currency=None),
        product("d", surprise=1),
    ]
    with pytest.raises(BadRows) as caught:
        put(records, *rows)
    found = {(fault.row, fault.field) for fault in caught.value.faults}
    assert found == {
        (1, "kind"),
        (1, "price"),
        (2, "published_at_ms"),
        (3, "item_id"),
        (4, "currency"),
        (5, "surprise"),
    }
    with pytest.raises(NotFound):
        records.read(catalogue.get, "good")
    assert records.read(visibility.newest_sequence) == 0


@pytest.mark.parametrize("count", [0, MAX_ROWS + 1])
def test_batches_have_limits(records: Records, count: int) -> None:
    with pytest.raises(BadRows, match=f"1 to {MAX_ROWS}"):
        put(records, *(product(f"p{n}") for n in range(count)))


def test_the_same_again_changes_nothing(records: Records) -> None:
    put(records, product())
    before = records.read(catalogue.changes, 0, 10)
    assert put(records, product())[0].outcome == "unchanged"
    assert records.read(catalogue.changes, 0, 10) == before


@pytest.mark.parametrize(
    ("change", "version"),
    [
        ({"title": "new"}, 2),
        ({"text": "new"}, 2),
        ({"price": 11.0}, 2),
        ({"list_price": 20.0}, 2),
        ({"category": "home/tea"}, 1),
        ({"in_stock": False}, 1),
    ],
)
def test_text_and_price_make_a_new_version(
    records: Records, change: dict[str, Any], version: int
) -> None:
    put(records, product())
    done = records.write("shop", catalogue.patch, "p1", change)
    assert (done.outcome, done.content_version) == ("changed", version)
    assert seen(records, "p1") == "pending"


def test_media_must_be_uploaded_and_make_a_new_version(records: Records) -> None:
    put(records, product())
    change = {"media": [{"sha256": SHA, "mime": "image/png", "role": "cover"}]}
    with pytest.raises(BadRows, match="upload it first"):
        records.write("shop", catalogue.patch, "p1", change)
    assert records.write("shop", catalogue.add_media, SHA, "image/png", 10)
    assert not records.write("shop", catalogue.add_media, SHA, "image/png", 10)
    with pytest.raises(Conflict):
        records.write("shop", catalogue.add_media, SHA, "image/jpeg", 10)
    assert records.write("shop", catalogue.patch, "p1", change).content_version == 2


def test_price_history_keeps_every_price(records: Records) -> None:
    put(records, product())
    records.write("shop", catalogue.patch, "p1", {"title": "same price"})
    records.write("shop", catalogue.patch, "p1", {"price": 8.5})
    history = records.read(catalogue.price_history, "p1")
    assert [(p.price, p.content_version) for p in history] == [(10.0, 1), (8.5, 3)]


def test_a_patch_cannot_rename(records: Records) -> None:
    put(records, product())
    with pytest.raises(BadRows, match="keeps its id"):
        records.write("shop", catalogue.patch, "p1", {"item_id": "p2"})
    with pytest.raises(NotFound):
        records.write("shop", catalogue.patch, "p9", {"title": "x"})


def test_publish_before_check_shows_at_once(records: Records) -> None:
    put(records, product("a"), product("b"), publish="before_check")
    assert (seen(records, "a"), seen(records, "b")) == ("visible", "visible")


def test_a_verdict_applies_only_to_the_version_it_judged(records: Records) -> None:
    put(records, product())
    records.write("shop", catalogue.patch, "p1", {"title": "other"})
    assert records.write("check", visibility.apply_verdict, Verdict("p1", 1, "visible")) is None
    assert seen(records, "p1") == "pending"
    row = records.write("check", visibility.apply_verdict, Verdict("p1", 2, "visible"))
    assert row is not None
    assert seen(records, "p1") == "visible"


def test_verdicts_differ_by_region_and_audience(records: Records) -> None:
    put(records, product())
    for verdict in (
        Verdict("p1", 1, "visible"),
        Verdict("p1", 1, "hidden", Scope("CN")),
        Verdict("p1", 1, "limited", Scope("US", "adult")),
    ):
        records.write("check", visibility.apply_verdict, verdict)
    assert seen(records, "p1", "CN", "adult") == "hidden"
    assert seen(records, "p1", "US", "adult") == "limited"
    assert seen(records, "p1", "US", "all") == "visible"


def test_a_takedown_survives_edits_verdicts_and_deletion(records: Records) -> None:
    put(records, product())
    records.write("ann", visibility.decide, "p1", "hidden", EVERYONE, "fake")
    put(records, product(title="edited"))
    records.write("check", visibility.apply_verdict, Verdict("p1", 2, "visible"))
    assert seen(records, "p1") == "hidden"
    records.write("shop", catalogue.remove, "p1")
    put(records, product(), publish="before_check")
    assert seen(records, "p1") == "hidden"
    records.write("ann", visibility.decide, "p1", "visible", EVERYONE, "appeal")
    assert seen(records, "p1") == "visible"


def test_a_pardon_holds_for_its_version_only(records: Records) -> None:
    put(records, product())
    records.write("check", visibility.apply_verdict, Verdict("p1", 1, "hidden"))
    records.write("ann", visibility.decide, "p1", "visible", EVERYONE, "appeal")
    assert seen(records, "p1") == "visible"
    put(records, product(title="edited"))
    assert seen(records, "p1") == "pending"


def test_a_suspended_creator_hides_items_old_and_new(records: Records) -> None:
    put(records, product("a"), publish="before_check")
    records.write("ann", visibility.set_suspended, "c1", True, "fraud")
    put(records, product("b"), publish="before_check")
    assert (seen(records, "a"), seen(records, "b")) == ("hidden", "hidden")
    records.write("ann", visibility.set_suspended, "c1", False, "cleared")
    assert (seen(records, "a"), seen(records, "b")) == ("visible", "visible")


def test_deletion_leaves_a_hidden_tombstone_in_the_feed(records: Records) -> None:
    put(records, product(), publish="before_check")
    newest = records.read(catalogue.changes, 0, 10)[-1].sequence
    records.write("ann", visibility.decide, "p1", "visible", EVERYONE, "fine")
    records.write("shop", catalogue.remove, "p1")
    (tombstone,) = records.read(catalogue.changes, newest, 10)
    assert tombstone.deleted
    assert seen(records, "p1") == "hidden"
    with pytest.raises(NotFound):
        records.write("shop", catalogue.remove, "p1")
    assert put(records, product())[0].outcome == "created"
    assert seen(records, "p1") == "pending"


def test_change_feeds_give_each_change_once_in_order(records: Records) -> None:
    put(records, *(product(f"p{n}") for n in range(5)))
    put(records, product("p2", title="again"))
    feed, after = [], 0
    while page := records.read(catalogue.changes, after, 2):
        feed += page
        after = page[-1].sequence
    assert [stored.item.item_id for stored in feed] == ["p0", "p1", "p3", "p4", "p2"]
    rows = records.read(visibility.changes, 0, 10)
    assert [row.subject for row in rows] == [item_subject(s.item.item_id) for s in feed]
    assert [row.sequence for row in rows] == sorted(row.sequence for row in rows)


def test_takedowns_wait_in_the_outbox_until_the_state_holds_them(records: Records) -> None:
    first = records.write("ann", visibility.decide, "p1", "hidden", EVERYONE, "fake")
    second = records.write("ann", visibility.decide, "p2", "hidden", Scope("CN"), "fake")
    waiting = records.read(visibility.unsettled)
    assert waiting == [(first.sequence, "item:p1"), (second.sequence, "item:p2")]
    assert records.write("state", visibility.settle, first.sequence) == 1
    assert records.read(visibility.unsettled) == [(second.sequence, "item:p2")]


def test_visibility_and_audit_are_one_transaction(records: Records) -> None:
    def failing(unit: Any) -> None:
        visibility.decide(unit, "p1", "hidden", EVERYONE, "fake")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        records.write("ann", failing)
    assert records.read(visibility.newest_sequence) == 0
    assert records.read(lambda c: c.execute(text("select count(*) from audit")).scalar()) == 0
    row = records.write("ann", visibility.decide, "p1", "hidden", EVERYONE, "fake")
    assert row.sequence == 1
