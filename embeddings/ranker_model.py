"""The ranker of a feed bundle: features of one request and its candidates, and the ONNX model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime as ort
from pydantic import Field, ValidationError, model_validator

from configs.schema import Section
from models.arrays import Mask, Rows, VectorRows, Vectors
from models.bundle import (
    Bundle,
    BundleError,
    Tensor,
    check_signature,
    load_array,
    load_session,
)
from models.features import ACTION_CODES, History
from models.ranking_behaviour import habit_features, habits, session_features
from models.ranking_features import (
    FEATURES,
    RATE_STRENGTH,
    USER_STRENGTH,
    Counts,
    ItemCounters,
    RankingContext,
    Rates,
    affinity_features,
    counter_features,
    interest_features,
    item_block,
    read,
    unit,
    user_features,
)
from models.ranking_items import (
    KEYS,
    Keys,
)
from models.tasks import PREDICTIONS, TASKS, WATCH_RATIO

RANKER = "ranker.onnx"
RANKER_ITEM = "ranker_item.onnx"
RANKER_FACTS = "ranker.json"
RANKER_ITEMS = "ranker_items.npy"
RANKER_KEYS = "ranker_keys.npy"
RANKER_COUNTERS = "ranker_counters.npy"
RANKER_GOLDEN = "ranker_golden.npy"
FILES = (
    RANKER,
    RANKER_ITEM,
    RANKER_FACTS,
    RANKER_ITEMS,
    RANKER_KEYS,
    RANKER_COUNTERS,
    RANKER_GOLDEN,
)
FLOAT = "tensor(float)"
GOLDEN_ITEMS = 16
TOLERANCE = 1e-3  # of a probability; float32 sums differ between processors
HOUR_MS = 3_600_000


class RankerFacts(Section):
    """``ranker.json``: what the ranker predicts and what was usual where it was trained.

    `overall` holds the rate of every task of ``TASKS``, 0 where the data lack it; `impressions` is
    the mean of the items that were shown; `strength` how many reactions at the overall rate an
    item's own rate starts from, `user_strength` how many impressions a user's own; `base_ms` the
    moment of ``ranker_counters.npy``: nothing later was learned from. `seed` is that of the fit,
    None where it is the bundle's; `features` the version of what is read.
    """

    tasks: tuple[str, ...]
    regions: tuple[str, ...]
    overall: tuple[float, ...]
    impressions: float = Field(ge=0)
    strength: float = Field(default=RATE_STRENGTH, gt=0)
    user_strength: float = Field(default=USER_STRENGTH, gt=0)
    base_ms: int = Field(ge=0)
    features: int = 1
    seed: int | None = None

    @property
    def rates(self) -> Rates:
        """What was usual."""
        overall = np.array(self.overall, np.float32)
        return Rates(overall, self.impressions, self.strength, self.user_strength)

    @model_validator(mode="after")
    def _tasks_are_known(self) -> Self:
        if unknown := set(self.tasks) - set(TASKS):
            raise ValueError(f"tasks {sorted(unknown)} are none of {list(TASKS)}")
        if len(self.overall) != len(TASKS):
            raise ValueError(f"overall has {len(self.overall)} rates, expected {len(TASKS)}")
        return self


@dataclass(frozen=True)
class RankerTables:
    """What the ranker looks up of N items, or of more where items came later.

    Attributes:
        keys: [N, len(KEYS)] hashed. halves: [N, W] item part of the first layer.
        history: [N, H]. retrieval: [N, D].
    """

    keys: VectorRows
    halves: VectorRows
    history: VectorRows
    retrieval: VectorRows


class CreatorTotals:
    """Counters summed over each creator's items; the sums of the newest counters are kept.

    Only items of the bundle count: what a creator's later items did enters with the next bundle.
    """

    def __init__(self, creators: Keys) -> None:
        """Create it for the hashed creators [N] of the bundle's items."""
        self._creators, self._owners = np.unique(creators, return_inverse=True)
        self._of: ItemCounters | None = None
        self._sums: Vectors = np.zeros((0, 1 + len(TASKS)), np.float32)

    def counts(self, context: RankingContext, rows: Rows, creators: Keys) -> Counts:
        """Gather what is counted for candidates.

        Args:
            context: holds the counters. rows: [K]. creators: [K] hashed, 0 unknown.
        """
        counters = context.counters
        known = rows < len(counters)
        own = np.where(known, rows, 0)
        place, told = self._places(rows, creators)
        sums = self.sums(counters).take(place, axis=0) * told[:, None]
        published_ms = counters.published_at_ms[own]
        dated = known & (published_ms > 0)
        return Counts(
            impressions=counters.impressions[own] * known,
            reactions=counters.reactions.take(own, axis=0) * known[:, None],
            age_h=np.where(dated, (context.now_ms - published_ms) / HOUR_MS, np.nan),
            creator_impressions=sums[:, 0],
            creator_reactions=sums[:, 1:],
        )

    def _places(self, rows: Rows, creators: Keys) -> tuple[Rows, Mask]:
        """Rows [K] of the sums, and true where a candidate's creator is known there."""
        if int(rows.max(initial=-1)) < len(self._owners):
            return self._owners.take(rows), creators != 0
        place = np.minimum(np.searchsorted(self._creators, creators), len(self._creators) - 1)
        return place, (self._creators[place] == creators) & (creators != 0)

    def sums(self, counters: ItemCounters) -> Vectors:
        """[creators, 1 + len(TASKS)] impressions and reactions."""
        if self._of is not counters:
            owners = self._owners[: len(counters)]
            columns = [counters.impressions, *counters.reactions.T]
            size = len(self._creators)
            self._sums = np.stack(
                [np.bincount(owners, column[: len(owners)], size) for column in columns], 1
            ).astype(np.float32)
            self._of = counters
        return self._sums


