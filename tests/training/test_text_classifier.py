"""The text classifier learns, calibrates, ignores what is unknown, and exports as it is."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.classifier import ClassifierFit, ClassifierRecipe
from configs.labels import load_labels
from configs.load import load
from embeddings.text_scores import TextScorer
from models.classifier import masked_bce
from training.classifier_metrics import calibration_error, label_figures, paired_gain
from training.datasets.contrasts import contrasts
from training.moderation_evaluation import labelled_texts, scores_of
from training.text_fit import calibrate, fit, logits_of, platt, tokenised
from training.train_classifier import evaded, written

CONFIG = Path(__file__).parents[2] / "configs/classifier.yaml"
TINY = ClassifierFit(
    epochs=2,
    batch=64,
    learning_rate=0.01,
    wide_learning_rate=0.05,
    feature_dropout=0.0,
    word_dropout=0.0,
    width=8,
    filters=8,
)


def test_unknown_targets_weigh_nothing() -> None:
    logits = torch.tensor([[2.0, -9.0], [-1.0, 3.0]])
    known = torch.tensor([[1.0, float("nan")], [0.0, float("nan")]])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], known[:, 0])
    assert masked_bce(logits, known).item() == pytest.approx(expected.item())
    assert masked_bce(logits, torch.full((2, 2), float("nan"))).item() == 0


def test_platt_recovers_a_known_distortion() -> None:
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 3, 20_000).astype(np.float32)
    targets = (rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(np.float32)
    scale, shift = platt(logits, targets)
    assert scale == pytest.approx(0.5, abs=0.03)
    assert shift == pytest.approx(-1, abs=0.06)


def test_it_learns_calibrates_and_exports_what_it_computes(tmp_path: Path) -> None:
    drawn = contrasts("en", 1200, seed=1)
    tokens, targets = tokenised(drawn.texts()), drawn.targets()
    model = fit(tokens, targets, TINY, seed=2)
    held = contrasts("en", 400, seed=99)
    unseen = tokenised(held.texts())
    logits = logits_of(model, unseen)
    assert label_figures(held.targets()[:, 0], logits[:, 0])["auroc"] > 0.95
    calibrate(model, logits, held.targets())
    recipe = load(CONFIG, ClassifierRecipe, environ={})
    assert written(model, recipe, unseen, tmp_path) <= 1e-4
    scores = TextScorer(tmp_path).scores(held.texts())
    with torch.no_grad():
        expected = model(*unseen.batch(range(len(unseen)))).numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-5)

    (tmp_path / "file.csv").write_text("text,label\nI love tea,0\ngirls are vermin,1\n", "utf-8")
    texts, targets = labelled_texts(tmp_path / "file.csv")
    abuse = scores_of(TextScorer(tmp_path), load_labels(), "abuse", texts)
    assert targets.tolist() == [0, 1]
    assert abuse[1] > abuse[0]
    with pytest.raises(ValueError, match="does not score sexual"):
        scores_of(TextScorer(tmp_path), load_labels(), "sexual", texts)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("text,grade\na,1\n", "lacks the columns"),
        ("text,label\na,1\nb,1\n", "0 and 1, both"),
        ("text,label\na,2\nb,1\n", "0 and 1, both"),
    ],
)
def test_a_file_without_both_labels_is_refused(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "file.csv").write_text(rows, "utf-8")
    with pytest.raises(ValueError, match=message):
        labelled_texts(tmp_path / "file.csv")


def test_metrics_on_cases_known_by_hand() -> None:
    targets = np.array([1, 1, 0, 0], np.float32)
    scores = np.array([0.9, 0.4, 0.6, 0.1], np.float32)
    assert label_figures(targets, scores)["auroc"] == pytest.approx(0.75)
    assert label_figures(targets, scores)["f1"] == pytest.approx(0.5)
    assert calibration_error(np.ones(10, np.float32), np.full(10, 0.8, np.float32)) == (
        pytest.approx(0.2)
    )
    gain, low, high = paired_gain(
        np.tile(targets, 50), np.tile(scores, 50), np.zeros(200, np.float32), seed=1
    )
    assert gain == pytest.approx(0.25)
    assert low < gain < high


def test_evading_rewrites_some_words_and_keeps_the_others() -> None:
    text = "good words stay while others change"
    changed = evaded(text, 0.3, random.Random(4))
    assert changed != text
    assert len(set(changed.split()) & set(text.split())) >= 3
