"""Items as everybody else sees them: the Item contract's table, and the planted truth apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from models.arrays import Vectors
from training.datasets.world.creators import DAY_MS, random_ids
from training.datasets.world.items import KINDS, LIVE, PRODUCT, VIDEO, ItemTraits, Maker
from training.datasets.world.parameters import QUALITY_CLASSES
from training.datasets.world.texts import STYLES, SURFACES, Draft, Words, compose
from training.datasets.world.vocabulary import LANGUAGES, MARKETS, leaves

YUAN_PER_DOLLAR = 7.1
CURRENCIES = {"zh": "CNY", "en": "USD"}
LIVE_DAYS = 60  # a live room stands between broadcasts; its item expires this long after it opened
TEXT_DRAWS = 8
CREATOR_FIELDS = ("creator_id", "shop_id", "shop_grade")
TITLE_SHARE = 0.6  # of violations stand in the title; the rest anywhere
FRAUD_FACTORS = (10.0, 30.0)  # a fraudulent list price over an honest one

ITEMS = pa.schema(
    [
        ("item_id", pa.string()),
        ("kind", pa.string()),
        ("creator_id", pa.string()),
        ("shop_id", pa.string()),
        ("shop_grade", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("category", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("language", pa.string()),
        ("regions", pa.list_(pa.string())),
        ("price", pa.float64()),
        ("list_price", pa.float64()),
        ("currency", pa.string()),
        ("product_ids", pa.list_(pa.string())),
        ("duration_ms", pa.float64()),
        ("audience", pa.string()),
        ("published_at", pa.int64()),
        ("expires_at", pa.int64()),
        ("in_stock", pa.bool_()),
    ]
)
TRUTH = pa.schema(
    [
        ("item_id", pa.string()),
        ("quality", pa.float64()),
        ("quality_class", pa.string()),
        ("content_value", pa.string()),
        ("violation", pa.string()),
        ("evidence", pa.string()),
        ("surface", pa.string()),
    ]
)
CONTENT_VALUES = {"tutorial": "strong_use", "show": "weak_use", "plain": "no_use"}


def item_tables(
    maker: Maker, traits: ItemTraits, known_ids: Sequence[str], rng: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """The catalogue (``ITEMS``) and the truth (``TRUTH``) of items that follow the known ones."""
    ids = [*known_ids, *random_ids("i", len(traits), rng)]
    draws = rng.random((len(traits), TEXT_DRAWS))
    anywhere = rng.integers(0, len(SURFACES), len(traits))
    surfaces = np.where(rng.random(len(traits)) < TITLE_SHARE, 0, anywhere)
    prices = printed_prices(traits, rng)
    creators = maker.creators.table.to_pydict()
    items, truths = [], []
    for n in range(len(traits)):
        item_id = ids[len(known_ids) + n]
        words = compose(draft(traits, n, SURFACES[surfaces[n]], prices[n], draws[n]))
        creator = {key: creators[key][traits.creator[n]] for key in CREATOR_FIELDS}
        items.append(
            {"item_id": item_id, **creator, **content_fields(traits, n, words)}
            | sale_fields(traits, n, prices[n], ids)
        )
        truths.append({"item_id": item_id, **truth_fields(traits, n, words, SURFACES[surfaces[n]])})
    return pa.Table.from_pylist(items, ITEMS), pa.Table.from_pylist(truths, TRUTH)


def printed_prices(traits: ItemTraits, rng: np.random.Generator) -> Vectors:
    """Price and list price [N, 2] in the market's currency; nan where nothing is sold."""
    rate = np.where(traits.language == LANGUAGES.index("zh"), YUAN_PER_DOLLAR, 1.0)
    price = traits.price * rate
    fraud = traits.violation == "commerce/price_fraud"
    factor = np.where(fraud, rng.uniform(*FRAUD_FACTORS, len(traits)), 1.0)
    both = np.stack([price, price * factor / (1.0 - traits.discount)], axis=1)
    return np.round(both, 1).astype(np.float32)


def draft(
    traits: ItemTraits, n: int, surface: str, prices: Vectors, draws: Sequence[float]
) -> Draft:
    """What the words of item `n` are composed from."""
    form = STYLES[traits.style[n]] if traits.kind[n] == VIDEO else KINDS[traits.kind[n]]
    return Draft(
        leaf=leaves()[traits.leaf[n]],
        motif=int(traits.motif[n]),
        language=LANGUAGES[traits.language[n]],
        form=form,
        violation=str(traits.violation[n]),
        surface=surface,
        price=round(float(prices[0]), 1),
        list_price=round(float(prices[1]), 1),
        draws=draws,
    )


def content_fields(traits: ItemTraits, n: int, words: Words) -> dict[str, Any]:
    """The Item contract's fields of item `n` that say what it is and for whom."""
    language, published_at = LANGUAGES[traits.language[n]], int(traits.published_ms[n])
    video, live = traits.kind[n] == VIDEO, traits.kind[n] == LIVE
    return {
        "kind": KINDS[traits.kind[n]],
        "title": words.title,
        "text": words.text,
        "category": leaves()[traits.leaf[n]].path,
        "tags": words.tags,
        "language": language,
        "regions": MARKETS[language],
        "duration_ms": round(float(traits.duration_s[n]) * 1000) if video else None,
        "audience": "adult" if traits.adult[n] else "all",
        "published_at": published_at,
        "expires_at": published_at + LIVE_DAYS * DAY_MS if live else None,
    }


def sale_fields(traits: ItemTraits, n: int, prices: Vectors, ids: Sequence[str]) -> dict[str, Any]:
    """The Item contract's fields of item `n` about what it sells."""
    if traits.kind[n] != PRODUCT:
        return {"product_ids": [ids[traits.product[n]]] if traits.product[n] >= 0 else []}
    return {
        "price": round(float(prices[0]), 1),
        "list_price": round(float(prices[1]), 1),
        "currency": CURRENCIES[LANGUAGES[traits.language[n]]],
        "product_ids": [],
        "in_stock": True,
    }


def truth_fields(traits: ItemTraits, n: int, words: Words, surface: str) -> dict[str, Any]:
    """What was planted in item `n`; label, phrase and place are null where nothing was."""
    style = STYLES[traits.style[n]]
    return {
        "quality": float(traits.quality[n]),
        "quality_class": QUALITY_CLASSES[traits.quality_class[n]],
        "content_value": CONTENT_VALUES[style] if traits.kind[n] == VIDEO else None,
        "violation": str(traits.violation[n]) or None,
        "evidence": words.evidence or None,
        "surface": surface if words.evidence else None,
    }
