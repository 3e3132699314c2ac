"""The fusion keeps what one part says alone, calibrates readings, and serves as it was fitted."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from embeddings.fusion_model import GRAPH, FusionModel, fused_labels, load_fusion
from embeddings.ocr import TextLine
from embeddings.text_model import KIND
from models.arrays import Pixels, Vectors
from models.bundle import BundleError, open_bundle
from models.fusion import Fusion
from tests.drawn_pictures import scene
from training.datasets import composed_content
from training.datasets.composed_content import Posts, both, contents, lines_of, read_pictures
from training.fusion_bundle import card
from training.fusion_fit import (
    Evidence,
    evidence_of,
    fit_fusion,
    fusion_figures,
    widened,
    write_fusion,
)

LABELS = ("harassment", "hate")


def logistic(z: NDArray[np.float64]) -> Vectors:
    return np.asarray(1 / (1 + np.exp(-z)), np.float32)


def drawn_evidence(rows: int, seed: int) -> Evidence:
    """A caption that is calibrated, and readings that promise far too much; both may violate."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 2, (rows, 2, 2))
    broken = rng.random((rows, 2, 2)) < logistic(truth)
    promised = np.stack([truth[:, 0], 2 * truth[:, 1] + 2], 1)
    scores = np.concatenate([logistic(promised), np.zeros((rows, 1, 2), np.float32)], 1)
    known = np.ones_like(scores)
    known[:, 2] = 0
    known[rng.random(rows) < 0.3, 0] = 0
    targets = np.asarray((broken & (known[:, :2] > 0)).any(1), np.float32)
    targets[:, 1] = np.nan
    return Evidence(scores * known, known, targets)


def joined(model: Fusion, *parts: float | None) -> float:
    scores = torch.tensor([[[part or 0.0] for part in parts]])
    known = torch.tensor([[[float(part is not None)] for part in parts]])
    with torch.no_grad():
        return float(model(scores, known))


def test_one_text_or_one_picture_keeps_its_score() -> None:
    model = Fusion(1)
    with torch.no_grad():
        model.scale.add_(0.7)
        model.shift.sub_(1.3)
        model.more.add_(0.4)
    for score in (0.01, 0.4, 0.999):
        assert joined(model, score, None, None) == pytest.approx(score, abs=1e-5)
        assert joined(model, None, None, score) == pytest.approx(score, abs=1e-5)
        assert abs(joined(model, None, score, None) - score) > 1e-4
    assert joined(model, None, None, None) == 0


def test_what_is_not_fitted_is_nearly_the_likeliest() -> None:
    assert joined(Fusion(1), 0.1, 0.9, 0.3) == pytest.approx(0.9, abs=0.01)


def test_fitting_calibrates_readings_and_leaves_unknown_labels() -> None:
    model = fit_fusion(drawn_evidence(2_000, 1))
    figures = fusion_figures(model, drawn_evidence(2_000, 2), LABELS, seed=3)
    assert figures.keys() == {"harassment"}
    found = figures["harassment"]
    assert found["ece"] < 0.03 < found["ece_of_likeliest"]
    assert found["gain"][1] > 0
    assert model.scale[1].item() == 1
    assert "| harassment |" in card(figures, 4_000, (160, 120))


def test_it_serves_as_it_was_fitted(moderation_bundle: Path, tmp_path: Path) -> None:
    bundle = replace(open_bundle(moderation_bundle, KIND), folder=tmp_path)
    assert load_fusion(bundle, LABELS) is None
    labels = fused_labels(LABELS, ("hate", "sexual"))
    assert labels == ("harassment", "hate", "sexual")
    fitted = widened(fit_fusion(drawn_evidence(500, 1)), 3)
    assert write_fusion(fitted, bundle.folder) <= 1e-4
    model = load_fusion(bundle, labels)
    assert isinstance(model, FusionModel)
    found = model.fused({"text": {"harassment": 0.3}, "ocr": {"harassment": 0.8, "hate": 0.6}})
    assert found.keys() == {"harassment", "hate"}
    assert found["harassment"] == pytest.approx(
        float(fitted(*scores_and_known())[0, 0].detach()), abs=1e-5
    )
    assert model.fused({}) == {}


def scores_and_known() -> tuple[torch.Tensor, torch.Tensor]:
    scores = torch.zeros(1, 3, 3)
    scores[0, 0, 0], scores[0, 1, 0], scores[0, 1, 1] = 0.3, 0.8, 0.6
    return scores, (scores > 0).float()


def test_a_graph_that_changes_one_text_is_refused(moderation_bundle: Path, tmp_path: Path) -> None:
    bundle = replace(open_bundle(moderation_bundle, KIND), folder=tmp_path)
    broken = Fusion(2).eval()
    broken.ocr += 1
    with torch.no_grad():
        broken.shift.add_(1)
    write_fusion(broken, bundle.folder)
    with pytest.raises(BundleError, match=GRAPH):
        load_fusion(bundle, LABELS)


def test_lines_fit_on_a_picture() -> None:
    assert lines_of("一二三四五六七八九十一二三四五六七八", "zh") == [
        "一二三四五六七八九十一二三四五六",
        "七八",
    ]
    assert lines_of("a quick brown fox jumps over the lazy dog", "en") == [
        "a quick brown fox jumps over the",
        "lazy dog",
    ]


def test_what_is_unknown_of_one_part_is_unknown_of_both() -> None:
    one, other = np.array([1, 0, 1, np.nan]), np.array([0, 0, np.nan, 0])
    np.testing.assert_array_equal(both(one, other), [1, 0, np.nan, np.nan])


def test_content_is_composed_read_and_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    def reading(pixels: Pixels) -> list[TextLine]:
        return [TextLine(json.dumps(pixels.shape), (0, 0, 9, 9), 0.9)]

    monkeypatch.setattr(composed_content, "read", reading)
    monkeypatch.setattr(composed_content, "has_text", lambda pixels: bool(pixels.mean() > 0))
    texts = ("你真讨厌", "今天下雨了", "you are vermin", "tea is nice")
    posts = Posts(texts, np.array([[1, np.nan], [0, 0], [1, 1], [0, 0]], np.float32))
    pictures = read_pictures(posts, [scene(1, 64)], "held_out", 12, seed=4)
    assert len(pictures.texts) == 12
    assert set(pictures.targets[:, 0].tolist()) == {0.0, 1.0}
    together = contents(posts, pictures, 200, seed=4)
    assert 0.5 < (together.captions >= 0).mean() < 0.9
    alone = together.captions < 0
    np.testing.assert_array_equal(
        together.targets[alone], pictures.targets[together.pictures[alone]]
    )
    evidence = evidence_of(posts, pictures, together, lambda some: np.full((len(some), 2), 0.2))
    np.testing.assert_array_equal(evidence.known[:, 0, 0] > 0, ~alone)
    assert set(evidence.known[:, 1].ravel().tolist()) == {1.0}
