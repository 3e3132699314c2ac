"""Creators and their shops."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from models.arrays import Rows, Vectors
from training.datasets.world.latent import Space, random_directions
from training.datasets.world.parameters import WorldParameters
from training.datasets.world.vocabulary import LANGUAGES, leaves

GRADES = ("S", "A", "B", "C")
GRADE_LIMITS = (-0.6, 0.3, 1.1)  # of shop standing, in sigmas: C below the first, S above the last
DAY_MS = 86_400_000
NEW_WITHIN_DAYS = 30


@dataclass(frozen=True)
class Creators:
    """C creators; a creator who sells has one shop.

    Attributes:
        table: creator_id, language, followers, joined_at, established, shop_id, shop_grade.
        leaf, language: [C] home category and tongue.
        skill: [C] in sigmas, planted.
        output: [C] share of new items, sums to 1.
        vectors: [C, D] personal style in the latent space.
        grade: [C] row of ``GRADES``, -1 without a shop.
    """

    table: pa.Table
    leaf: Rows
    language: Rows
    skill: Vectors
    output: Vectors
    vectors: Vectors
    grade: Rows

    def __len__(self) -> int:
        return len(self.leaf)

    @property
    def sells(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """[C], true where there is a shop."""
        return self.grade >= 0


def draw_creators(
    space: Space, parameters: WorldParameters, count: int, start_ms: int, rng: np.random.Generator
) -> Creators:
    """Creators whose homes follow demand and whose followers follow skill and age."""
    priced = np.array([leaf.price is not None for leaf in leaves()])
    leaf = rng.choice(len(space.leaves), count, p=space.demand / space.demand.sum(dtype=float))
    language = (rng.random(count) >= parameters.zh_share).astype(np.int64)
    skill = rng.standard_normal(count)
    new = rng.random(count) < parameters.new_creator_share
    age_days = np.where(new, rng.uniform(0, NEW_WITHIN_DAYS, count), rng.uniform(60, 1500, count))
    followers = np.exp(rng.normal(7.0 + 0.5 * skill, 1.3)) * np.where(new, 0.02, 1.0)
    sells = priced[leaf] & (rng.random(count) < parameters.selling_share)
    standing = 0.6 * skill + 0.8 * rng.standard_normal(count)
    grade = np.where(sells, 3 - np.searchsorted(GRADE_LIMITS, standing), -1)
    output = np.exp(rng.normal(0.0, 0.8, count))
    ids, shop_ids = random_ids("c", count, rng), random_ids("s", count, rng)
    table = pa.table(
        {
            "creator_id": ids,
            "language": [LANGUAGES[row] for row in language],
            "followers": followers.astype(np.int64),
            "joined_at": (start_ms - age_days * DAY_MS).astype(np.int64),
            "established": ~new,
            "shop_id": [shop if s else None for shop, s in zip(shop_ids, sells, strict=True)],
            "shop_grade": [GRADES[row] if row >= 0 else None for row in grade],
        }
    )
    return Creators(
        table,
        leaf.astype(np.int64),
        language,
        skill.astype(np.float32),
        (output / output.sum()).astype(np.float32),
        random_directions((count,), rng),
        grade.astype(np.int64),
    )


def random_ids(prefix: str, count: int, rng: np.random.Generator) -> list[str]:
    """Opaque ids: 64 random bits say nothing of what they name."""
    return [f"{prefix}{number:016x}" for number in rng.integers(0, 2**64, count, np.uint64)]
