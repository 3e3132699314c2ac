"""The fusion part of a moderation bundle: composed content, graph, figures, card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.classifier import FusionFit
from embeddings.fusion_model import fused_labels
from embeddings.picture_model import picture_labels
from models.arrays import Pixels
from training.bundle_part import BundlePart
from training.datasets.composed_content import Posts, contents, read_pictures
from training.datasets.moderation import LabelledContent
from training.datasets.picture_claims import Part
from training.datasets.pictures import POLICY_SET, labelled_pictures
from training.fusion_fit import (
    Evidence,
    TextScorer,
    evidence_of,
    fit_fusion,
    fusion_figures,
    widened,
    write_fusion,
)


@dataclass(frozen=True)
class FusionSources:
    """What the fusion is made of.

    Attributes:
        fitted: posts that the text model was calibrated on. held_out: posts that it never saw.
        data: folder of the pictures that words are drawn on.
        labels: of the text model, which `score` answers for.
    """

    fitted: Posts
    held_out: Posts
    data: Path
    labels: tuple[str, ...]
    score: TextScorer


def collected_posts(
    labelled: LabelledContent, split: NDArray[np.object_], part: str, made: Sequence[str]
) -> Posts:
    """Texts of one part of a split, without the sources that are made by template."""
    rows = np.flatnonzero((split == part) & ~np.isin(labelled.sources().astype(str), made))
    texts = labelled.texts()
    return Posts(tuple(texts[row] for row in rows), labelled.targets()[rows])


def write_fusion_part(
    folder: Path, sources: FusionSources, settings: FusionFit, seed: int
) -> BundlePart:
    """Compose, read, fit, measure on what is held out, write the graph.

    Args:
        folder: of the bundle, not yet sealed; its picture part, if any, is written.
        sources: of content. settings: of the recipe. seed: of the draws.

    Raises:
        ParityError: ONNX and torch disagree.
    """
    pictures = labelled_pictures(sources.data / POLICY_SET)
    grounds = [
        pixels
        for pixels, policy in zip(pictures.pictures, pictures.policies, strict=True)
        if not policy
    ]
    fit = _composed(sources, sources.fitted, grounds, ("tuned", settings.pictures), settings, seed)
    held: tuple[Part, int] = ("held_out", settings.held_out_pictures)
    unseen = _composed(sources, sources.held_out, grounds, held, settings, seed)
    model = fit_fusion(fit)
    figures = fusion_figures(model, unseen, sources.labels, seed)
    every = fused_labels(sources.labels, picture_labels(folder))
    parity = write_fusion(widened(model, len(every)), folder)
    drawn = settings.pictures, settings.held_out_pictures
    return BundlePart(parity, figures, card(figures, settings.contents, drawn))


def card(figures: Mapping[str, Any], contents: int, drawn: tuple[int, int]) -> str:
    """What the model card says of the fusion."""
    rows = [
        f"| {label} | {found['auroc']:.3f} | {found['auroc_of_likeliest']:.3f} | "
        f"{found['gain'][0]:+.4f} [{found['gain'][1]:+.4f}, {found['gain'][2]:+.4f}] | "
        f"{found['ece']:.3f} | {found['ece_of_likeliest']:.3f} |"
        for label, found in figures.items()
    ]
    return (
        "## Fusion\n\n"
        "A label's scores by text, text in pictures and pictures are joined by gates, fitted on "
        f"{contents} contents put together from captions and {drawn[0]} pictures "
        "with posts drawn on them, as OCR read them; a text or a picture alone keeps its score. "
        f"On {drawn[1]} pictures in fonts, layouts and ways of hiding that the "
        "fit never saw, with posts that no fit saw, beside taking the likeliest modality:\n\n"
        "| label | AUROC | of the likeliest | gain, 95 % | ECE | of the likeliest |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "Intervals are over contents, which share pictures, so that they are too narrow. Labels "
        "that are not in the table join as they began: the likeliest modality, nearly. No labelled "
        "content breaks a rule by text and picture together only; such content is not found.\n"
    )


def _composed(
    sources: FusionSources,
    posts: Posts,
    grounds: Sequence[Pixels],
    drawn: tuple[Part, int],
    settings: FusionFit,
    seed: int,
) -> Evidence:
    part, count = drawn
    pictures = read_pictures(posts, grounds, part, count, seed)
    joined = contents(posts, pictures, settings.contents, seed)
    return evidence_of(posts, pictures, joined, sources.score)
