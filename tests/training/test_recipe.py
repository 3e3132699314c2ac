"""The recipe from a folder of events to a published bundle, and its judgement, on small data."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from embeddings.feed_model import load_feed_model
from models.bundle import current
from tests.training.logs import random_interactions
from training import evaluate, publish, train_two_tower
from training.report import print_report

CONFIG = """# python -m training.train_two_tower --dataset interactions --data PATH --out OUT
towers: {dimensions: 8, history_length: 20}
linear: {kind: ease, dimensions: 4}
fit: {epochs: 4, evaluate_every: 2, batch_size: 32, learning_rate: 0.05}
"""


def last_json(text: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    return report


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of events of different users, and a configuration."""
    root = tmp_path_factory.mktemp("recipe")
    (root / "small.yaml").write_text(CONFIG)
    for name, prefix in (("data", ""), ("others", "new-")):
        folder = root / name
        folder.mkdir()
        data = random_interactions(users=120, seed=len(name))
        events = data.events
        ids = [prefix + user for user in events["user_id"].to_pylist()]
        column = events.column_names.index("user_id")
        pq.write_table(events.set_column(column, "user_id", [ids]), folder / "events.parquet")
        pq.write_table(data.items, folder / "items.parquet")
    return root


def train(root: Path, protocol: str) -> Path:
    out = root / protocol
    if not out.exists():
        train_two_tower.main(
            f"--dataset interactions --data {root / 'data'} --out {out} --protocol {protocol}"
            f" --config {root / 'small.yaml'} --threads 1".split()
        )
    return out


def judge(root: Path, bundle: Path, protocol: str, *more: str, data: str = "data") -> None:
    evaluate.main(
        [
            *f"retrieval --bundle {bundle} --dataset interactions --data {root / data}".split(),
            *("--protocol", protocol),
            *more,
        ]
    )


def test_bundle_is_whole_and_says_where_it_comes_from(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = train(root, "unseen-users")
    report = last_json(capsys.readouterr().out)
    assert report["figures"]["parity"] <= 1e-4
    assert report["figures"]["epochs"] in {2, 4}
    model = load_feed_model(bundle)
    data = model.manifest.data
    assert (data.protocol, data.items, model.manifest.seed) == ("unseen-users", 40, 0)
    assert data.users < 120
    assert model.manifest.dimensions["retrieval"] == 8 + 4 + 2
    assert (model.popularity >= 0).all()


def test_table_holds_every_model_and_interval(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = train(root, "unseen-users")
    judge(root, bundle, "unseen-users")
    report = last_json(capsys.readouterr().out)
    models = {row["model"] for row in report["rows"]}
    assert models == {
        "two_tower",
        "popularity",
        "item_item",
        "ease",
        "ease_recency",
        "transitions",
        "ials",
    }
    assert all({"recall@50", "recall@200", "ndcg@10"} <= set(row) for row in report["rows"])
    ratio, low, high = report["figures"]["ease"]["ndcg@10"]
    assert low <= ratio <= high


def test_others_are_scored_with_baselines_of_the_fit_data(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = train(root, "unseen-users")
    judge(root, bundle, "unseen-users", "--fit-data", str(root / "data"), data="others")
    report = last_json(capsys.readouterr().out)
    assert 100 < report["figures"]["users"] <= 120
    with pytest.raises(SystemExit, match="share 120 users"):
        judge(root, bundle, "unseen-users", "--fit-data", str(root / "data"))


def test_a_bundle_of_another_protocol_is_refused(root: Path) -> None:
    with pytest.raises(SystemExit, match="trained with --protocol unseen-users"):
        judge(root, train(root, "unseen-users"), "leave-last-out")


def test_cold_items_are_ranked_by_content(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = train(root, "cold-items")
    model = load_feed_model(bundle)
    assert len(model.vocabulary) < 40
    judge(root, bundle, "cold-items")
    report = last_json(capsys.readouterr().out)
    assert [row["model"] for row in report["rows"]] == ["two_tower", "popularity"]


def test_publishing_switches_and_goes_back(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = train(root, "unseen-users"), train(root, "cold-items")
    bundles = root / "bundles"
    for bundle in (first, second, first):
        publish.main(["--bundle", str(bundle), "--bundles", str(bundles)])
        version = last_json(capsys.readouterr().out)["figures"]["version"]
        assert current(bundles, "feed").name == version == load_feed_model(bundle).version
    (second / "user_tower.onnx").write_bytes(b"damaged")
    with pytest.raises(SystemExit, match=r"not published: .*user_tower\.onnx"):
        publish.main(["--bundle", str(second), "--bundles", str(bundles)])


def test_an_existing_bundle_is_never_overwritten(root: Path) -> None:
    bundle = train(root, "unseen-users")
    with pytest.raises(SystemExit, match="bundles are immutable"):
        train_two_tower.main(["--dataset", "movielens", "--out", str(bundle)])


def test_report_is_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    ok = print_report("x", figures={"a": 1 / 3, "b": float("nan")}, bars={"b": False}, seed=1)
    report = last_json(capsys.readouterr().out)
    assert not ok
    assert report["ok"] is False
    assert report["figures"] == {"a": 0.333333, "b": None}
    assert {"name", "bars", "seed", "machine"} <= set(report)
