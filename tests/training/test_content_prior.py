import numpy as np
import pytest

from models.features import ItemFeatures, item_features
from training.content_prior import content_prior, foretold

TAGS = ("calm", "loud", "odd")
EFFECT = {"calm": -1.0, "loud": 1.0, "odd": 0.0}


def catalogue(items: int, first: int = 0) -> ItemFeatures:
    """Items with one of three tags and a creator of their own."""
    return item_features(
        {"item_id": str(n), "creator_id": f"c{n}", "tags": [TAGS[n % 3]]}
        for n in range(first, first + items)
    )


def popularity(items: int) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    noise = 0.3 * np.random.default_rng(0).standard_normal(items)
    effects = np.array([EFFECT[TAGS[n % 3]] for n in range(items)])
    return (5.0 + effects + noise).astype(np.float32)


def test_popularity_of_new_items_follows_what_they_share() -> None:
    fitted = content_prior(catalogue(300), popularity(300))
    predicted = foretold(fitted, catalogue(30, first=900))
    expected = [5.0 + EFFECT[TAGS[n % 3]] for n in range(900, 930)]
    assert predicted == pytest.approx(expected, abs=0.25)


def test_features_of_one_item_alone_say_nothing() -> None:
    known = catalogue(60)
    fitted = content_prior(known, popularity(60))
    creators, tags = known.tokens[:, 0], known.tokens[:, 1]
    assert fitted.shared[tags].all()
    alone = ~fitted.shared[creators]
    assert alone.sum() > 50
    assert not fitted.tokens[creators][alone].any()


def test_items_without_content_have_the_mean() -> None:
    fitted = content_prior(catalogue(60), popularity(60))
    assert foretold(fitted, item_features([{"item_id": "x"}]))[0] == pytest.approx(
        popularity(60).mean(), abs=1e-5
    )
