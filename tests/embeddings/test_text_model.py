"""The text model of a bundle: what it verifies, and how it reads long texts."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from embeddings.text_model import (
    CONTENT_VALUES,
    GOLDEN,
    KIND,
    LABELS,
    WINDOW_STEP,
    load_text_model,
    windows,
)
from models.bundle import BundleError, file_facts, open_bundle, read_manifest
from models.text_features import WINDOW_CHARACTERS

WINDOW_OVERLAP = WINDOW_CHARACTERS - WINDOW_STEP


def altered(source: Path, folder: Path, name: str, content: str) -> Path:
    """A copy whose file `name` holds something else, its checksum put right."""
    shutil.copytree(source, folder)
    (folder / name).write_text(content, "utf-8")
    manifest = read_manifest(folder)
    files = {**manifest.files, name: file_facts(folder / name)}
    sealed = manifest.model_copy(update={"files": files})
    (folder / "manifest.json").write_text(sealed.model_dump_json(), "utf-8")
    return folder


def test_a_bundle_holds_what_a_reader_needs(moderation_bundle: Path) -> None:
    manifest = open_bundle(moderation_bundle, KIND).manifest
    assert {"calibration.json", "evaluation.json", GOLDEN, LABELS, "model_card.md"} <= set(
        manifest.files
    )
    card = (moderation_bundle / "model_card.md").read_text("utf-8")
    assert "Where it fails" in card
    assert "contrasts_zh" in card
    assert load_text_model(moderation_bundle).version == manifest.version


def test_a_model_that_reads_otherwise_than_when_it_was_made_is_refused(
    moderation_bundle: Path, tmp_path: Path
) -> None:
    golden = json.loads((moderation_bundle / GOLDEN).read_text("utf-8"))
    golden["scores"][0][0] = 1 - golden["scores"][0][0]
    with pytest.raises(BundleError, match=r"golden\.json disagree"):
        load_text_model(altered(moderation_bundle, tmp_path / "a", GOLDEN, json.dumps(golden)))
    with pytest.raises(BundleError, match="holds no golden texts"):
        load_text_model(altered(moderation_bundle, tmp_path / "b", GOLDEN, "{}"))
    with pytest.raises(BundleError, match="1 labels"):
        load_text_model(altered(moderation_bundle, tmp_path / "c", LABELS, '["hate"]'))
    shutil.copytree(moderation_bundle, tmp_path / "d")
    (tmp_path / "d" / GOLDEN).write_text("{}", "utf-8")
    with pytest.raises(BundleError, match=GOLDEN):
        load_text_model(tmp_path / "d")


@pytest.mark.parametrize("length", [0, 1, 600, 601, 1_100, 1_101, 5_000])
def test_windows_cover_a_text_and_overlap(length: int) -> None:
    text = "".join(chr(0x4E00 + n) for n in range(length))
    parts = windows(text)
    assert set("".join(parts)) == set(text)
    assert all(one[-WINDOW_OVERLAP:] in other for one, other in itertools.pairwise(parts))


def test_what_stands_at_the_end_of_a_long_text_is_read(moderation_bundle: Path) -> None:
    model = load_text_model(moderation_bundle)
    abuse = "those immigrants are vermin"
    kind = "I love tea and rainy days. "
    hate = model.labels.index("hate")
    scores = model.scores([kind, kind * 60, kind * 60 + abuse, abuse])[:, hate]
    assert scores[2] > scores[1] + 0.1
    np.testing.assert_array_equal(model.scores([])[:, hate], [])
    assert not model.scores(["", " \n"]).any()


def test_content_values_are_a_distribution(moderation_bundle: Path) -> None:
    model = load_text_model(moderation_bundle)
    values = model.content_values(["I love tea", "", "又短又好的茶"])
    assert values.shape == (3, len(CONTENT_VALUES))
    np.testing.assert_allclose(values.sum(1), 1, atol=1e-5)
    assert model.content_values([]).shape == (0, len(CONTENT_VALUES))
