"""The picture part of a moderation bundle: encoder graphs, head, golden pictures, card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from configs.pictures import PictureRecipe
from embeddings.image import ImageEncoder, load_image_encoder
from embeddings.picture_model import GOLDEN, GRAPH, POLICIES, golden_pictures
from models.bundle import load_session
from models.export import export
from models.picture_classifier import PictureClassifier
from training.bundle_part import BundlePart
from training.datasets.pictures import LICENCE, POLICY_SET, labelled_pictures
from training.image_encoder import LICENCES, write_image_encoder
from training.picture_fit import fit_head, head_figures

GOLDEN_SEED = 0


def write_pictures(folder: Path, recipe: PictureRecipe, data: Path) -> BundlePart:
    """Encode the labelled pictures of a data folder, fit the head, write everything.

    Args:
        folder: of the bundle, not yet sealed. recipe: of the head. data: holds POLICY_SET.

    Raises:
        ParityError: ONNX and torch disagree.
        ValueError: a policy has too few pictures.
    """
    parity = write_image_encoder(folder)
    encoder = load_image_encoder(folder)
    labelled = labelled_pictures(data / POLICY_SET)
    head = fit_head(encoder.see(labelled.pictures), labelled.policies, recipe)
    figures = head_figures(head.held_out, labelled.policies, recipe)
    parity = max(parity, write_head(folder, head.model, recipe, encoder))
    return BundlePart(parity, figures, card(recipe, figures, len(labelled.pictures)))


def write_head(
    folder: Path, model: PictureClassifier, recipe: PictureRecipe, encoder: ImageEncoder
) -> float:
    """Write the head, its policies and its golden scores; returns the parity with torch."""
    vectors = encoder.encode(golden_pictures(GOLDEN_SEED))
    batches = [{"vectors": torch.from_numpy(vectors[first:])} for first in (0, len(vectors) - 1)]
    parity = export(model, batches[0], ("probabilities",), folder / GRAPH, batches[1:])
    [scores] = load_session(folder / GRAPH).run(["probabilities"], {"vectors": vectors})
    golden = {"seed": GOLDEN_SEED, "scores": np.asarray(scores).tolist()}
    policies = {name: recipe.policies[name] for name in (*recipe.fitted(), "explicit")}
    (folder / GOLDEN).write_text(json.dumps(golden), "utf-8")
    (folder / POLICIES).write_text(json.dumps(policies, indent=1), "utf-8")
    return parity


def card(recipe: PictureRecipe, figures: Mapping[str, Any], pictures: int) -> str:
    """What the model card says of the picture head."""
    rows = [
        f"| {name} | {recipe.policies[name]} | {figures[name]['auroc']:.3f} | "
        f"{figures[name]['recall_at_1pct_fpr']:.2f} | {figures[name]['ece']:.3f} |"
        for name in recipe.fitted()
    ]
    graphs = "".join(f"- `{name}`: {words}.\n" for name, words in LICENCES.items())
    return (
        "## Pictures\n\n"
        f"Logistic regression over EfficientNet vectors, fitted on {pictures} pictures of "
        f"{POLICY_SET} ({LICENCE}), {recipe.folds} folds of near-duplicate clusters:\n\n"
        "| policy | label | AUROC | recall at 1 % FPR | ECE |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\nThe classes stand in for real violations: single objects in the middle of catalogue "
        "pictures, clip art among them. Nothing here measures pictures of a feed. `explicit` is "
        "open_nsfw's answer as it is, uncalibrated; no labelled data judges it, so its label is "
        f"only observed.\n\n{graphs}"
    )
