"""Labelled files of many shapes are read alike; what cannot be read is told by row."""

import base64
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.drawn_pictures import scene
from training.datasets.labelled_files import labelled_file
from training.moderation_evaluation import judged


def jpeg(seed: int = 1) -> bytes:
    file = io.BytesIO()
    Image.fromarray(scene(seed, 64)).save(file, "JPEG")
    return file.getvalue()


def parquet(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "file.parquet")
    return folder / "file.parquet"


@pytest.mark.parametrize(
    "labels",
    [
        [1, 0, None],
        [True, False, None],
        [1.0, 0.0, float("nan")],
        ["1", "0", ""],
        ["1.0", "0.0", "NaN"],
        ["True", "False", None],
    ],
)
def test_labels_of_any_type_and_unknown_ones(tmp_path: Path, labels: list[object]) -> None:
    file = labelled_file(parquet(tmp_path, text=["a", "b", "c"], label=labels))
    np.testing.assert_array_equal(file.targets, [1, 0])
    assert (file.places, file.unlabelled) == ([0, 1], 1)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a", None], [("a",), ("",)]),
        ([1.5, float("nan")], [("1.5",), ("",)]),
        ([7, 8], [("7",), ("8",)]),
        ([b"\xe4\xbd\xa0", b""], [("你",), ("",)]),
    ],
)
def test_texts_of_any_type_and_missing_ones(
    tmp_path: Path, texts: list[object], expected: list[tuple[str, ...]]
) -> None:
    file = labelled_file(parquet(tmp_path, text=texts, label=[1, 0]))
    assert [file.content(n).texts for n in range(2)] == expected


def test_pictures_of_any_form(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(jpeg())
    in_base64 = base64.b64encode(jpeg()).decode()
    forms: list[list[object]] = [
        [jpeg(), None],
        [{"bytes": jpeg(), "path": None}, {"bytes": None, "path": None}],
        [{"bytes": None, "path": "one.jpg"}, None],
        ["one.jpg", ""],
        [in_base64, None],
        [f"data:image/jpeg;base64,{in_base64}", None],
        [[jpeg()], []],
    ]
    for images in forms:
        file = labelled_file(parquet(tmp_path, image=images, label=[1, 0]))
        picture, nothing = file.content(0), file.content(1)
        assert picture.texts == ()
        assert [one.pixels.shape for one in picture.pictures] == [(64, 64, 3)]
        assert (nothing.texts, nothing.pictures) == (("",), ())


def test_csv_as_it_comes(tmp_path: Path) -> None:
    long = base64.b64encode(b"x" * 300_000).decode()
    written = f'\ufefftext,image,label\n"a,\nb",,1\nNaN,{long},0\n'.encode()
    (tmp_path / "file.csv.gz").write_bytes(gzip.compress(written))
    file = labelled_file(tmp_path / "file.csv.gz")
    assert file.content(0).texts == ("a,\nb",)
    with pytest.raises(ValueError, match="taken are JPEG"):
        file.content(1)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("text,grade\na,1\n", "needs the columns label and"),
        ("label\n1\n0\n", "needs the columns label and"),
        ("", "needs the columns label and"),
        ("text,label\na,1\nb,1\n", "0 and 1, both"),
        ("text,label\na,2\nb,1\n", "row 0: label is '2'"),
        ("text,label\na,yes\nb,1\n", "row 0: label is 'yes'"),
    ],
)
def test_a_file_without_both_labels_is_refused(tmp_path: Path, written: str, message: str) -> None:
    (tmp_path / "file.csv").write_text(written, "utf-8")
    with pytest.raises(ValueError, match=message):
        labelled_file(tmp_path / "file.csv")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text(json.dumps({"text": "a"}), "utf-8")
    with pytest.raises(ValueError, match="neither CSV"):
        labelled_file(tmp_path / "file.json")


def test_rows_that_cannot_be_judged_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [jpeg(), b"no picture", b"nowhere.jpg", jpeg(2), None]
    file = labelled_file(
        parquet(tmp_path, image=images, text=["", "", "", "", "b"], label=[1, 1, 0, 0, 0])
    )
    figures = judged(file, lambda content: float(not content.texts))
    assert (figures["n"], figures["left_out"]) == (3, 2)
    assert "row 1 is left out" in capsys.readouterr().err
    only = labelled_file(parquet(tmp_path, image=[b"x", jpeg()], label=[1, 0]))
    with pytest.raises(ValueError, match="too few rows"):
        judged(only, lambda _: 0.5)
