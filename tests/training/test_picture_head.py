"""The picture head: folds without leaks, calibrated scores, and the bundle that carries it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from embeddings.image import SEEN
from embeddings.picture_model import GOLDEN, PictureModel, load_picture_model
from models.bundle import BundleError, file_facts, open_bundle, read_manifest
from models.export import PARITY
from tests.drawn_pictures import scene
from tests.moderation_bundles import make_moderation_bundle
from tests.picture_bundles import EACH, breaking, drawn_head, drawn_recipe
from training.classifier_metrics import calibration_error
from training.picture_fit import fit_head, folds_of, head_bars, head_figures, near_duplicates


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "moderation"
    make_moderation_bundle(folder, rows=100, pictures=True)
    return folder


@pytest.fixture(scope="module")
def model(bundle: Path) -> PictureModel:
    loaded = load_picture_model(open_bundle(bundle, "moderation"))
    assert loaded is not None
    return loaded


def test_near_duplicates_share_a_cluster_and_a_fold() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((30, 16)).astype(np.float32)
    again = np.concatenate([one, one + 0.05 * rng.standard_normal(one.shape).astype(np.float32)])
    clusters = near_duplicates(again, 0.9)
    assert np.array_equal(clusters[:30], clusters[30:])
    assert clusters.max() + 1 == 30
    folds = folds_of(clusters, 5, seed=1)
    assert np.array_equal(folds[:30], folds[30:])
    assert set(folds) == set(range(5))


def test_held_out_scores_rank_and_are_calibrated_and_noise_teaches_nothing() -> None:
    rng = np.random.default_rng(1)
    policies = rng.choice(["", "weapon", "ip_character"], 600, p=[0.7, 0.2, 0.1])
    noise = rng.standard_normal((600, 40)).astype(np.float32)
    told = noise.copy()
    told[:, 0] += 3 * (policies == "weapon")
    told[:, 1] += 3 * (policies == "ip_character")
    recipe = drawn_recipe()
    learned = fit_head(told, policies, recipe)
    figures = head_figures(learned.held_out, policies, recipe)
    assert figures["worst_auroc"] > 0.9
    assert calibration_error((policies == "weapon") * 1.0, learned.held_out[:, 0]) < 0.06
    guessed = head_figures(fit_head(noise, policies, recipe).held_out, policies, recipe)
    assert 0.35 < guessed["macro_auroc"] < 0.65
    assert not any(head_bars(guessed).values())


def test_a_policy_with_too_few_pictures_is_refused() -> None:
    policies = np.array(["weapon"] * 3 + ["ip_character"] * 30 + [""] * 30)
    with pytest.raises(ValueError, match="3 pictures of a policy"):
        fit_head(np.eye(63, dtype=np.float32), policies, drawn_recipe())


def test_the_bundle_scores_new_pictures_by_policy_and_label(model: PictureModel) -> None:
    clean = [scene(seed, 200) for seed in range(5_000, 5_006)]
    stars = [breaking("weapon", seed) for seed in range(5_000, 5_006)]
    found = model.look([*clean, *stars])
    assert model.labels == ("commerce/prohibited_goods", "commerce/counterfeit", "sexual")
    weapon = found.policies[:, list(model.policies).index("weapon")]
    assert weapon[6:].min() > weapon[:6].max()
    assert np.array_equal(found.labels[:, 0], weapon)
    assert found.seen.shape == (12, SEEN)
    assert ((found.policies >= 0) & (found.policies <= 1)).all()


def test_the_graph_computes_what_was_fitted(bundle: Path) -> None:
    figures = json.loads((bundle / "evaluation.json").read_text())
    assert figures["parity"] <= PARITY
    head, _ = drawn_head()
    assert figures["pictures"]["macro_auroc"] > 0.9
    assert 1 < head.clusters <= 3 * EACH
    assert "open_nsfw" in (bundle / "model_card.md").read_text()


def test_a_bundle_whose_golden_pictures_score_otherwise_is_refused(
    bundle: Path, tmp_path: Path
) -> None:
    altered = tmp_path / "altered"
    shutil.copytree(bundle, altered)
    golden = json.loads((altered / GOLDEN).read_text())
    golden["scores"][0][0] = 1 - golden["scores"][0][0]
    (altered / GOLDEN).write_text(json.dumps(golden))
    manifest = read_manifest(altered)
    files = {**manifest.files, GOLDEN: file_facts(altered / GOLDEN)}
    changed = manifest.model_copy(update={"files": files})
    (altered / "manifest.json").write_text(changed.model_dump_json())
    with pytest.raises(BundleError, match="disagree"):
        load_picture_model(open_bundle(altered, "moderation"))


def test_a_bundle_of_text_alone_has_no_picture_model(tmp_path: Path) -> None:
    make_moderation_bundle(tmp_path / "text", rows=60)
    assert load_picture_model(open_bundle(tmp_path / "text", "moderation")) is None
