"""Train the moderation classifier: its text branch and the head that looks at pictures.

    python -m training.train_classifier --config configs/classifier.yaml \\
        --data ../shared/data --out BUNDLE

``--labelled FILE ...`` adds texts of your own, labelled in Parquet. Sources are joined with their
unknown labels left unknown, divided by near-duplicate cluster, written a second time with evasions
(training's own operators only), encoded, fitted, calibrated on rows and templates that the fit has
not seen, and sealed as a moderation bundle that ``training.publish`` takes, together with the
picture part (``training.picture_bundle``).
"""

import argparse
import random
import re
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.classifier import ClassifierData, ClassifierRecipe
from configs.load import load
from configs.pictures import PictureRecipe
from embeddings.text_encoder import load_text_encoder
from models.arrays import Vectors
from models.classifier import TextClassifier
from models.text_features import text_tokens
from training.bundle_part import PartWriter
from training.classifier_bundle import (
    TrainingFacts,
    data_facts,
    pack_classifier,
    sources_table,
)
from training.classifier_metrics import calibration_error, label_figures
from training.content_value import CONTENT_VALUE, fit_value, voted_reviews
from training.datasets import moderation
from training.datasets.contrasts import contrasts
from training.datasets.moderation import LabelledContent
from training.evasion import CHINESE, ENGLISH
from training.functions import FUNCTIONS, function_figures
from training.fusion_bundle import FusionSources, collected_posts, write_fusion_part
from training.picture_bundle import write_pictures
from training.provenance import provenance
from training.report import print_report
from training.text_encoder import write_universal_encoder
from training.text_fit import Encoder, calibrate, evidence_of, fit, scores_of, text_inputs

FITTED_CONTRASTS = ("contrasts_zh", "contrasts_en")
HELD_CONTRASTS = ("held_contrasts_zh", "held_contrasts_en")
ABUSE_SETS = ("coldataset", "davidson", *FITTED_CONTRASTS)
PICTURES = Path(__file__).parents[1] / "configs/pictures.yaml"
_WORDS = re.compile(r"[\u4e00-\u9fff]{2,4}|[A-Za-z]{3,}")


def main() -> None:
    """Run the recipe and print its figures."""
    line = parser()
    arguments = line.parse_args()
    recipe = load(arguments.config, ClassifierRecipe)

    ours = sources(arguments.data, recipe.data, recipe.seed)
    try:
        labelled = with_own(ours, arguments.labelled, recipe.labels)
    except (OSError, ValueError) as error:
        line.error(str(error))
    split = divided(labelled, recipe.seed)
    with tempfile.TemporaryDirectory() as made:
        folder = encoder_folder(recipe, Path(made))
        encoder = load_text_encoder(folder)
        model = trained(labelled, split, encoder, recipe)
        figures = evaluated(model, labelled, encoder, np.flatnonzero(split == "test"))
        reviews, values = voted_reviews(arguments.data, recipe.data.voted_rows, recipe.seed)
        figures[CONTENT_VALUE] = fit_value(model, encoder, reviews, values, recipe.seed)
        figures[FUNCTIONS] = function_figures(abuse_scorer(model, recipe.labels, encoder))
        origin = provenance(recipe.seed, data_facts(labelled))
        facts = TrainingFacts(recipe, origin, figures, sources_table(labelled, split), folder)
        sees = load(arguments.pictures, PictureRecipe)
        fused = fusion_sources(model, labelled, split, encoder, arguments.data)
        parts: dict[str, PartWriter] = {
            "pictures": partial(write_pictures, recipe=sees, data=arguments.data),
            "fusion": partial(
                write_fusion_part, sources=fused, settings=recipe.fusion, seed=recipe.seed
            ),
        }
        manifest, parity = pack_classifier(model, facts, arguments.out, parts)
    figures |= {"parity": parity, "version": manifest.version}
    print_report("train_classifier", figures=figures, seed=recipe.seed)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser(description=__doc__)
    line.add_argument("--config", type=Path, required=True)
    line.add_argument("--data", type=Path, required=True)
    line.add_argument("--out", type=Path, required=True)
    line.add_argument("--labelled", type=Path, nargs="+", default=[], help="own texts, Parquet")
    line.add_argument("--pictures", type=Path, default=PICTURES, help="recipe of their head")
    return line


