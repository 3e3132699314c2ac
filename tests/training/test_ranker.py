"""The ranker's recipe on a small simulated world, and that serving computes what training did."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.load import load
from configs.ranking import DataSection, NetworkSection, RankerConfig, RankerFitSection
from embeddings.content import content_of
from embeddings.feed_model import FeedModel, load_feed_model
from embeddings.live_model import LiveModel
from embeddings.ranker_model import ranker_facts
from models.bundle import BundleError, file_facts
from models.features import History, batch_histories, empty_history
from models.ranking_features import ItemCounters, RankingContext
from models.tasks import PREDICTIONS, TASKS, WATCH_RATIO
from tests.training.logs import random_interactions
from training import evaluate, train_ranker, train_two_tower, tree_baseline
from training.datasets.load import load_dataset
from training.fit_ranker import fit_ranker, logits
from training.log import encode
from training.ranking_arrays import hours_of, places_of
from training.ranking_examples import past_of
from training.ranking_study import Study, as_requests, in_rows_of, study_of, unshown

WORLD = "world: {users: 120, items: 80}\nlog: {days: 5, recorded_share: 0.2}\n"
TOWERS = """
towers: {dimensions: 8, history_length: 20}
linear: {kind: ease, dimensions: 4}
fit: {epochs: 1, evaluate_every: 1, batch_size: 32, learning_rate: 0.05}
"""
RANKER = """
data: {least_reactions: 20, impressions_limit: 3000}
network: {seeds: 2, hidden: 16, width: 8, dropout: 0.1}
fit: {epochs: 3, batch_size: 128}
"""

TAUGHT = """
data: {least_reactions: 20, impressions_limit: 2000, test_share: 0.5}
network: {seeds: 1, hidden: 8, width: 4, dropout: 0}
fit: {epochs: 1}
distil: {pairs: 2, least_reactions: 200, network: {seeds: 2, hidden: 8, width: 4}}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle of towers and the bundle with the ranker in it."""
    root = tmp_path_factory.mktemp("ranker")
    for name, text in (("world", WORLD), ("towers", TOWERS), ("ranker", RANKER)):
        (root / f"{name}.yaml").write_text(text)
    data = f"--dataset simulator --data {root / 'world.yaml'} --threads 1"
    train_two_tower.main(
        (
            f"{data} --protocol time-split --out {root / 'towers'} --config {root / 'towers.yaml'}"
        ).split()
    )
    train_ranker.main(
        f"{data} --bundle {root / 'towers'} --out {root / 'ranked'}"
        f" --config {root / 'ranker.yaml'}".split()
    )
    return root


@pytest.fixture(scope="module")
def model(root: Path) -> FeedModel:
    return load_feed_model(root / "ranked")


@pytest.fixture(scope="module")
def study(root: Path, model: FeedModel) -> Study:
    window = model.manifest.data.window
    assert window is not None
    config = load(root / "ranker.yaml", RankerConfig)
    data = load_dataset("simulator", root / "world.yaml", 0)
    return study_of(model, data, config.data, window[1], window[1])


def test_the_bundle_is_a_new_version_with_the_same_towers(root: Path, model: FeedModel) -> None:
    towers = load_feed_model(root / "towers")
    assert towers.ranker is None
    assert model.ranker is not None
    assert model.manifest.parent == towers.version != model.version
    assert model.manifest.files["user_tower.onnx"] == towers.manifest.files["user_tower.onnx"]
    assert {"long_view", "click", "negative"} <= set(model.ranker.facts.tasks)


def test_serving_computes_what_training_learned_from(
    root: Path, model: FeedModel, study: Study
) -> None:
    assert model.ranker is not None
    data = load_dataset("simulator", root / "world.yaml", 0)
    log = in_rows_of(model, data)
    past = past_of(log, 200, reads_impressions=False)
    places = places_of(data.users, "UTC", study.end_ms)
    hours = hours_of(study.shown, places)
    rates, tasks = study.rates(np.ones(len(study.shown), bool), DataSection(least_reactions=20))
    for e in (0, 700, len(study.shown) - 1):
        user, row = int(study.shown.user_rows[e]), int(study.shown.item_rows[e])
        time_ms = int(study.shown.time_ms[e])
        region = int(places.regions[user])
        history = past.before(user, time_ms)
        context = RankingContext(
            interests=interests_of(model, history),
            history=history,
            now_ms=time_ms,
            local_hour=float(hours[e]),
            region=places.names[region] if region >= 0 else None,
            counters=study_counters(study, model, e),
        )
        served = model.ranker.inputs(context, np.array([row]))
        pairs, rated = study.pairs.shape[1], study.data(rates, tasks).user[e]
        np.testing.assert_allclose(served["user"][0], rated, atol=1e-5)
        np.testing.assert_allclose(served["cross"][0, :pairs], study.pairs[e], atol=1e-4)
        counters = study.data(rates, tasks).cross[e, pairs:]
        np.testing.assert_allclose(served["cross"][0, pairs:], counters, atol=1e-4)


def interests_of(model: FeedModel, history: History) -> Any:
    length = model.manifest.dimensions["history_length"]
    return model.interests(batch_histories([history], length))[0]


def study_counters(study: Study, model: FeedModel, e: int) -> ItemCounters:
    """Counters that say of the e-th impression's item and creator what the study does."""
    n, row, counts = len(model.vocabulary), int(study.shown.item_rows[e]), study.counts
    impressions = np.zeros(n, np.float32)
    reactions = np.zeros((n, len(TASKS)), np.float32)
    impressions[row], reactions[row] = counts.impressions[e], counts.reactions[e]
    creators = study.catalogue.keys[:, 0]
    siblings = np.flatnonzero((creators == creators[row]) & (np.arange(n) != row))
    rest = counts.creator_impressions[e] - counts.impressions[e]
    if len(siblings):
        impressions[siblings[0]] = rest
        reactions[siblings[0]] = counts.creator_reactions[e] - counts.reactions[e]
    else:
        assert rest == 0
    return ItemCounters(impressions, reactions, study.counters.published_at_ms)


