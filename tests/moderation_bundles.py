"""A small genuine moderation bundle: trained for a second on sentences by template."""

from pathlib import Path

import numpy as np

from configs.classifier import ClassifierFit, ClassifierRecipe
from configs.load import load
from embeddings.text_encoder import load_text_encoder
from models.bundle import Manifest
from tests.picture_bundles import write_drawn_pictures
from tests.text_encoders import write_tiny_encoder
from training.classifier_bundle import (
    TrainingFacts,
    data_facts,
    pack_classifier,
    sources_table,
)
from training.datasets.contrasts import contrasts
from training.datasets.moderation import joined
from training.provenance import provenance
from training.text_fit import calibrate, evidence_of, fit, text_inputs

CONFIG = Path(__file__).parents[1] / "configs/classifier.yaml"
TINY = ClassifierFit(
    epochs=4,
    batch=64,
    learning_rate=0.01,
    weight_decay=0,
    contrast_weight=1,
    held_contrast_weight=1,
    wide_inverse_l2=4,
    hidden=32,
)


def make_moderation_bundle(folder: Path, rows: int = 600, pictures: bool = False) -> Manifest:
    """Write a bundle into `folder`, which must not exist; it knows hate and harassment.

    With `pictures` it also has a picture part, which takes ten seconds once a process.
    """
    recipe = load(CONFIG, ClassifierRecipe, environ={}).model_copy(update={"fit": TINY})
    drawn = joined([contrasts(language, rows, seed=1) for language in ("zh", "en")])
    held = joined([contrasts(language, rows // 2, seed=2) for language in ("zh", "en")])
    made_of = folder.with_name(f"{folder.name}-encoder")
    write_tiny_encoder(made_of, drawn.texts())
    encoder = load_text_encoder(made_of)
    by_template = np.ones(drawn.table.num_rows, bool)
    model = fit(text_inputs(drawn.texts(), encoder), drawn.targets(), by_template, TINY, seed=3)
    unseen = text_inputs(held.texts(), encoder)
    weights = np.ones_like(held.targets())
    calibrate(model, evidence_of(model, unseen), held.targets(), weights)
    origin = provenance(3, data_facts(drawn))
    table = sources_table(drawn, np.full(drawn.table.num_rows, "train", object))
    manifest, parity = pack_classifier(
        model,
        TrainingFacts(recipe, origin, {}, table, made_of),
        folder,
        {"pictures": write_drawn_pictures} if pictures else {},
    )
    assert parity <= 1e-4
    return manifest
