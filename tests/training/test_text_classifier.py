"""The text classifier learns, calibrates, ignores what is unknown, and exports as it is."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.classifier import ClassifierRecipe
from configs.load import load
from embeddings.text_encoder import load_text_encoder
from models.classifier import masked_bce
from models.text_features import text_tokens
from tests.moderation_bundles import CONFIG, TINY
from tests.text_encoders import write_tiny_encoder
from training.classifier_metrics import calibration_error, label_figures, paired_gain
from training.datasets.contrasts import contrasts
from training.text_fit import calibrate, evidence_of, fit, platt, text_inputs
from training.train_classifier import evaded, evasions, even_odds


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


def test_weights_of_targets_say_which_count() -> None:
    logits = torch.tensor([[2.0], [-1.0]])
    known = torch.tensor([[1.0], [1.0]])
    first = torch.nn.functional.binary_cross_entropy_with_logits(logits[:1], known[:1])
    assert masked_bce(logits, known, torch.tensor([3.0, 0.0])).item() == pytest.approx(first.item())


def test_keyword_collected_violations_weigh_no_more_than_clean_texts() -> None:
    targets = np.array([[1], [1], [1], [0], [1], [0], [0]], np.float32)
    sources = np.array(["tweets"] * 4 + ["posts"] * 3, object)
    weights = even_odds(targets, sources)[:, 0]
    assert weights == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1, 1, 1, 1])


def test_it_learns_calibrates_and_tells_like_from_like(tmp_path: Path) -> None:
    drawn, held = contrasts("en", 1200, seed=1), contrasts("en", 400, seed=99)
    write_tiny_encoder(tmp_path, drawn.texts())
    encoder = load_text_encoder(tmp_path)
    every = np.ones(1200, bool)
    model = fit(text_inputs(drawn.texts(), encoder), drawn.targets(), every, TINY, seed=2)
    unseen = text_inputs(held.texts(), encoder)
    evidence = evidence_of(model, unseen)
    assert label_figures(held.targets()[:, 0], evidence[:, 0, 0])["auroc"] > 0.9
    assert label_figures(held.targets()[:, 0], evidence[:, 1, 0])["auroc"] > 0.8
    calibrate(model, evidence, held.targets(), np.ones_like(held.targets()))
    with torch.no_grad():
        scores = model(*unseen.batch(range(len(unseen))))[0].numpy()
    assert label_figures(held.targets()[:, 0], scores[:, 0])["auroc"] > 0.9
    assert calibration_error(held.targets()[:, 0], scores[:, 0]) < 0.05


def test_templates_that_calibrate_are_never_fitted() -> None:
    for language in ("zh", "en"):
        fitted = set(contrasts(language, 3_000, 5, "fit").texts())
        assert not fitted & set(contrasts(language, 3_000, 5, "calibration").texts())


def test_copies_that_reading_undoes_are_not_trained_on() -> None:
    recipe = load(CONFIG, ClassifierRecipe, environ={})
    every = recipe.model_copy(update={"data": recipe.data.model_copy(update={"evaded_share": 1.0})})
    texts = contrasts("zh", 60, seed=5).texts()
    rows, copies = evasions(texts, np.arange(60), every)
    assert 0 < len(rows) < 60
    for row, copy in zip(rows, copies, strict=True):
        assert text_tokens(copy) != text_tokens(texts[row])


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
