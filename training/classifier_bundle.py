"""A fitted text classifier into a sealed moderation bundle, with its model card."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.classifier import ClassifierRecipe
from configs.labels import load_labels
from embeddings.text_encoder import FILES, EncoderFacts, load_text_encoder
from embeddings.text_model import GOLDEN, GRAPH, KIND, LABELS, run
from models.bundle import DataFacts, Manifest, Provenance, load_session, seal, staged
from models.classifier import TextClassifier
from models.export import export
from models.text_features import FEATURE_BUCKETS
from training.bundle_part import PartWriter
from training.content_value import CONTENT_VALUE, value_words
from training.datasets.contrasts import contrasts
from training.datasets.moderation import LICENCES, LabelledContent
from training.functions import FUNCTIONS, function_words
from training.text_fit import TextInputs, text_inputs

INPUTS = ("features", "frequencies", "encodings")
_EVIDENCE = ("wide", "encoded", "wide where plain", "encoded where plain", "plain", "shift")
GOLDEN_ROWS = 8  # each language
_NONE: Mapping[str, PartWriter] = {}
_FAILINGS = """\
- Scores were calibrated on the sources above. On other text they rank better than they measure; on
  a topic that training lacked both suffer. Calibrate, and certify, on audits of your own traffic.
- What is written nowhere near the sources (product copy, comments under live rooms, other languages
  than Chinese and English) is extrapolation. `community/vulgar` and `community/clickbait` were
  learned from English text alone.
- Quotation, counter-speech and reclaimed words are where it is wrong most often; evasions by sound
  cost more recall than evasions by look. The suite that measures it by function and operator:
  `python -m tests.benchmarks.robustness --bundle FOLDER`.
- Beside posts like the sources' it leans on what the encoder understands: irony, allusion, and
  Chinese characters that the encoder's vocabulary lacks pass it by.
- It was taught by template that a sentence may name a group without attacking it. Groups that no
  template names are judged by their likeness to those that are.
"""


@dataclass(frozen=True)
class TrainingFacts:
    """What is told of a training run.

    Attributes:
        recipe: what the model was trained by. provenance: of the manifest.
        evaluation: figures of the test rows. sources: the card's table of what it was trained on.
        encoder: folder of the encoder that the model reads.
    """

    recipe: ClassifierRecipe
    provenance: Provenance
    evaluation: Mapping[str, Any]
    sources: str
    encoder: Path


def pack_classifier(
    model: TextClassifier,
    facts: TrainingFacts,
    out: Path,
    parts: Mapping[str, PartWriter] = _NONE,
) -> tuple[Manifest, float]:
    """Export, score golden texts, write the card, seal.

    Args:
        model: calibrated. facts: of its training.
        out: the bundle's folder.
        parts: write what stands beside the text model, in order, by name; none reads text only.

    Returns:
        The manifest, and the largest relative difference between torch and ONNX.

    Raises:
        ParityError: ONNX and torch disagree.
        BundleError: `out` exists.
    """
    recipe = facts.recipe
    golden = [text for name in ("zh", "en") for text in _examples(name, recipe.seed)]
    with staged(out) as folder:
        for name in FILES:
            shutil.copyfile(facts.encoder / name, folder / name)
        encoder = load_text_encoder(folder)
        parity = written(model, text_inputs(golden, encoder), folder)
        scores, _ = run(load_session(folder / GRAPH), encoder, golden)
        calibration = {
            label: dict(zip(_EVIDENCE, (*model.scale[:, k], model.shift[k]), strict=True))
            for k, label in enumerate(recipe.labels)
        }
        described = [card(facts, encoder.facts)]
        figures = {**facts.evaluation, "parity": parity}
        for name, write in parts.items():
            part = write(folder)
            described.append(part.card)
            figures |= {name: part.figures, "parity": max(figures["parity"], part.parity)}
        for name, content in (
            (LABELS, recipe.labels),
            ("calibration.json", calibration),
            (GOLDEN, {"texts": golden, "scores": scores.tolist()}),
            ("evaluation.json", figures),
        ):
            text = json.dumps(content, ensure_ascii=False, indent=1, default=float)
            (folder / name).write_text(text, "utf-8")
        (folder / "model_card.md").write_text("\n".join(described), "utf-8")
        draft = _draft(recipe, facts.provenance, encoder.facts.width)
        return seal(folder, draft), float(figures["parity"])


def written(model: TextClassifier, inputs: TextInputs, folder: Path) -> float:
    """Write the ONNX graph; returns the parity with torch on the texts."""
    batches = [inputs.batch(range(first, len(inputs))) for first in (0, len(inputs) - 1)]
    given = [dict(zip(INPUTS, batch, strict=True)) for batch in batches]
    return export(
        model,
        given[0],
        ("probabilities", "content_values"),
        folder / GRAPH,
        given[1:],
        dynamic={
            "features": ("batch", "features_length"),
            "frequencies": ("batch", "features_length"),
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
        cells = [str(name), LICENCES.get(str(name), "your own"), *map(str, counts)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def card(facts: TrainingFacts, encoder: EncoderFacts) -> str:
    """The model card: what was trained on what, how well it does, where it fails."""
    recipe, provenance, figures = facts.recipe, facts.provenance, facts.evaluation
    known = load_labels().labels
    unscored = ", ".join(name for name in known if name not in recipe.labels)
    rows = [
        f"| {name} | {found['auroc']:.3f} | {found['recall_at_1pct_fpr']:.2f} | {found['n']:.0f} |"
        for name, found in figures.items()
        if isinstance(found, Mapping) and "auroc" in found
    ]
    table = "\n".join(["| source/label | AUROC | recall at 1 % FPR | rows |", "|---|---|---|---|"])
    return (
        "# Text classifier of a moderation bundle\n\n"
        f"Scores {', '.join(recipe.labels)}. Not scored: {unscored}; of those, what rule packs "
        "cover is found by rules, the rest is not found at all.\n\n"
        f"Trained with seed {provenance.seed} by revision {provenance.code_revision}, "
        f"{recipe.fit.epochs} epoch(s), on top of {encoder.name} ({encoder.licence}, as it was "
        f"published, not trained further), on:\n\n{facts.sources}\n\n"
        "Sources are divided by near-duplicate cluster. `coldataset` marks offence to persons and "
        "to groups alike, so for Chinese `hate` and `harassment` are one and the same.\n\n"
        "On test rows that neither fit nor calibration saw:\n\n"
        + "\n".join([table, *rows])
        + value_words(figures.get(CONTENT_VALUE))
        + f"\n\n## Where it fails\n\n{_FAILINGS}"
        + function_words(figures.get(FUNCTIONS, {}))
    )


_PARTS = ("train", "calibration", "test")


def _examples(language: str, seed: int) -> list[str]:
    return contrasts(language, GOLDEN_ROWS, seed).texts()


def _draft(recipe: ClassifierRecipe, provenance: Provenance, encodings: int) -> Manifest:
    return Manifest(
        kind=KIND,
        created_at=datetime.now(UTC),
        dimensions={
            "labels": len(recipe.labels),
            "features": FEATURE_BUCKETS,
            "encodings": encodings,
        },
        metric=None,
        index=None,
        **provenance.model_dump(),
    )