def request(model: FeedModel, counters: ItemCounters) -> RankingContext:
    return RankingContext(
        interests=interests_of(model, empty_history()),
        history=empty_history(),
        now_ms=1_771_900_000_000,
        local_hour=12.0,
        region=None,
        counters=counters,
    )


def test_tasks_without_data_are_nan_and_the_rest_probabilities(model: FeedModel) -> None:
    assert model.ranker is not None
    rows = np.arange(30)
    predictions = model.ranker.predict(request(model, model.ranker.base), rows)
    told = [*map(PREDICTIONS.index, model.ranker.facts.tasks)]
    untold = [t for t in range(len(TASKS)) if t not in told]
    assert predictions.shape == (30, len(PREDICTIONS))
    assert untold
    assert np.isnan(predictions[:, untold]).all()
    assert ((predictions[:, told] > 0) & (predictions[:, told] < 1)).all()
    assert (predictions[:, PREDICTIONS.index(WATCH_RATIO)] >= 0).all()
    assert model.ranker.predict(request(model, model.ranker.base), rows[:0]).shape[0] == 0


def test_what_an_item_earned_raises_its_rate(model: FeedModel) -> None:
    assert model.ranker is not None
    n, liked = len(model.vocabulary), PREDICTIONS.index("long_view")
    shown = np.full(n, 400, np.float32)
    reactions = np.zeros((n, len(TASKS)), np.float32)
    published = model.ranker.base.published_at_ms
    low, high = reactions.copy(), reactions.copy()
    low[:, :2], high[:, :2] = (20, 40), (320, 360)
    rows = np.arange(20)
    of_low, of_high = (
        model.ranker.predict(request(model, ItemCounters(shown, r, published)), rows)[:, liked]
        for r in (low, high)
    )
    assert (of_high > of_low).mean() > 0.9


def test_a_late_item_is_ranked_by_its_content(model: FeedModel) -> None:
    live = LiveModel(model)
    assert live.ranker is not None
    known = model.items.take([0]).to_pylist()[0]
    live.put(live.embed(content_of([known | {"item_id": "late", "creator_id": "nobody"}])))
    row = live.vocabulary.row("late")
    assert row == len(model.vocabulary)
    assert live.ranker.base is not None
    predictions = live.ranker.predict(request(model, live.ranker.base), np.array([0, row]))
    told = [*map(PREDICTIONS.index, live.ranker.facts.tasks)]
    assert np.isfinite(predictions[:, told]).all()
    assert not np.array_equal(predictions[0, told], predictions[1, told])
    of_bundle = model.ranker
    assert of_bundle is not None
    # A matrix product may round differently for another number of rows.
    np.testing.assert_allclose(
        predictions[:1], of_bundle.predict(request(model, of_bundle.base), np.array([0])), rtol=1e-4
    )


def test_the_ranker_is_judged_beside_tuned_trees(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_baseline, "TRIED", tree_baseline.TRIED[:1])
    evaluate.main(
        f"ranker --bundle {root / 'ranked'} --dataset simulator --data {root / 'world.yaml'}"
        f" --config {root / 'ranker.yaml'}".split()
    )
    report = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    rows = {row["model"]: row for row in report["rows"]}
    assert set(rows) == {"ranker", "lightgbm", "item_rate", "two_tower", "popularity"}
    assert all(0 <= rows[name]["user_auc_long_view"] <= 1 for name in rows)
    gap, low, high = report["figures"]["user_auc_click_minus_lightgbm"]
    assert low <= gap <= high
    assert len(report["figures"]["observed_over_predicted_long_view"]) == 10
    assert report["figures"]["impressions"] > 50
    assert any("lower end" in bar for bar in report["bars"])


