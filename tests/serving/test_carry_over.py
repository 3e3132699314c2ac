"""A bundle to come takes over what the one that serves knows of the catalogue."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.schema import RecordsSection
from embeddings.feed_model import load_feed_model
from serving.feed.facts import CODED, COLUMNS, UNKNOWN
from serving.live_items import LiveItems, shelf_of
from serving.records.contracts import Catalogue, Stored
from serving.stores import migrate, open_stores
from tests.feed_bundles import make_feed_bundle

VIDEO = {"kind": "video", "creator_id": "c", "title": "quick red lamp", "published_at_ms": 1}
Fresh = Callable[[int], LiveItems]


class Reading:
    """A catalogue that notes what is read of it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.read_after: list[int] = []

    def put(self, *items: dict[str, Any]) -> None:
        self.catalogue.upsert("ann", items, "before_check")

    def changes(self, after: int, limit: int) -> Sequence[Stored]:
        self.read_after.append(after)
        return self.catalogue.changes(after, limit)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Reading]:
    section = RecordsSection(folder=tmp_path / "records", secrets=tmp_path / "secrets")
    migrate(section)
    stores = open_stores(section)
    yield Reading(stores.catalogue)
    stores.close()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """The items of one of two bundles as they are loaded."""
    folder = tmp_path_factory.mktemp("two")
    for seed in (1, 2):
        make_feed_bundle(folder / str(seed), 60, seed=seed)

    def loaded(seed: int) -> LiveItems:
        model = load_feed_model(folder / str(seed))
        return LiveItems(model, shelf_of(model))

    return loaded


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.live_items.CARRIED", 7)


def described(items: LiveItems) -> dict[str, dict[str, Any]]:
    """Facts of what may be found, in words: rows and codes depend on their history."""
    model, facts = items.model, items.shelf.facts
    found = {}
    for row in np.flatnonzero(~model.index.gone).tolist():
        told = {name: facts.column(name)[row].item() for name in COLUMNS.names or ()}
        for column, name in CODED.items():
            code = told[column]
            told[column] = None if code == UNKNOWN else getattr(facts, name).values[code]
        found[model.vocabulary.item_id(row)] = told | {"duration_ms": str(told["duration_ms"])}
    return found


def vectors(items: LiveItems, item_ids: Sequence[str]) -> tuple[Any, Any]:
    rows = items.model.vocabulary.rows(item_ids)
    return items.model.retrieval_vectors[rows], items.model.popularity[rows]


def changed_twice(items: LiveItems, catalogue: Reading) -> None:
    """Upload, change, delete and bring back; the last change is not applied yet."""
    late = [VIDEO | {"item_id": f"late-{n}", "creator_id": f"c-{n % 3}"} for n in range(20)]
    catalogue.put(*late, VIDEO | {"item_id": "item-3"}, VIDEO | {"item_id": "item-4"})
    items.catch_up(catalogue)  # type: ignore[arg-type]
    for gone in ("late-1", "late-2", "item-3"):
        catalogue.catalogue.remove("ann", gone)
    items.catch_up(catalogue)  # type: ignore[arg-type]
    catalogue.put(VIDEO | {"item_id": "late-2", "title": "soft night"})
    items.catch_up(catalogue)  # type: ignore[arg-type]
    catalogue.put(VIDEO | {"item_id": "late-4", "regions": ["CN"]})


def test_it_is_as_if_everything_had_been_read_again(catalogue: Reading, fresh: Fresh) -> None:
    serving, carried, anew = fresh(1), fresh(2), fresh(2)
    changed_twice(serving, catalogue)
    carried.carry_over(serving)
    for items in (carried, anew):
        items.catch_up(catalogue)  # type: ignore[arg-type]
    assert carried.sequence == anew.sequence
    found = described(carried)
    assert found == described(anew)
    assert {"late-1", "item-3"}.isdisjoint(found)
    assert {"late-0", "late-2", "item-4"} <= set(found)
    assert found["late-4"]["regions"] == frozenset(["CN"])
    for one, other in zip(vectors(carried, [*found]), vectors(anew, [*found]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    rows = [carried.shelf.popular_rows, anew.shelf.popular_rows]
    ids = [
        [items.model.vocabulary.item_id(row) for row in some]
        for items, some in zip((carried, anew), rows, strict=True)
    ]
    assert ids[0] == ids[1]


def test_only_what_is_newer_is_read(catalogue: Reading, fresh: Fresh) -> None:
    serving, carried = fresh(1), fresh(2)
    changed_twice(serving, catalogue)
    catalogue.read_after.clear()
    rests: list[float] = []
    carried.carry_over(serving, rests.append)
    assert catalogue.read_after == []
    assert len(rests) == 4  # 22 items in steps of 7
    carried.catch_up(catalogue)  # type: ignore[arg-type]
    assert catalogue.read_after[0] == serving.sequence > 0


def test_what_was_carried_over_is_carried_on(catalogue: Reading, fresh: Fresh) -> None:
    serving, second, third = fresh(1), fresh(2), fresh(1)
    changed_twice(serving, catalogue)
    second.carry_over(serving)
    third.carry_over(second)
    assert described(third).keys() == described(second).keys() == described(serving).keys()
    catalogue.put(VIDEO | {"item_id": "late-1"}, VIDEO | {"item_id": "item-3"})
    third.catch_up(catalogue)  # type: ignore[arg-type]
    assert {"late-1", "item-3"} <= described(third).keys()


def test_the_bundle_that_serves_goes_on_changing_apart(catalogue: Reading, fresh: Fresh) -> None:
    serving, carried = fresh(1), fresh(2)
    changed_twice(serving, catalogue)
    carried.carry_over(serving)
    before = described(carried)
    catalogue.put(VIDEO | {"item_id": "late-5", "creator_id": "another"})
    serving.catch_up(catalogue)  # type: ignore[arg-type]
    assert described(carried) == before
    assert "another" not in carried.shelf.creators
