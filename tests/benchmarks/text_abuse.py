"""Chinese abuse on the part of COLD that training never saw, beside character n-grams.

    python -m tests.benchmarks.text_abuse --bundle BUNDLE --data ../shared/data

The split is the recipe's own, by near-duplicate cluster; the baseline is trained on its train part.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from configs.classifier import ClassifierRecipe
from configs.load import load
from embeddings.text_model import load_text_model
from tests.benchmarks.robustness.__main__ import ABUSE
from training.classifier_metrics import calibration_error, label_figures, paired_gain
from training.datasets.moderation import coldataset, near_duplicate_clusters, split_by_cluster
from training.report import print_report
from training.text_baseline import ngram_scores

GAIN = 0.003
CONFIG = Path(__file__).parents[2] / "configs/classifier.yaml"


def main() -> None:
    """Train the baseline, score both, print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    recipe = load(CONFIG, ClassifierRecipe)
    posts = coldataset(arguments.data)
    texts, targets = posts.texts(), posts.targets()[:, 0]
    split = split_by_cluster(near_duplicate_clusters(texts), recipe.seed)
    train = [n for n, part in enumerate(split) if part == "train"]
    test = [n for n, part in enumerate(split) if part == "test"]
    unseen = [texts[n] for n in test]

    baseline = ngram_scores([texts[n] for n in train], targets[train], unseen)
    model = load_text_model(arguments.bundle)
    begin = time.process_time()
    every = model.scores(unseen)
    cpu_s = time.process_time() - begin
    by_label = {name: every[:, model.labels.index(name)] for name in ABUSE}
    scores = np.max(list(by_label.values()), 0)
    gain, low, high = paired_gain(targets[test], scores, baseline, recipe.seed)
    ours, theirs = label_figures(targets[test], scores), label_figures(targets[test], baseline)
    figures = {f"model_{name}": value for name, value in ours.items()}
    figures |= {"baseline_auroc": theirs["auroc"], "gain": gain, "gain_low": low, "gain_high": high}
    eces = {name: calibration_error(targets[test], found) for name, found in by_label.items()}
    figures |= {f"ece_{name}": value for name, value in eces.items()}
    figures["texts_per_cpu_s"] = len(unseen) / cpu_s
    bars = {
        "AUROC >= n-grams + .003": gain >= GAIN,
        "paired lower end > 0": low > 0,
        "ECE <= .03 of each label": max(eces.values()) <= 0.03,
        "texts per CPU second >= 400": figures["texts_per_cpu_s"] >= 400,
    }
    sys.exit(not print_report("text_abuse", figures=figures, bars=bars, seed=recipe.seed))


if __name__ == "__main__":
    main()