def test_a_bundle_that_may_know_the_answers_is_not_judged(root: Path) -> None:
    towers = load_feed_model(root / "towers")
    with pytest.raises(SystemExit, match="holds no ranker"):
        evaluate.main(f"ranker --bundle {root / 'towers'} --dataset simulator".split())
    assert towers.manifest.data.protocol == "time-split"


def test_a_taught_ranker_of_everything_is_not_judged(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_baseline, "TRIED", tree_baseline.TRIED[:2])
    (root / "taught.yaml").write_text(TAUGHT)
    data = f"--dataset simulator --data {root / 'world.yaml'} --config {root / 'taught.yaml'}"
    train = f"{data} --threads 1 --bundle {root / 'towers'} --seed 7"
    with pytest.raises(SystemExit, match="train them with --protocol before-log"):
        train_ranker.main(f"{train} --until time-split --out {root / 'never'}".split())
    train_ranker.main(f"{train} --until all --out {root / 'all'}".split())
    ranker = load_feed_model(root / "all").ranker
    assert ranker is not None
    assert ranker.facts.seed == 7
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]["tree_rounds"][0] > 0
    with pytest.raises(SystemExit, match="nothing is left to ask"):
        evaluate.main(f"ranker {data} --bundle {root / 'all'}".split())


def test_a_ranker_without_impressions_is_refused() -> None:
    data = random_interactions()
    options = train_ranker.parser().parse_args(
        ["--bundle", "towers", "--dataset", "simulator", "--out", "ranked"]
    )
    with pytest.raises(SystemExit, match="give --until time-split or all"):
        train_ranker.end_of(options, data, towers_end_ms=-1, test_share=0.3)
    options.until = "time-split"
    end_ms = train_ranker.end_of(options, data, towers_end_ms=-1, test_share=0.3)
    log = encode(data)
    assert (log.time_ms[log.logged] <= end_ms).mean() == pytest.approx(0.7, abs=0.02)


def test_pairs_that_were_not_shown_keep_user_and_moment(model: FeedModel, study: Study) -> None:
    asked, owners = unshown(model, study, 3, seed=0)
    assert len(asked.shown) == len(owners) == 3 * len(study.shown)
    np.testing.assert_array_equal(asked.user, study.user[owners])
    np.testing.assert_array_equal(asked.shown.user_rows, study.shown.user_rows[owners])
    same = asked.shown.item_rows == study.shown.item_rows[owners]
    assert 0 < same.mean() < 0.5
    np.testing.assert_allclose(asked.pairs[same], study.pairs[owners[same]], atol=1e-5)


def test_requests_share_one_history(model: FeedModel, study: Study) -> None:
    late = np.arange(len(study.shown)) > len(study.shown) // 2
    requests = as_requests(model, study, late)
    users = requests.shown.user_rows
    some = np.flatnonzero(users == np.bincount(users).argmax())
    assert len(some) > 2
    assert (requests.user[some] == requests.user[some[0]]).all()
    running = study.user[late]
    np.testing.assert_array_equal(requests.user[some[0]], running[some[0]])
    assert not (running[some] == running[some[0]]).all()


def test_what_is_not_to_be_read_changes_no_prediction(model: FeedModel, study: Study) -> None:
    rates, tasks = study.rates(np.ones(len(study.shown), bool), DataSection(least_reactions=20))
    blind = replace(study, reads_vectors=False).data(rates, tasks)
    section = RankerFitSection(epochs=1)
    network = fit_ranker(blind, NetworkSection(seeds=1, hidden=4, width=4), section, 0)
    seeing = study.data(rates, tasks)
    assert not np.array_equal(blind.items, seeing.items)
    np.testing.assert_array_equal(logits(network, blind), logits(network, seeing))


def test_a_bundle_of_another_dataset_is_refused(root: Path) -> None:
    with pytest.raises(SystemExit, match="trained on simulator, not on kuairand"):
        train_ranker.main(
            f"--bundle {root / 'towers'} --dataset kuairand --out {root / 'other'}".split()
        )


def test_a_ranker_that_answers_otherwise_is_not_loaded(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root / "ranked", copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    counters = np.load(copy / "ranker_counters.npy")
    np.save(copy / "ranker_counters.npy", counters[::-1] * 50)
    facts = file_facts(copy / "ranker_counters.npy")
    manifest["files"]["ranker_counters.npy"] = facts.model_dump()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"ranker\.onnx and ranker_golden\.npy disagree"):
        load_feed_model(copy)


def test_a_ranker_of_other_features_is_refused(root: Path, tmp_path: Path) -> None:
    facts = json.loads((root / "ranked" / "ranker.json").read_text())
    del facts["features"]  # as bundles had it before features were numbered
    (tmp_path / "ranker.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match=r"features of version 1.* version 2; train it anew"):
        ranker_facts(tmp_path / "ranker.json")
