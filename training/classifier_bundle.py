"""A fitted text classifier into a sealed moderation bundle, with its model card."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.classifier import ClassifierRecipe
from configs.labels import load_labels
from embeddings.text_model import GOLDEN, GRAPH, KIND, LABELS, run
from models.bundle import DataFacts, Manifest, Provenance, load_session, seal, staged
from models.classifier import TextClassifier
from models.export import export
from models.text_features import FEATURE_BUCKETS, WORD_BUCKETS
from training.datasets.contrasts import contrasts
from training.datasets.moderation import LICENCES, LabelledContent
from training.picture_bundle import PicturePart
from training.text_fit import tokenised

INPUTS = ("features", "frequencies", "words")
GOLDEN_ROWS = 8  # each language
_FAILINGS = """\
- Scores were calibrated on the sources above. On other text they rank better than they measure:
  calibrate, and certify, on audits of your own traffic.
- What is written nowhere near the sources (product copy, comments under live rooms, other languages
  than Chinese and English) is extrapolation. `community/vulgar` and `community/clickbait` were
  learned from English text alone.
- Quotation, counter-speech and reclaimed words are where it is wrong most often; evasions by sound
  cost more recall than evasions by look. The suite that measures it by function and operator:
  `python -m tests.benchmarks.robustness --bundle FOLDER`.
- Of a window of 600 characters, word order is read in the first 160 words.
"""


@dataclass(frozen=True)
class TrainingFacts:
    """What is told of a training run.

    Attributes:
        recipe: what the model was trained by. provenance: of the manifest.
        evaluation: figures of the test rows. sources: the card's table of what it was trained on.
    """

    recipe: ClassifierRecipe
    provenance: Provenance
    evaluation: Mapping[str, Any]
    sources: str


def pack_classifier(
    model: TextClassifier,
    facts: TrainingFacts,
    out: Path,
    pictures: Callable[[Path], PicturePart] | None = None,
) -> tuple[Manifest, float]:
    """Export, calibrate, score golden texts, write the card, seal.

    Args:
        model: calibrated. facts: of its training.
        out: the bundle's folder.
        pictures: writes the picture part into a folder; None for a bundle that reads text only.

    Returns:
        The manifest, and the largest relative difference between torch and ONNX.

    Raises:
        ParityError: ONNX and torch disagree.
        BundleError: `out` exists.
    """
    recipe = facts.recipe
    golden = [text for name in ("zh", "en") for text in _examples(name, recipe.seed)]
    with staged(out) as folder:
        parity = written(model, golden, folder)
        scores = run(load_session(folder / GRAPH), golden)
        calibration = {
            label: {
                "wide": float(model.scale[0, k]),
                "deep": float(model.scale[1, k]),
                "shift": float(model.shift[k]),
            }
            for k, label in enumerate(recipe.labels)
        }
        described = [card(recipe, facts.provenance, facts.evaluation, facts.sources)]
        figures = {**facts.evaluation, "parity": parity}
        if pictures is not None:
            part = pictures(folder)
            described.append(part.card)
            figures |= {"pictures": part.figures, "parity": max(parity, part.parity)}
        for name, content in (
            (LABELS, recipe.labels),
            ("calibration.json", calibration),
            (GOLDEN, {"texts": golden, "scores": scores.tolist()}),
            ("evaluation.json", figures),
        ):
            (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
        (folder / "model_card.md").write_text("\n".join(described), "utf-8")
        return seal(folder, _draft(recipe, facts.provenance)), float(figures["parity"])


def written(model: TextClassifier, texts: list[str], folder: Path) -> float:
    """Write the ONNX graph; returns the parity with torch on the texts."""
    tokens = tokenised(texts)
    batches = [tokens.batch(range(first, len(texts))) for first in (0, len(texts) - 1)]
    inputs = [dict(zip(INPUTS, batch, strict=True)) for batch in batches]
    return export(
        model,
        inputs[0],
        ("probabilities",),
        folder / GRAPH,
        inputs[1:],
        dynamic={
            "features": ("batch", "features_length"),
            "frequencies": ("batch", "features_length"),
            "words": ("batch", "words_length"),
        },
    )


def data_facts(labelled: LabelledContent) -> DataFacts:
    """What the bundle says of its data; an event is one known label of one text."""
    digest = hashlib.sha256()
    for text in labelled.texts():
        digest.update(hashlib.sha256(text.encode()).digest())
    targets = labelled.targets()
    digest.update(np.ascontiguousarray(targets).tobytes())
    return DataFacts(
        dataset="+".join(dict.fromkeys(labelled.sources())),
        protocol="near-duplicate-clusters",
        users=0,
        items=labelled.table.num_rows,
        events=int((~np.isnan(targets)).sum()),
        window=None,
        fingerprint=digest.hexdigest()[:16],
    )


def sources_table(labelled: LabelledContent, split: NDArray[np.object_]) -> str:
    """Rows of each source by split, with its licence, in Markdown."""
    names = labelled.sources()
    lines = ["| source | licence | train | calibration | test |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(names):
        counts = [int((split[names == name] == part).sum()) for part in _PARTS]
        cells = [str(name), LICENCES[str(name)], *map(str, counts)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def card(
    recipe: ClassifierRecipe, provenance: Provenance, figures: Mapping[str, Any], sources: str
) -> str:
    """The model card: what was trained on what, how well it does, where it fails."""
    known = load_labels().labels
    unscored = ", ".join(name for name in known if name not in recipe.labels)
    rows = [
        f"| {name} | {found['auroc']:.3f} | {found['recall_at_1pct_fpr']:.2f} | {found['n']:.0f} |"
        for name, found in figures.items()
        if isinstance(found, Mapping)
    ]
    table = "\n".join(["| source/label | AUROC | recall at 1 % FPR | rows |", "|---|---|---|---|"])
    return (
        "# Text classifier of a moderation bundle\n\n"
        f"Scores {', '.join(recipe.labels)}. Not scored: {unscored}; of those, what rule packs "
        "cover is found by rules, the rest is not found at all.\n\n"
        f"Trained with seed {provenance.seed} by revision {provenance.code_revision}, "
        f"{recipe.fit.epochs} epoch(s), on:\n\n{sources}\n\n"
        "Sources are divided by near-duplicate cluster. `coldataset` marks offence to persons and "
        "to groups alike, so for Chinese `hate` and `harassment` are one and the same.\n\n"
        "On test rows that neither fit nor calibration saw:\n\n"
        + "\n".join([table, *rows])
        + f"\n\n## Where it fails\n\n{_FAILINGS}"
    )


_PARTS = ("train", "calibration", "test")


def _examples(language: str, seed: int) -> list[str]:
    return contrasts(language, GOLDEN_ROWS, seed).texts()


def _draft(recipe: ClassifierRecipe, provenance: Provenance) -> Manifest:
    return Manifest(
        kind=KIND,
        created_at=datetime.now(UTC),
        dimensions={
            "labels": len(recipe.labels),
            "features": FEATURE_BUCKETS,
            "words": WORD_BUCKETS,
        },
        metric=None,
        index=None,
        **provenance.model_dump(),
    )
