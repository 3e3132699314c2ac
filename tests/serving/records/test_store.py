from serving.records import contracts
from serving.records.database import Records
from serving.records.status import EVERYONE
from serving.records.store import (
    SqlAuditTrail,
    SqlBundles,
    SqlCatalogue,
    SqlKeys,
    SqlUsers,
    SqlVisibility,
)


def test_catalogue_and_visibility_keep_their_protocols(records: Records) -> None:
    catalogue: contracts.Catalogue = SqlCatalogue(records)
    visibility: contracts.Visibility = SqlVisibility(records)
    row = {"item_id": "i", "kind": "video", "creator_id": "c", "published_at_ms": 1}
    assert catalogue.upsert("shop", [row], "after_check")[0].outcome == "created"
    assert catalogue.patch("shop", "i", {"title": "t"}, "after_check").content_version == 2
    assert catalogue.get("i").item.title == "t"
    assert catalogue.add_media("shop", "ab" * 32, "image/png", 1)
    assert [stored.content_version for stored in catalogue.changes(0, 9)] == [2]
    assert len(catalogue.price_history("i")) == 1
    verdict = contracts.Verdict("i", 2, "visible")
    assert visibility.apply_verdict("check", verdict) is not None
    taken = visibility.decide("ann", "i", "hidden", EVERYONE, "fake")
    suspended = visibility.set_suspended("ann", "c", True, "fraud")
    assert visibility.newest_sequence() == suspended.sequence
    assert visibility.changes(taken.sequence, 9) == [suspended]
    assert set(visibility.rows_of_subjects(["item:i", "item:j"])) == {"item:i"}
    assert [sequence for sequence, _ in visibility.unsettled()] == [
        taken.sequence,
        suspended.sequence,
    ]
    assert visibility.settle("state", suspended.sequence) == 2
    catalogue.remove("shop", "i")
    assert catalogue.changes(0, 9)[-1].deleted


def test_users_keys_bundles_and_trail_keep_their_protocols(records: Records) -> None:
    users: contracts.Users = SqlUsers(records)
    keys: contracts.Keys = SqlKeys(records)
    bundles: contracts.Bundles = SqlBundles(records)
    trail: contracts.AuditTrail = SqlAuditTrail(records)
    assert users.put("app", {"user_id": "u"}) == users.get("u")
    assert keys.listed() == []
    assert bundles.activate("ops", "feed", "v1", None) == bundles.current("feed")
    assert len(bundles.history("feed", 9)) == 1
    rows = trail.rows(0, 99)
    head = trail.newest_head()
    assert head is not None
    assert (rows[-1].action, head.sequence) == ("bundle.activate", len(rows))