def trained(
    labelled: LabelledContent,
    split: NDArray[np.object_],
    encoder: Encoder,
    recipe: ClassifierRecipe,
) -> TextClassifier:
    """The classifier, fitted on the training rows and their evasions and calibrated on others."""
    texts, targets = labelled.texts(), labelled.targets()
    train = np.flatnonzero(split == "train")
    copied, evaded = evasions(texts, train[_of(labelled, train, ABUSE_SETS)], recipe)
    rows = np.concatenate([train, copied])
    inputs = text_inputs([*(texts[row] for row in train), *evaded], encoder)
    by_template = _of(labelled, rows, FITTED_CONTRASTS)
    model = fit(inputs, targets[rows], by_template, recipe.fit, recipe.seed)

    held = np.flatnonzero(split == "calibration")
    unseen = text_inputs([texts[row] for row in held], encoder)
    weights = even_odds(targets[held], labelled.sources()[held])
    weights[_of(labelled, held, HELD_CONTRASTS)] *= recipe.fit.held_contrast_weight
    calibrate(model, evidence_of(model, unseen), targets[held], weights)
    return model


def abuse_scorer(
    model: TextClassifier, labels: tuple[str, ...], encoder: Encoder
) -> Callable[[Sequence[str]], Vectors]:
    """Texts to [N] scores of the group abuse: the larger of hate and harassment."""
    columns = [labels.index(name) for name in ("hate", "harassment") if name in labels]

    def score(texts: Sequence[str]) -> Vectors:
        return np.asarray(
            scores_of(model, text_inputs(texts, encoder))[:, columns].max(1, initial=0)
        )

    return score


def fusion_sources(
    model: TextClassifier,
    labelled: LabelledContent,
    split: NDArray[np.object_],
    encoder: Encoder,
    data: Path,
) -> FusionSources:
    """What the fusion of the classifier with what is read in pictures is made of."""

    def score(texts: Sequence[str]) -> Vectors:
        return scores_of(model, text_inputs(texts, encoder))

    made = (*FITTED_CONTRASTS, *HELD_CONTRASTS)
    fitted, held_out = (
        collected_posts(labelled, split, part, made) for part in ("calibration", "test")
    )
    return FusionSources(fitted, held_out, data, labelled.labels, score)


def encoder_folder(recipe: ClassifierRecipe, made: Path) -> Path:
    """The recipe's encoder; where it names none, the packaged one, written into `made`."""
    if recipe.encoder is None:
        write_universal_encoder(made)
    return recipe.encoder or made


def sources(data: Path, settings: ClassifierData, seed: int) -> LabelledContent:
    """All training content in one table."""
    rng = np.random.default_rng(seed)
    headlines = moderation.clickbait(data)
    some = rng.permutation(headlines.table.num_rows)[: settings.headline_rows]
    return moderation.joined(
        [
            moderation.coldataset(data),
            moderation.davidson(data),
            LabelledContent(headlines.table.take(some), headlines.labels),
            moderation.clothing_reviews(data, settings.review_rows),
            *(
                contrasts(language, settings.contrast_rows, seed, "fit")
                for language in ("zh", "en")
            ),
            *(
                contrasts(
                    language,
                    settings.held_contrast_rows,
                    seed,
                    "calibration",
                    f"held_contrasts_{language}",
                )
                for language in ("zh", "en")
            ),
        ]
    )


def with_own(
    ours: LabelledContent, files: Sequence[Path], labels: tuple[str, ...]
) -> LabelledContent:
    """Content of our sources and of somebody's own files, with the recipe's labels.

    Raises:
        ValueError: a file is not as it must be, or labels and recipe do not agree.
    """
    own = [moderation.own_texts(path) for path in files]
    return moderation.of_labels(moderation.joined([ours, *own]), labels)


