"""A small genuine moderation bundle: trained for a second on sentences by template."""

from pathlib import Path

import numpy as np

from configs.classifier import ClassifierFit, ClassifierRecipe
from configs.load import load
from models.bundle import Manifest
from tests.picture_bundles import write_drawn_pictures
from training.classifier_bundle import (
    TrainingFacts,
    data_facts,
    pack_classifier,
    sources_table,
)
from training.datasets.contrasts import contrasts
from training.datasets.moderation import joined
from training.provenance import provenance
from training.text_fit import calibrate, fit, logits_of, tokenised

CONFIG = Path(__file__).parents[1] / "configs/classifier.yaml"
TINY = ClassifierFit(
    epochs=2,
    batch=64,
    learning_rate=0.01,
    wide_inverse_l2=4,
    feature_dropout=0.0,
    word_dropout=0.0,
    width=8,
    filters=8,
)


def make_moderation_bundle(folder: Path, rows: int = 600, pictures: bool = False) -> Manifest:
    """Write a bundle into `folder`, which must not exist; it knows hate and harassment.

    With `pictures` it also has a picture part, which takes ten seconds once a process.
    """
    recipe = load(CONFIG, ClassifierRecipe, environ={}).model_copy(update={"fit": TINY})
    drawn = joined([contrasts(language, rows, seed=1) for language in ("zh", "en")])
    held = joined([contrasts(language, rows // 2, seed=2) for language in ("zh", "en")])
    model = fit(tokenised(drawn.texts()), drawn.targets(), recipe.fit, seed=3)
    calibrate(model, logits_of(model, tokenised(held.texts())), held.targets())
    origin = provenance(3, data_facts(drawn))
    table = sources_table(drawn, np.full(drawn.table.num_rows, "train", object))
    manifest, parity = pack_classifier(
        model,
        TrainingFacts(recipe, origin, {}, table),
        folder,
        write_drawn_pictures if pictures else None,
    )
    assert parity <= 1e-4
    return manifest
