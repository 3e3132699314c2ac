"""From towers and a catalogue to a sealed bundle."""

from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest

from embeddings import build
from embeddings.build import complete_feed_bundle, embed_catalogue
from embeddings.feed_model import load_feed_model
from models.bundle import BundleError, load_session, staged
from tests.feed_bundles import (
    invented_histories,
    invented_items,
    item_tower,
    make_feed_bundle,
    provenance,
    user_tower,
)


def test_batches_give_the_same_vectors_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_feed_bundle(tmp_path / "feed", items=50)
    model = load_feed_model(tmp_path / "feed")
    monkeypatch.setattr(build, "BATCH_ITEMS", 7)
    history, retrieval = embed_catalogue(model.item_tower, model.items)
    # A matrix product may round differently for another number of rows.
    np.testing.assert_allclose(history, model.history_table, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(retrieval, model.retrieval_vectors, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_bundle(tmp_path: Path) -> None:
    first = make_feed_bundle(tmp_path / "1", items=40, seed=5)
    again = make_feed_bundle(tmp_path / "2", items=40, seed=5)
    other = make_feed_bundle(tmp_path / "3", items=40, seed=6)
    assert first.files == again.files
    assert other.files["retrieval_vectors.npy"] != first.files["retrieval_vectors.npy"]


@pytest.mark.parametrize("items", [1, 2])
def test_the_smallest_catalogues_are_served(tmp_path: Path, items: int) -> None:
    make_feed_bundle(tmp_path / "feed", items=items)
    model = load_feed_model(tmp_path / "feed")
    rows, _ = model.retrieve(model.retrieval_vectors[:1], 10, None)
    assert sorted(rows.tolist()) == list(range(items))


def test_an_empty_catalogue_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    with (
        pytest.raises(BundleError, match="the catalogue is empty"),
        staged(tmp_path / "b") as folder,
    ):
        complete_feed_bundle(
            folder,
            pa.table({"item_id": pa.array([], pa.string())}),
            np.empty(0, np.float32),
            invented_histories(1, random),
            provenance(0, 0),
            {},
        )
    assert list(tmp_path.iterdir()) == []


def test_towers_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pa.Table.from_pylist(invented_items(9, random))
    popularity = np.ones(9, np.float32)
    tower = item_tower(popularity, random)
    tower.graph.node[-1].input.append("popularity")  # one retrieval dimension too many
    tower.graph.output[1].type.tensor_type.shape.dim[1].dim_value += 1
    onnx.save(tower, tmp_path / "item_tower.onnx")
    onnx.save(user_tower(), tmp_path / "user_tower.onnx")
    load_session(tmp_path / "item_tower.onnx")
    with pytest.raises(BundleError, match=r"user_tower\.onnx: output interests is .*9\], expected"):
        complete_feed_bundle(
            tmp_path, table, popularity, invented_histories(9, random), provenance(9, 0), {}
        )
