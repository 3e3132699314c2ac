import numpy as np
import pytest

from embeddings.content import Content, Contents, content_of
from models.features import item_features
from models.ranking_items import (
    item_keys,
    item_traits,
)

ITEMS = [
    {"item_id": f"i-{n}", "title": f"red lamp {n}", "kind": "video", "duration_ms": 9_000 * n}
    for n in range(300)
]


def assert_same(found: Content, expected: Content) -> None:
    assert found.item_ids == expected.item_ids
    for name in ("tokens", "numeric"):
        np.testing.assert_array_equal(
            getattr(found.features, name), getattr(expected.features, name)
        )
    np.testing.assert_array_equal(found.keys, expected.keys)
    np.testing.assert_array_equal(found.traits, expected.traits)


def test_content_is_what_both_models_read() -> None:
    content = content_of(ITEMS[:5])
    np.testing.assert_array_equal(content.features.tokens, item_features(ITEMS[:5]).tokens)
    np.testing.assert_array_equal(content.keys, item_keys(ITEMS[:5]))
    np.testing.assert_array_equal(content.traits[3], item_traits(ITEMS[3]))
    assert len(content_of([])) == 0


def test_the_newest_content_of_every_item_is_kept() -> None:
    contents = Contents()
    for start in range(0, 300, 50):
        contents.put(content_of(ITEMS[start : start + 50]))
    changed = ITEMS[7] | {"title": "quite another"}
    contents.put(content_of([{"item_id": "new"}, changed]))
    assert len(contents) == 301
    assert contents.ids(299, 5) == ["i-299", "new"]
    assert contents.ids(301, 5) == []
    assert_same(contents.take(["i-9", "i-7"]), content_of([ITEMS[9], changed]))
    assert_same(contents.take([]), content_of([]))
    with pytest.raises(KeyError):
        contents.take(["unknown"])
