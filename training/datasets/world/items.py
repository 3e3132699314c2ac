"""Items as the response model knows them: traits drawn from a world's creators and parameters."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from models.arrays import Mask, Rows, Vectors
from training.datasets.world import parameters as p
from training.datasets.world.creators import Creators
from training.datasets.world.latent import Space, random_directions, unit
from training.datasets.world.texts import STYLES, violations_possible
from training.datasets.world.vocabulary import leaves

KINDS = ("video", "live", "product")
VIDEO, LIVE, PRODUCT = range(3)
HOME_SHARE = 0.8  # of a creator's items are of the home leaf, the rest of the same branch
DISCOUNTED_SHARE = 0.6
Labels = np.ndarray[tuple[int], np.dtype[np.str_]]


@dataclass(frozen=True)
class ItemTraits:
    """What the response model knows of N items.

    Attributes:
        vectors: [N, D] unit. leaf, branch, motif, creator, kind, language: [N] rows.
        quality: [N] planted, in logit units; quality_class: [N] row of ``QUALITY_CLASSES``.
        style: [N] row of ``STYLES``. reach: [N] log of how far the platform has carried it.
        duration_s: [N], inf where there is none.
        product: [N] item row of the product sold, -1 where none; a product sells itself.
        price: [N] US dollars, nan where none. price_gap: [N] log of price over the leaf's typical.
        discount: [N] share of the list price. trust: [N] shop grade, S = 1.5 … C = -1.5.
        published_ms: [N]. adult: [N]. violation: [N] label or "".
    """

    vectors: Vectors
    leaf: Rows
    branch: Rows
    motif: Rows
    creator: Rows
    kind: Rows
    language: Rows
    quality: Vectors
    quality_class: Rows
    style: Rows
    reach: Vectors
    duration_s: Vectors
    product: Rows
    price: Vectors
    price_gap: Vectors
    discount: Vectors
    trust: Vectors
    published_ms: Rows
    adult: Mask
    violation: Labels

    def __len__(self) -> int:
        return len(self.leaf)


@dataclass(frozen=True)
class Maker:
    """What every new item is drawn from, whenever it comes.

    Attributes:
        space, parameters, creators: of the world.
        violation_share: share of items that carry a planted violation.
    """

    space: Space
    parameters: p.WorldParameters
    creators: Creators
    violation_share: float


def draw_traits(
    maker: Maker, published_ms: Rows, shelf: ItemTraits | None, rng: np.random.Generator
) -> ItemTraits:
    """Traits of items published at the given times; `shelf` holds what shops sell already."""
    count, settings = len(published_ms), maker.parameters
    creator = rng.choice(len(maker.creators), count, p=normalised(maker.creators.output))
    kind = draw_kinds(maker, creator, rng)
    leaf = draw_leaves(maker, creator, kind, rng)
    motif = draw_motifs(leaf, kind, rng)
    quality_class = draw_classes(maker, creator, rng)
    quality = rng.normal(np.array(p.QUALITY_MEANS)[quality_class], p.QUALITY_SIGMA)
    price, price_gap, discount = draw_prices(leaf, kind, rng)
    grade = maker.creators.grade[creator]
    first_row = 0 if shelf is None else len(shelf)
    product = np.where(kind == PRODUCT, first_row + np.arange(count), -1)
    traits = ItemTraits(
        vectors=item_vectors(maker, creator, leaf, motif, rng),
        leaf=leaf,
        branch=maker.space.branches[leaf],
        motif=motif,
        creator=creator,
        kind=kind,
        language=maker.creators.language[creator],
        quality=quality.astype(np.float32),
        quality_class=quality_class,
        style=rng.choice(len(STYLES), count, p=[0.3, 0.4, 0.3]),
        reach=(
            rng.normal(0.0, settings.reach_sigma, count) + settings.reach_quality * quality
        ).astype(np.float32),
        duration_s=draw_durations(settings, kind, rng),
        product=product,
        price=price,
        price_gap=price_gap,
        discount=discount,
        trust=np.where(grade >= 0, 1.5 - grade, 0.0).astype(np.float32),
        published_ms=published_ms,
        adult=np.array([vocabulary.adult for vocabulary in leaves()])[leaf],
        violation=draw_violations(maker, leaf, kind, rng),
    )
    return with_products(traits, shelf, settings, rng)


def draw_kinds(maker: Maker, creator: Rows, rng: np.random.Generator) -> Rows:
    """Products come from creators who sell, in the world's share of all items."""
    settings, sells = maker.parameters, maker.creators.sells
    of_sellers = float(normalised(maker.creators.output)[sells].sum())
    chance = min(settings.product_share / max(of_sellers, 1e-9), 0.7)
    draws = rng.random((2, len(creator)))
    content = np.where(draws[0] < settings.live_share, LIVE, VIDEO)
    return np.where(sells[creator] & (draws[1] < chance), PRODUCT, content)


def draw_leaves(maker: Maker, creator: Rows, kind: Rows, rng: np.random.Generator) -> Rows:
    """The creator's home leaf, or at times another of its branch; products stay at home."""
    home, branches = maker.creators.leaf[creator], maker.space.branches
    size = int(np.bincount(branches)[0])  # every branch has equally many leaves
    other = branches[home] * size + rng.integers(0, size, len(creator))
    stays = (rng.random(len(creator)) < HOME_SHARE) | (kind == PRODUCT)
    return np.where(stays, home, other)