@dataclass(frozen=True)
class Ranker:
    """Predicts what follows if a user is shown each candidate.

    Attributes:
        facts: what it predicts. tables: of the items.
        base: counters at the end of the training data; a host adds what it counted since.
        network: ONNX session over candidates. item_half: ONNX session over items.
        totals: of the creators.
    """

    facts: RankerFacts
    tables: RankerTables
    base: ItemCounters
    network: ort.InferenceSession
    item_half: ort.InferenceSession
    totals: CreatorTotals

    def predict(self, context: RankingContext, rows: Rows) -> Vectors:
        """Return [K, len(PREDICTIONS)] for the candidates in these rows [K].

        A task that the training data lacked is NaN. Items that came after the counters were taken
        count as never shown.
        """
        predictions = np.full((len(rows), len(PREDICTIONS)), np.nan, np.float32)
        if len(rows):
            columns = [PREDICTIONS.index(name) for name in (*self.facts.tasks, WATCH_RATIO)]
            said = self.network.run(["predictions"], self.inputs(context, rows))
            predictions[:, columns] = said[0]
        return predictions

    def halves(self, traits: Vectors, retrieval: Vectors) -> Vectors:
        """Return halves [B, W] of items that the bundle does not know.

        Args:
            traits: [B, TRAITS] of `item_traits`. retrieval: [B, D] of the item tower.
        """
        if not len(traits):
            return np.zeros((0, self.width), np.float32)
        unknown = np.zeros((len(traits), len(TASKS) + 1), np.float32)
        block = item_block(traits, unknown, retrieval)
        halves: Vectors = self.item_half.run(["item_half"], {"item": block})[0]
        return halves

    @property
    def width(self) -> int:
        """W, of an item's part of the first layer."""
        return int(self.item_half.get_outputs()[0].shape[-1])

    def inputs(self, context: RankingContext, rows: Rows) -> dict[str, Vectors]:
        """Return what the network reads of a request and K >= 1 candidates."""
        tables, facts = self.tables, self.facts
        reading = read([context.history], tables.keys, tables.history)
        region = np.array([region_index(facts.regions, context.region)])
        hour = np.array([context.local_hour], np.float32)
        keys = np.asarray(tables.keys[rows])
        vectors = unit(np.asarray(tables.history[rows]))
        retrieval = np.asarray(tables.retrieval[rows])
        counts = self.totals.counts(context, rows, keys[:, 0])
        tasks = [TASKS.index(name) for name in facts.tasks]
        cross = [
            affinity_features(reading, rows[None], keys[None], vectors[None])[0],
            session_features(reading, keys[None])[0],
            interest_features(context.interests[None], retrieval[None])[0],
            counter_features(counts, facts.rates, tasks),
        ]
        user = [
            user_features(reading, hour, region, len(facts.regions)),
            habit_features(habits([context.history]), facts.rates, tasks),
        ]
        return {
            "user": np.concatenate(user, 1),
            "item_half": np.asarray(tables.halves[rows]),
            "cross": np.concatenate(cross, 1),
        }


