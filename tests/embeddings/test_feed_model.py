"""A feed model answers from its bundle, and a bundle whose parts disagree does not load."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from onnx import helper, numpy_helper

from embeddings import index_training
from embeddings.feed_model import FeedModel, best_of_interests, load_feed_model, random_histories
from embeddings.index import exact_search
from models.bundle import MANIFEST, BundleError, IndexFacts, read_manifest, seal
from models.features import History, batch_histories, empty_history
from tests.feed_bundles import HISTORY_LENGTH, invented_histories, invented_items, make_feed_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "feed"
    make_feed_bundle(folder, items=120, seed=3)
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "other"
    make_feed_bundle(folder, items=120, seed=4)
    return folder


@pytest.fixture(scope="module")
def model(bundle: Path) -> FeedModel:
    return load_feed_model(bundle)


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


def reseal(folder: Path, **changes: Any) -> None:
    """Give changed files correct checksums, as a careless publisher would."""
    seal(folder, read_manifest(folder).model_copy(update=changes))


def history(*rows: int) -> History:
    n = len(rows)
    ages_s = np.arange(n, dtype=np.float32)
    return History(np.array(rows), np.full(n, 2), np.ones(n, np.float32), ages_s)


def test_parts_agree_in_size(model: FeedModel) -> None:
    sizes = {
        len(model.vocabulary),
        len(model.index),
        model.items.num_rows,
        len(model.retrieval_vectors),
        len(model.history_table),
        len(model.popularity),
    }
    assert sizes == {120}
    assert model.items.column_names[0] == "item_id"
    assert model.version == model.manifest.version


def test_vectors_cannot_be_changed(model: FeedModel) -> None:
    for array in (model.retrieval_vectors, model.history_table, model.popularity):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_no_history_gives_the_popular_items(model: FeedModel) -> None:
    interests = model.interests(batch_histories([empty_history()], HISTORY_LENGTH))[0]
    rows, _ = model.retrieve(interests, 5, None)
    assert rows.tolist() == np.argsort(-model.popularity)[:5].tolist()


def test_one_event_changes_the_answer(model: FeedModel) -> None:
    batch = batch_histories([history(5, 9, 30), history(60, 5, 9, 30)], HISTORY_LENGTH)
    before, after = (model.retrieve(i, 10, None)[0].tolist() for i in model.interests(batch))
    assert before != after


def test_retrieval_is_the_best_of_all_interests(model: FeedModel) -> None:
    interests = model.interests(batch_histories([history(1, 50)], HISTORY_LENGTH))[0]
    allowed = np.arange(120) % 3 > 0
    rows, scores = model.retrieve(interests, 15, allowed)
    best = (model.retrieval_vectors @ interests.T).max(axis=1)
    expected = [row for row in np.argsort(-best).tolist() if allowed[row]][:15]
    assert rows.tolist() == expected
    np.testing.assert_allclose(scores, best[expected], rtol=1e-5)


def test_fewer_allowed_than_wanted(model: FeedModel) -> None:
    interests = model.interests(batch_histories([history(1)], HISTORY_LENGTH))[0]
    rows, scores = model.retrieve(interests, 15, np.arange(120) < 4)
    assert sorted(rows.tolist()) == [0, 1, 2, 3]
    assert np.isfinite(scores).all()
    assert model.retrieve(interests, 15, np.zeros(120, bool))[0].tolist() == []


def test_merging_keeps_the_best_score_of_each_row() -> None:
    rows, scores = np.array([[4, 7, -1], [7, 2, 4]]), np.array([[9, 5, -np.inf], [8, 6, 1]], "f4")
    merged = best_of_interests(rows, scores, 9)
    assert (merged[0].tolist(), merged[1].tolist()) == ([4, 7, 2], [9, 8, 6])
    assert best_of_interests(rows, scores, 2)[0].tolist() == [4, 7]


def test_a_new_item_is_embedded_by_its_content(model: FeedModel) -> None:
    known = model.items.slice(8, 1).to_pylist()
    new = [known[0] | {"item_id": "never seen"}, *invented_items(2, np.random.default_rng(1))]
    history_vectors, retrieval_vectors = model.embed(new)
    assert history_vectors.shape == (3, model.history_table.shape[1])
    assert retrieval_vectors.shape == (3, model.retrieval_vectors.shape[1])
    nearest = exact_search(model.history_table, history_vectors[:1], 120, None)[0][0].tolist()
    assert nearest.index(8) < 12


def test_no_items_are_embedded_as_none(model: FeedModel) -> None:
    assert [len(vectors) for vectors in model.embed([])] == [0, 0]


def test_a_history_of_another_length_is_refused(model: FeedModel) -> None:
    with pytest.raises(ValueError, match=r"T = 3, the model 16"):
        model.interests(batch_histories([history(1)], 3))


def test_a_row_outside_the_catalogue_is_refused(model: FeedModel) -> None:
    with pytest.raises(ValueError, match="history row 120 >= N = 120"):
        model.interests(batch_histories([history(120)], HISTORY_LENGTH))


def test_random_histories_repeat_and_start_empty(model: FeedModel) -> None:
    first, again = (random_histories(model, 5, 4) for _ in "12")
    assert (first.rows == again.rows).all()
    assert not first.mask[0].any()
    assert first.mask[1:].any()


def test_golden_queries_follow_the_seed_of_the_manifest(bundle: Path) -> None:
    golden = json.loads((bundle / "golden.json").read_text())
    assert golden["seed"] == read_manifest(bundle).seed == 3
    assert len(golden["item_ids"]) == len(golden["scores"]) == len(golden["index_item_ids"])


@pytest.mark.parametrize(
    "name",
    [
        "evaluation.json",
        "golden.json",
        "history_vectors.npy",
        "index.faiss",
        "item_tower.onnx",
        "items.parquet",
        "popularity.npy",
        "retrieval_vectors.npy",
        "user_tower.onnx",
    ],
)
def test_any_damaged_file_is_named(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 4
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=name):
        load_feed_model(copy)


@pytest.mark.parametrize(
    ("name", "disagreement"),
    [
        ("index.faiss", r"index\.faiss and the towers disagree"),
        ("item_tower.onnx", r"item_tower\.onnx and history_vectors\.npy disagree"),
        ("history_vectors.npy", r"item_tower\.onnx and history_vectors\.npy disagree"),
        ("retrieval_vectors.npy", r"item_tower\.onnx and retrieval_vectors\.npy disagree"),
        ("golden.json", r"disagree with the scores in golden\.json"),
    ],
)
def test_a_part_of_another_bundle_is_named(
    copy: Path, other: Path, name: str, disagreement: str
) -> None:
    shutil.copy(other / name, copy / name)
    reseal(copy)
    with pytest.raises(BundleError, match=disagreement):
        load_feed_model(copy)


def test_another_user_tower_is_named(copy: Path) -> None:
    tower = onnx.load(copy / "user_tower.onnx")
    next(
        node for node in tower.graph.node if node.name == "" and node.op_type == "Max"
    ).op_type = "Sum"
    onnx.save(tower, copy / "user_tower.onnx")
    reseal(copy)
    with pytest.raises(BundleError, match=r"user_tower\.onnx and retrieval_vectors\.npy disagree"):
        load_feed_model(copy)


def narrower_interests(folder: Path) -> None:
    tower = onnx.load(folder / "user_tower.onnx")
    tower.graph.node[-1].output[0] = "wide"
    tower.graph.node.extend(
        [  # a size that ONNX Runtime cannot know before it runs
            helper.make_node("ReduceMax", ["actions"], ["any"], keepdims=0),
            helper.make_node("Clip", ["any", "eight", "eight"], ["width"]),
            helper.make_node("Unsqueeze", ["width", "zero"], ["end"]),
            helper.make_node("Slice", ["wide", "zero", "end", "two"], ["interests"]),
        ]
    )
    tower.graph.initializer.append(numpy_helper.from_array(np.array(8), "eight"))
    tower.graph.output[0].type.tensor_type.shape.dim[2].dim_param = "D"
    onnx.save(tower, folder / "user_tower.onnx")


def drop_items(folder: Path) -> None:
    pq.write_table(pq.read_table(folder / "items.parquet").slice(1), folder / "items.parquet")


def repeat_an_item(folder: Path) -> None:
    items = pq.read_table(folder / "items.parquet")
    twice = items.set_column(0, "item_id", [["same"] * items.num_rows])
    pq.write_table(twice, folder / "items.parquet")


def other_items(folder: Path) -> None:
    items = pq.read_table(folder / "items.parquet")
    ids = [f"other-{n}" for n in range(items.num_rows)]
    pq.write_table(items.set_column(0, "item_id", [ids]), folder / "items.parquet")


def shorter_vectors(folder: Path) -> None:
    np.save(folder / "retrieval_vectors.npy", np.zeros((120, 4), np.float32))


def no_queries(folder: Path) -> None:
    (folder / "golden.json").write_text("{}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (narrower_interests, r"user_tower\.onnx: gives \[M, D\] = \[2, 8\], expected \[2, 9\]"),
        (drop_items, r"items\.parquet: has 119 items, the manifest says 120"),
        (repeat_an_item, r"items\.parquet: cannot be read as a catalogue: item_id 'same'"),
        (other_items, r"golden\.json names items that items\.parquet lacks"),
        (shorter_vectors, r"retrieval_vectors\.npy: is float32 \[120, 4\], the manifest says"),
        (no_queries, r"golden\.json: holds no golden queries: KeyError\('histories'\)"),
    ],
)
def test_what_does_not_fit_is_named(
    copy: Path, change: Callable[[Path], None], message: str
) -> None:
    change(copy)
    reseal(copy)
    with pytest.raises(BundleError, match=message):
        load_feed_model(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"index": None}, r"manifest\.json: index is missing"),
        ({"index": IndexFacts(kind="ivf_sq8")}, r"index\.faiss: is a IndexFlatIP"),
        ({"dimensions": {"items": 120}}, r"manifest\.json: dimensions are \['items'\], expected"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    copy: Path, changes: dict[str, Any], message: str
) -> None:
    reseal(copy, **changes)
    with pytest.raises(BundleError, match=message):
        load_feed_model(copy)


@pytest.mark.parametrize("name", ["items", "history", "retrieval", "interests", "history_length"])
@pytest.mark.parametrize("step", [-1, 1])
def test_a_wrong_dimension_is_refused(copy: Path, name: str, step: int) -> None:
    dimensions = read_manifest(copy).dimensions
    reseal(copy, dimensions=dimensions | {name: dimensions[name] + step})
    with pytest.raises(BundleError, match=r"(expected|the manifest says)"):
        load_feed_model(copy)


def test_a_large_catalogue_is_served_from_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_training, "FLAT_ITEMS", 500)
    manifest = make_feed_bundle(tmp_path / "feed", items=800)
    model = load_feed_model(tmp_path / "feed")
    assert manifest.index is not None
    assert manifest.index.kind == "ivf_sq8"
    past = invented_histories(800, np.random.default_rng(1), users=20)
    shares = []
    for interests in model.interests(past):
        rows, _ = model.retrieve(interests, 20, None)
        exact = exact_search(model.retrieval_vectors, interests, 20, None)
        shares.append(np.isin(best_of_interests(*exact, 20)[0], rows).mean())
    assert np.mean(shares) >= 0.9


def test_the_manifest_describes_the_files(bundle: Path) -> None:
    files = {path.name for path in bundle.iterdir()} - {MANIFEST}
    assert set(read_manifest(bundle).files) == files
