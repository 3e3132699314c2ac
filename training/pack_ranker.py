"""A fitted ranker into a new version of the feed bundle whose towers it was trained on."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from embeddings.feed_model import FeedModel
from embeddings.ranker_model import (
    FILES,
    RANKER,
    RANKER_COUNTERS,
    RANKER_FACTS,
    RANKER_GOLDEN,
    RANKER_ITEM,
    RANKER_ITEMS,
    RANKER_KEYS,
    RankerFacts,
    golden_predictions,
    load_ranker,
)
from models.arrays import Vectors
from models.bundle import Bundle, Manifest, load_session, seal, staged
from models.export import export
from models.ranker import Calibration, ItemHalf, RankerNetwork, RankerScorer, RankerShape
from models.ranking_features import FEATURES, ItemCounters, Rates
from training.ranking_arrays import Catalogue

CHECKED = (1, 500)  # candidates, beside those that are traced
BATCH = 8_192


@dataclass(frozen=True)
class Fitted:
    """A network with what turns its logits into probabilities.

    Attributes:
        calibration: of its logits. rates: what was usual. tasks: their names.
        regions: known. end_ms: of what was learned from. seed: of the fit.
    """

    network: RankerNetwork
    calibration: Calibration
    rates: Rates
    tasks: tuple[str, ...]
    regions: tuple[str, ...]
    end_ms: int
    seed: int


def pack_ranker(
    fitted: Fitted,
    catalogue: Catalogue,
    base: ItemCounters,
    model: FeedModel,
    source: Path,
    out: Path,
) -> tuple[Manifest, float]:
    """Copy the bundle in `source` to `out` with a ranker in place of any that it had.

    Args:
        fitted: the ranker.
        catalogue: of the N items. base: their counters at `fitted.end_ms`.
        model: of the bundle in `source`.
        source: folder with the towers. out: folder of the new version.

    Returns:
        The manifest, and the largest relative difference between torch and ONNX.

    Raises:
        ParityError: ONNX and torch disagree.
        BundleError: `out` exists.
    """
    with staged(out) as folder:
        for name in model.manifest.files:
            if name not in FILES:
                shutil.copyfile(source / name, folder / name)
        parity = export_ranker(fitted, folder)
        np.save(folder / RANKER_ITEMS, item_halves(folder / RANKER_ITEM, catalogue.block))
        np.save(folder / RANKER_KEYS, catalogue.keys)
        counted = np.concatenate([base.impressions[:, None], base.reactions], 1)
        np.save(folder / RANKER_COUNTERS, counted.astype(np.float32))
        facts = RankerFacts(
            tasks=fitted.tasks,
            regions=fitted.regions,
            overall=tuple(fitted.rates.overall.tolist()),
            impressions=fitted.rates.impressions,
            strength=fitted.rates.strength,
            user_strength=fitted.rates.user_strength,
            base_ms=fitted.end_ms,
            features=FEATURES,
            seed=fitted.seed,
        )
        (folder / RANKER_FACTS).write_text(facts.model_dump_json(indent=1), encoding="utf-8")
        draft = model.manifest.model_copy(
            update={
                "parent": model.version,
                "version": "draft",
                "created_at": datetime.now(UTC).replace(microsecond=0),
                "files": {},
            }
        )
        vectors = model.history_table, model.retrieval_vectors
        ranker = load_ranker(Bundle(folder, draft), *vectors, base.published_at_ms)
        np.save(folder / RANKER_GOLDEN, golden_predictions(ranker, *vectors))
        return seal(folder, draft), parity


def export_ranker(fitted: Fitted, folder: Path) -> float:
    """Write both ONNX models; return the larger difference from torch."""
    shape = fitted.network.shape
    scorer = RankerScorer(fitted.network, fitted.calibration).eval()
    request, *requests = (request_inputs(shape, k) for k in (3, *CHECKED))
    item, *items = ({"item": torch.randn(k, shape.item)} for k in (3, *CHECKED))
    half = ItemHalf(fitted.network).eval()
    return max(
        export(scorer, request, ["predictions"], folder / RANKER, requests, dynamic={"user": ()}),
        export(half, item, ["item_half"], folder / RANKER_ITEM, items),
    )


def request_inputs(shape: RankerShape, candidates: int) -> dict[str, Tensor]:
    """Random inputs of one request."""
    generator = torch.Generator().manual_seed(candidates)

    def drawn(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator)

    return {
        "user": drawn(1, shape.user),
        "item_half": drawn(candidates, shape.seeds * shape.half),
        "cross": drawn(candidates, shape.cross),
    }


def item_halves(path: Path, block: Vectors) -> Vectors:
    """[N, W] item part of the first layer, by the exported model."""
    session = load_session(path)
    parts = np.array_split(block, max(len(block) // BATCH, 1))
    return np.concatenate([session.run(["item_half"], {"item": part})[0] for part in parts])