def golden_predictions(ranker: Ranker, history: Vectors, retrieval: Vectors) -> Vectors:
    """Return what a user who never was is predicted to do with `GOLDEN_ITEMS` items or fewer.

    Args:
        ranker: asked. history: [N, H]. retrieval: [N, D] of its bundle.
    """
    rows = np.unique(np.linspace(0, len(history) - 1, GOLDEN_ITEMS).astype(np.int64))
    actions = np.resize([ACTION_CODES[name] for name in ("long_view", "play", "like")], len(rows))
    ages_s = (np.arange(len(rows)) * 600).astype(np.float32)
    behaviour = History(rows, actions, np.full(len(rows), 0.5, np.float32), ages_s)
    context = RankingContext(
        interests=retrieval[rows[:1]],
        history=behaviour,
        now_ms=ranker.facts.base_ms,
        local_hour=12.0,
        region=None,
        counters=ranker.base,
    )
    return ranker.predict(context, rows)


def verify_ranker(ranker: Ranker, history: Vectors, retrieval: Vectors, folder: Path) -> None:
    """Compare the ranker's golden predictions with those of ``ranker_golden.npy``.

    Raises:
        BundleError: they disagree, or it cannot be asked at all.
    """
    path = folder / RANKER_GOLDEN
    try:
        expected = np.load(path)
        found = golden_predictions(ranker, history, retrieval)
        agree = np.allclose(found, expected, rtol=0, atol=TOLERANCE, equal_nan=True)
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        raise BundleError(f"{folder}: {RANKER} cannot be asked: {error}") from error
    if not agree:
        raise BundleError(
            f"{folder}: {RANKER} and {RANKER_GOLDEN} disagree: one is of another bundle, or "
            "features are computed otherwise since it was trained; train the ranker anew"
        )


def region_index(regions: Sequence[str], region: str | None) -> int:
    """Place of a region among those that the model knows, -1 for another or none."""
    return regions.index(region) if region in regions else -1


def has_ranker(bundle: Bundle) -> bool:
    """Whether a feed bundle holds a ranker."""
    return (bundle.folder / RANKER).is_file()


def ranker_facts(path: Path) -> RankerFacts:
    """Read ``ranker.json``.

    Raises:
        BundleError: it is not there, a field is missing, unknown or out of its limit, or it was
            trained on other features than are computed here.
    """
    try:
        facts = RankerFacts.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BundleError(f"{path}: holds no facts of a ranker: {error}") from error
    if facts.features != FEATURES:
        raise BundleError(
            f"{path}: the ranker reads features of version {facts.features}, this code computes "
            f"version {FEATURES}; train it anew with training.train_ranker"
        )
    return facts


def check_networks(
    folder: Path, network: ort.InferenceSession, item_half: ort.InferenceSession, outputs: int
) -> int:
    """Compare both models with what they are given, and return W, the width of an item's half.

    Raises:
        BundleError: names the file, the input or output, and both types and shapes.
    """
    width = item_half.get_outputs()[0].shape[-1]
    check_signature(
        folder / RANKER_ITEM,
        item_half,
        {"item": Tensor(FLOAT, ("N", None))},
        {"item_half": Tensor(FLOAT, ("N", width))},
    )
    check_signature(
        folder / RANKER,
        network,
        {
            "user": Tensor(FLOAT, (1, None)),
            "item_half": Tensor(FLOAT, ("K", width)),
            "cross": Tensor(FLOAT, ("K", None)),
        },
        {"predictions": Tensor(FLOAT, ("K", outputs))},
    )
    return int(width)


def load_ranker(bundle: Bundle, history: Vectors, retrieval: Vectors, published: Rows) -> Ranker:
    """Load the ranker of a feed bundle.

    Args:
        bundle: of kind feed.
        history: [N, H]. retrieval: [N, D].
        published: [N] ms since 1970, 0 unknown.

    Raises:
        BundleError: a part is missing, unreadable or of other dimensions; names the file.
    """
    n = len(history)
    facts = ranker_facts(bundle.folder / RANKER_FACTS)
    network = load_session(bundle.folder / RANKER)
    item_half = load_session(bundle.folder / RANKER_ITEM)
    width = check_networks(bundle.folder, network, item_half, len(facts.tasks) + 1)
    keys = load_array(bundle, RANKER_KEYS, (n, len(KEYS)), "int32")
    base = load_array(bundle, RANKER_COUNTERS, (n, 1 + len(TASKS)), "float32")
    halves = load_array(bundle, RANKER_ITEMS, (n, width), "float32")
    return Ranker(
        facts=facts,
        tables=RankerTables(keys, halves, history, retrieval),
        base=ItemCounters(base[:, 0], np.ascontiguousarray(base[:, 1:]), published),
        network=network,
        item_half=item_half,
        totals=CreatorTotals(keys[:, 0]),
    )