def draw_motifs(leaf: Rows, kind: Rows, rng: np.random.Generator) -> Rows:
    """What each item is about within its leaf; products are about things that can be sold."""
    vocabulary = leaves()
    goods = np.array([entry.goods for entry in vocabulary])[leaf]
    motifs = np.array([len(entry.motifs["en"]) for entry in vocabulary])[leaf]
    drawn: Rows = rng.integers(0, np.where(kind == PRODUCT, goods, motifs))
    return drawn


def draw_classes(maker: Maker, creator: Rows, rng: np.random.Generator) -> Rows:
    """Planted quality classes; skill moves the odds of good over poor."""
    settings = maker.parameters
    tilt = settings.skill_effect * maker.creators.skill[creator]
    ordinary = np.full(len(creator), 1.0 - settings.good_share - settings.poor_share)
    weights = np.stack(
        [settings.poor_share * np.exp(-tilt), ordinary, settings.good_share * np.exp(tilt)], axis=1
    )
    below = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    drawn: Rows = (rng.random((len(creator), 1)) > below[:, :2]).sum(axis=1)
    return drawn


def item_vectors(
    maker: Maker, creator: Rows, leaf: Rows, motif: Rows, rng: np.random.Generator
) -> Vectors:
    """Mostly the motif, which the words tell; some of the creator; a rest only behaviour tells."""
    own, noise = maker.parameters.creator_variance, maker.parameters.residual_variance
    return unit(
        np.sqrt(1.0 - own - noise) * maker.space.motifs[leaf, motif]
        + np.sqrt(own) * maker.creators.vectors[creator]
        + np.sqrt(noise) * random_directions((len(leaf),), rng)
    )


def draw_durations(settings: p.WorldParameters, kind: Rows, rng: np.random.Generator) -> Vectors:
    """Log-normal seconds of videos; a live room and a product card have no end."""
    drawn = settings.duration_median_s * np.exp(
        settings.duration_sigma * rng.standard_normal(len(kind))
    )
    limited = np.clip(drawn, *p.DURATION_LIMITS_S)
    return np.where(kind == VIDEO, limited, np.inf).astype(np.float32)


def draw_prices(
    leaf: Rows, kind: Rows, rng: np.random.Generator
) -> tuple[Vectors, Vectors, Vectors]:
    """Prices [N] of products, their log distance from the typical one, and the discount."""
    typical = np.array([vocabulary.typical_price for vocabulary in leaves()])[leaf]
    spans = [vocabulary.price or (1.0, 1.0) for vocabulary in leaves()]
    spread = np.array([np.log(high / low) / 4 for low, high in spans])[leaf]
    gap = spread * rng.standard_normal(len(leaf))
    reduced = rng.random(len(leaf)) < DISCOUNTED_SHARE
    discount = np.where(reduced, rng.uniform(0.05, 0.45, len(leaf)), 0.0)
    sold = kind == PRODUCT
    return (
        np.where(sold, typical * np.exp(gap), np.nan).astype(np.float32),
        np.where(sold, gap, 0.0).astype(np.float32),
        np.where(sold, discount, 0.0).astype(np.float32),
    )


def draw_violations(maker: Maker, leaf: Rows, kind: Rows, rng: np.random.Generator) -> Labels:
    """Labels [N], "" for most; which label depends on what makes sense for the item."""
    draws = rng.random((2, len(leaf)))
    labels = np.full(len(leaf), "", "<U32")
    for n in np.flatnonzero(draws[0] < maker.violation_share):
        possible = violations_possible(leaves()[leaf[n]], bool(kind[n] == PRODUCT))
        labels[n] = possible[int(draws[1, n] * len(possible))]
    return labels


def with_products(
    traits: ItemTraits,
    shelf: ItemTraits | None,
    settings: p.WorldParameters,
    rng: np.random.Generator,
) -> ItemTraits:
    """Traits whose content may carry a product of its creator's shop."""
    whole = traits if shelf is None else joined(shelf, traits)
    shop: dict[int, list[int]] = {}
    for row in np.flatnonzero(whole.kind == PRODUCT):
        shop.setdefault(int(whole.creator[row]), []).append(int(row))
    product, draws = traits.product.copy(), rng.random((2, len(traits)))
    chance = settings.tagged_share / max(np.isin(traits.creator, list(shop)).mean(), 1e-9)
    for n in np.flatnonzero((traits.kind != PRODUCT) & (draws[0] < chance)):
        offered = shop.get(int(traits.creator[n]))
        if offered:
            product[n] = offered[int(draws[1, n] * len(offered))]
    return ItemTraits(**{**vars(traits), "product": product})


def joined(first: ItemTraits, second: ItemTraits) -> ItemTraits:
    """Both sets of items, one after the other."""
    names = [field.name for field in fields(ItemTraits)]
    return ItemTraits(
        **{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names}
    )


def normalised(weights: Vectors) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Weights as probabilities in double precision."""
    exact = weights.astype(np.float64)
    scaled: np.ndarray[Any, np.dtype[np.float64]] = exact / exact.sum()
    return scaled
