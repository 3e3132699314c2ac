"""The text classifier learns, calibrates, ignores what is unknown, and exports as it is."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.classifier import ClassifierRecipe
from configs.load import load
from models.classifier import BRANCHES, masked_bce
from models.text_features import text_tokens
from tests.moderation_bundles import CONFIG, TINY
from training.classifier_metrics import calibration_error, label_figures, paired_gain
from training.datasets.contrasts import contrasts
from training.moderation_evaluation import labelled_texts
from training.text_fit import calibrate, fit, logits_of, platt, tokenised
from training.train_classifier import evaded, evasions


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
    useless = rng.normal(0, 1, 20_000).astype(np.float32)
    scales, shift = platt(np.stack([logits, useless], 1), targets)
    assert scales == pytest.approx([0.5, 0], abs=0.03)
    assert shift == pytest.approx(-1, abs=0.06)


def test_it_learns_calibrates_and_tells_like_from_like() -> None:
    drawn = contrasts("en", 1200, seed=1)
    model = fit(tokenised(drawn.texts()), drawn.targets(), TINY, seed=2)
    held = contrasts("en", 400, seed=99)
    unseen = tokenised(held.texts())
    logits = logits_of(model, unseen)
    for branch in range(BRANCHES):
        assert label_figures(held.targets()[:, 0], logits[:, branch, 0])["auroc"] > 0.95
    calibrate(model, logits, held.targets())
    with torch.no_grad():
        scores = model(*unseen.batch(range(len(unseen)))).numpy()
    assert calibration_error(held.targets()[:, 0], scores[:, 0]) < 0.05


def test_copies_that_reading_undoes_are_not_trained_on() -> None:
    recipe = load(CONFIG, ClassifierRecipe, environ={})
    every = recipe.model_copy(update={"data": recipe.data.model_copy(update={"evaded_share": 1.0})})
    texts = contrasts("zh", 60, seed=5).texts()
    rows, copies = evasions(texts, np.arange(60), every)
    assert 0 < len(rows) < 60
    for row, copy in zip(rows, copies, strict=True):
        assert text_tokens(copy) != text_tokens(texts[row])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("text,grade\na,1\n", "lacks the columns"),
        ("text,label\na,1\nb,1\n", "0 and 1, both"),
        ("text,label\na,2\nb,1\n", "0 and 1, both"),
        ("text,label,image\na,0,\nb,1,xyz\n", "row 1 has a picture"),
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
