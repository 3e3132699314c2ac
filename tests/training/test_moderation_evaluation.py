"""`training.evaluate moderation` and publishing, on a small genuine bundle."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from embeddings.picture_model import PictureModel, PictureScores
from models.arrays import Pixels
from models.bundle import current
from serving.moderation.decoding import Picture
from serving.moderation.findings import Content
from serving.moderation.opening import open_moderator
from tests.drawn_pictures import scene, with_code
from training import evaluate, publish
from training.datasets.contrasts import contrasts
from training.moderation_evaluation import POLICIES, scorer_of


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    drawn = contrasts("zh", 80, seed=8)
    rows = {"text": drawn.texts(), "label": drawn.targets()[:, 0].astype(int)}
    pq.write_table(pa.table(rows), tmp_path / "abuse.parquet")
    return tmp_path / "abuse.parquet"


def run(bundle: Path, data: Path, label: str) -> None:
    evaluate.main(["moderation", "--bundle", str(bundle), "--data", str(data), "--label", label])


def test_figures_of_a_group(
    moderation_bundle: Path, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(moderation_bundle, labelled, "abuse")
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert figures.keys() == {"auroc", "ap", "f1", "recall_at_1pct_fpr", "ece", "n"}
    assert figures["n"] == 80
    assert figures["auroc"] > 0.9


def test_rules_count(
    moderation_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "claims.csv"
    file.write_text("text,label\n全国 销量第一,1\n早餐吃了面,0\n", "utf-8")
    run(moderation_bundle, file, "commerce/absolute_claim")
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert (figures["auroc"], figures["f1"], figures["ece"]) == (1, 1, 0)


def test_pictures_are_judged_too(
    moderation_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [with_code(scene(1, 480), "https://a.example", (90, 90), 160), scene(2, 480)]
    rows = {"text": ["", "早餐吃了面"], "image": [png(one) for one in pictures], "label": [1, 0]}
    pq.write_table(pa.table(rows), tmp_path / "codes.parquet")
    run(moderation_bundle, tmp_path / "codes.parquet", "commerce/diversion")
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert (figures["auroc"], figures["n"]) == (1, 2)


def test_content_value_is_scored_by_name(
    moderation_bundle: Path, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(moderation_bundle, labelled, "strong_use")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]["n"] == 80


def test_a_picture_policy_is_scored_by_name(moderation_bundle: Path) -> None:
    judges = open_moderator(moderation_bundle, POLICIES)
    scorer = scorer_of(replace(judges, pictures=cast("PictureModel", Weapons())), "weapon")
    dark, light = (np.full((64, 64, 3), shade, np.uint8) for shade in (10, 200))
    pictures = tuple(Picture("0", "PNG", 64, 64, 2, (one, dark), (0, 0)) for one in (dark, light))
    assert [scorer(Content((), (one,))) for one in pictures] == pytest.approx([10, 200])
    assert scorer(Content(("no picture",))) == 0


@dataclass(frozen=True)
class Weapons:
    """A picture model that takes what is bright for a weapon."""

    policies: tuple[str, ...] = ("currency", "weapon")

    def look(self, pictures: Sequence[Pixels]) -> PictureScores:
        means = np.array([[0, picture.mean()] for picture in pictures], np.float32)
        return PictureScores(means, means, means)


def png(picture: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("label", "message"),
    [("violence", "neither the model nor a rule"), ("anger", "no label or group 'anger'")],
)
def test_a_label_that_nothing_finds_is_refused(
    moderation_bundle: Path, labelled: Path, label: str, message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        run(moderation_bundle, labelled, label)


def test_publishing_either_kind(
    moderation_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish.main(["--bundle", str(moderation_bundle), "--bundles", str(tmp_path)])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert figures["kind"] == "moderation"
    assert current(tmp_path, "moderation").name == figures["version"]
    with pytest.raises(SystemExit, match="not published"):
        publish.main(["--bundle", str(tmp_path), "--bundles", str(tmp_path)])