def divided(labelled: LabelledContent, seed: int) -> NDArray[np.object_]:
    """[N] split names; near-duplicates stay together, each source by itself.

    Sentences made by template are tested on nowhere: they say nothing of real text. Some templates
    are for calibration alone.
    """
    split = np.empty(labelled.table.num_rows, object)
    texts, names = np.array(labelled.texts(), object), labelled.sources()
    for name in dict.fromkeys(names):
        rows = np.flatnonzero(names == name)
        if name in (*FITTED_CONTRASTS, *HELD_CONTRASTS):
            split[rows] = "train" if name in FITTED_CONTRASTS else "calibration"
            continue
        clusters = moderation.near_duplicate_clusters(list(texts[rows]))
        split[rows] = moderation.split_by_cluster(clusters, seed)
    return split


def _of(
    labelled: LabelledContent, rows: NDArray[np.int64], names: tuple[str, ...]
) -> NDArray[np.bool_]:
    return np.isin(labelled.sources()[rows].astype(str), names)


def evasions(
    texts: list[str], rows: NDArray[np.int64], recipe: ClassifierRecipe
) -> tuple[NDArray[np.int64], list[str]]:
    """Some rows, and their texts with some words evaded; without those that reading undoes."""
    rng = random.Random(recipe.seed)
    count = int(recipe.data.evaded_share * len(rows))
    chosen = sorted(rng.sample(list(map(int, rows)), count))
    written_anew = {row: evaded(texts[row], recipe.data.evaded_words, rng) for row in chosen}
    told_apart = {
        row: text
        for row, text in written_anew.items()
        if text_tokens(text) != text_tokens(texts[row])
    }
    return np.array(list(told_apart), np.int64), list(told_apart.values())


def evaded(text: str, share: float, rng: random.Random) -> str:
    """The text with a share of its words rewritten, each by an operator of its script."""
    words = _WORDS.findall(text)
    for word in rng.sample(words, int(np.ceil(share * len(words)))):
        operators = ENGLISH if word.isascii() else CHINESE
        text = text.replace(word, rng.choice(list(operators.values()))(word, rng), 1)
    return text


def even_odds(targets: Vectors, sources: NDArray[np.object_]) -> Vectors:
    """[N, K] weights: violations of a source that has more of them than clean texts weigh less.

    Such a source was collected by keyword. Its share of violations is that of the search, and a
    probability that rests on it flags everything.
    """
    weights = np.ones_like(targets)
    for source in dict.fromkeys(sources):
        rows = sources == source
        violations, clean = (targets[rows] == 1).sum(0), (targets[rows] == 0).sum(0)
        share = np.where(clean > 0, np.minimum(1, clean / np.maximum(1, violations)), 1)
        weights[rows] = np.where(targets[rows] == 1, share, 1)
    return weights


def evaluated(
    model: TextClassifier, labelled: LabelledContent, encoder: Encoder, rows: NDArray[np.int64]
) -> dict[str, object]:
    """Figures of each label on each real source's test rows."""
    targets, names = labelled.targets()[rows], labelled.sources()[rows]
    texts = labelled.texts()
    scores = scores_of(model, text_inputs([texts[row] for row in rows], encoder))
    figures: dict[str, object] = {}
    for source in dict.fromkeys(names):
        for k, label in enumerate(labelled.labels):
            known = (names == source) & ~np.isnan(targets[:, k])
            if known.any() and 0 < targets[known, k].mean() < 1:
                figures[f"{source}/{label}"] = label_figures(targets[known, k], scores[known, k])
    for k, label in enumerate(labelled.labels):
        known = ~np.isnan(targets[:, k])
        weights = even_odds(targets[known], names[known])[:, k]
        figures[f"ece/{label}"] = calibration_error(targets[known, k], scores[known, k], weights)
    return figures


if __name__ == "__main__":
    main()
