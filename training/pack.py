"""Fitted towers into a sealed feed bundle."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from embeddings.build import complete_feed_bundle
from models.bundle import Manifest, Provenance, staged
from models.export import export
from models.features import ACTIONS, UNKNOWN_WATCH_RATIO, HistoryBatch
from training.fit import Towers

PARITY_BATCHES = (1, 5)  # beside the one that is traced


def pack(
    towers: Towers, items: pa.Table, histories: HistoryBatch, provenance: Provenance, out: Path
) -> tuple[Manifest, float]:
    """Export both towers, embed the catalogue, build the index, ask golden queries, seal.

    Args:
        towers: in evaluation mode.
        items: N records of the Item contract, in row order.
        histories: [B, T] of some users, for tuning the index.
        provenance: of the manifest. out: the bundle's folder.

    Returns:
        The manifest, and the largest relative difference between torch and ONNX.

    Raises:
        ParityError: ONNX and torch disagree.
        BundleError: `out` exists, or the parts disagree.
    """
    history_length = histories.rows.shape[1]
    with staged(out) as folder:
        user, *user_checks = (user_inputs(towers, history_length, b) for b in (3, *PARITY_BATCHES))
        item, *item_checks = (item_inputs(towers, b) for b in (3, *PARITY_BATCHES))
        outputs = ["history_vectors", "retrieval_vectors"]
        parity = max(
            export(towers.user, user, ["interests"], folder / "user_tower.onnx", user_checks),
            export(towers.item, item, outputs, folder / "item_tower.onnx", item_checks),
        )
        prior = towers.item.prior[1:].exp().numpy()
        manifest = complete_feed_bundle(
            folder,
            items,
            popularity=prior * len(prior),
            histories=histories,
            provenance=provenance,
            evaluation={"parity": parity},
        )
    return manifest, parity


def user_inputs(towers: Towers, history_length: int, users: int) -> dict[str, Tensor]:
    """Real items in random histories, the first of them empty where there are several."""
    generator = torch.Generator().manual_seed(users)
    shape = (users, history_length)
    rows = torch.randint(0, len(towers.features), shape, generator=generator)
    lengths = torch.randint(0, history_length + 1, (users, 1), generator=generator)
    lengths[: users - 1 and 1] = 0
    mask = torch.arange(history_length)[None] < lengths
    tokens, numeric = (
        torch.from_numpy(a) for a in (towers.features.tokens, towers.features.numeric)
    )
    with torch.no_grad():
        flat = rows.flatten()
        vectors = towers.item(flat + 1, tokens[flat], numeric[flat])[0].reshape(*shape, -1)
    ratio = torch.rand(shape, generator=generator)
    return {
        "history_vectors": vectors * mask[..., None],
        "actions": torch.randint(1, len(ACTIONS), shape, generator=generator) * mask,
        "watch_ratio": torch.where(ratio < 0.2, UNKNOWN_WATCH_RATIO, 2 * ratio),
        "age_s": torch.rand(shape, generator=generator).cumsum(1) * 1e4,
        "mask": mask,
    }


def item_inputs(towers: Towers, items: int) -> dict[str, Tensor]:
    """Random items, the first of them by content alone."""
    rows = np.random.default_rng(items).integers(0, len(towers.features), items)
    known = torch.from_numpy(rows) + 1
    known[0] = 0
    return {
        "item_rows": known,
        "tokens": torch.from_numpy(towers.features.tokens[rows]),
        "numeric": torch.from_numpy(towers.features.numeric[rows]),
    }
