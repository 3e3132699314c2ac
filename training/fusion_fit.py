"""The fusion of a moderation bundle: fitted on composed content, measured beside the likeliest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embeddings.fusion_model import GRAPH, INPUTS
from models.arrays import Vectors
from models.classifier import masked_bce
from models.export import export
from models.fusion import Fusion
from models.modalities import MODALITIES
from training.classifier_metrics import calibration_error, label_figures, paired_gain
from training.datasets.composed_content import Contents, Posts, ReadPictures

TextScorer = Callable[[Sequence[str]], Vectors]
_RIDGE = 1e-4  # holds what few contents tell of near where it began
_STEPS = 200
_TEXT, _OCR = MODALITIES.index("text"), MODALITIES.index("ocr")


@dataclass(frozen=True)
class Evidence:
    """N contents as the graph reads them: scores and known [N, M, K]; targets [N, K]."""

    scores: Vectors
    known: Vectors
    targets: Vectors


def evidence_of(
    posts: Posts, pictures: ReadPictures, contents: Contents, score: TextScorer
) -> Evidence:
    """What the text model says of the captions and of what was read in the pictures."""
    captions, read = score(posts.texts), score(pictures.texts)
    shape = (len(contents.pictures), len(MODALITIES), captions.shape[1])
    scores, known = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    captioned = contents.captions >= 0
    scores[captioned, _TEXT] = captions[contents.captions[captioned]]
    known[captioned, _TEXT] = 1
    scores[:, _OCR], known[:, _OCR] = read[contents.pictures], 1
    return Evidence(scores, known, contents.targets)


def fit_fusion(evidence: Evidence) -> Fusion:
    """The likeliest fusion; a label of which only one value is known stays as it began."""
    model = Fusion(evidence.targets.shape[1])
    began = torch.cat([value.detach().clone() for value in model.parameters()])
    scores, known = torch.from_numpy(evidence.scores), torch.from_numpy(evidence.known)
    targets = torch.from_numpy(_told(evidence.targets))
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=_STEPS, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        moved = (torch.cat(list(model.parameters())) - began).square().sum()
        total = masked_bce(model.logits(scores, known), targets) + _RIDGE * moved
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return model.eval()


def fusion_figures(
    model: Fusion, evidence: Evidence, labels: Sequence[str], seed: int
) -> dict[str, Any]:
    """Of each label known both ways: AUROC and ECE, fused and of the likeliest modality."""
    with torch.no_grad():
        fused: Vectors = model(*map(torch.from_numpy, (evidence.scores, evidence.known))).numpy()
    likeliest = (evidence.scores * evidence.known).max(1)
    targets, figures = _told(evidence.targets), dict[str, Any]()
    for k, label in enumerate(labels):
        rows = ~np.isnan(targets[:, k])
        if rows.any():
            told, before, after = targets[rows, k], likeliest[rows, k], fused[rows, k]
            gain = paired_gain(told, after, before, seed)
            figures[label] = {
                "auroc": label_figures(told, after)["auroc"],
                "auroc_of_likeliest": label_figures(told, before)["auroc"],
                "gain": gain,
                "ece": calibration_error(told, after),
                "ece_of_likeliest": calibration_error(told, before),
                "n": float(rows.sum()),
            }
    return figures


def widened(model: Fusion, labels: int) -> Fusion:
    """The same fusion for more labels, which come behind and are not fitted."""
    wide = Fusion(labels)
    with torch.no_grad():
        for of, to in zip(model.parameters(), wide.parameters(), strict=True):
            to[: len(of)] = of
    return wide.eval()


def write_fusion(model: Fusion, folder: Path) -> float:
    """Write the graph into a bundle's folder; returns its parity with torch."""
    draw = torch.Generator().manual_seed(0)
    shape = (len(MODALITIES), len(model.scale))
    given = [
        (torch.rand(rows, *shape, generator=draw), (torch.rand(rows, *shape, generator=draw) < 0.6))
        for rows in (2, 5)
    ]
    batches = [dict(zip(INPUTS, (scores, known.float()), strict=True)) for scores, known in given]
    return export(model, batches[0], ("probabilities",), folder / GRAPH, batches[1:])


def _told(targets: Vectors) -> Vectors:
    """Targets without the labels of which only one value is known."""
    both = (targets == 1).any(0) & (targets == 0).any(0)
    return np.where(both, targets, np.nan).astype(np.float32)
