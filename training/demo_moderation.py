"""A moderation bundle for the demo: text alone, from sentences by template, in half a minute.

``python -m training.demo_moderation --out BUNDLE`` needs no data. Its model is no measure of
``training.train_classifier``'s; rules, banks, QR codes and text in pictures work as they do there.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from configs.classifier import ClassifierRecipe
from configs.load import load
from embeddings.text_encoder import load_text_encoder
from training.classifier_bundle import TrainingFacts, data_facts, pack_classifier, sources_table
from training.datasets.contrasts import contrasts
from training.datasets.moderation import joined
from training.provenance import provenance
from training.report import print_report
from training.text_encoder import write_universal_encoder
from training.text_fit import calibrate, evidence_of, fit, text_inputs

CONFIG = Path(__file__).parents[1] / "configs/classifier.yaml"
ROWS = 1_000  # of each language
LANGUAGES = ("zh", "en")


def main() -> None:
    """Draw, fit, calibrate on other sentences, write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out
    recipe = load(CONFIG, ClassifierRecipe, environ={})
    drawn = joined([contrasts(language, ROWS, recipe.seed) for language in LANGUAGES])
    held = joined([contrasts(language, ROWS // 2, recipe.seed + 1) for language in LANGUAGES])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_universal_encoder(folder)
        encoder = load_text_encoder(folder)
        by_template = np.ones(drawn.table.num_rows, bool)
        inputs = text_inputs(drawn.texts(), encoder)
        model = fit(inputs, drawn.targets(), by_template, recipe.fit, recipe.seed)
        evidence = evidence_of(model, text_inputs(held.texts(), encoder))
        calibrate(model, evidence, held.targets(), np.ones_like(held.targets()))
        table = sources_table(drawn, np.full(drawn.table.num_rows, "train", object))
        origin = provenance(recipe.seed, data_facts(drawn))
        facts = TrainingFacts(recipe, origin, {}, table, folder)
        manifest, parity = pack_classifier(model, facts, out)
    figures = {"version": manifest.version, "parity": parity, "sentences": drawn.table.num_rows}
    print_report("demo_moderation", figures=figures, seed=recipe.seed)


if __name__ == "__main__":
    main()
