import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from training.datasets import amazon, generic, kuairand, movielens
from training.datasets.interactions import Interactions, checked
from training.datasets.load import fingerprint, load_dataset
from training.log import encode

EVENTS = {
    "user_id": [1, 1, 2],
    "item_id": ["a", "b", "a"],
    "time": [20, 10, 5],
    "type": ["play", "like", "play"],
    "watch_ms": [30_000.0, None, 1_000.0],
    "duration_ms": [60_000.0, 60_000.0, 60_000.0],
}


def write(folder: Path, ending: str) -> None:
    table = pa.table(EVENTS)
    if ending == "parquet":
        pq.write_table(table, folder / "events.parquet")
    elif ending == "csv":
        pacsv.write_csv(table, folder / "events.csv")
    else:
        lines = "\n".join(json.dumps(row) for row in table.to_pylist())
        (folder / "events.jsonl").write_text(lines)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_own_data_in_each_format(tmp_path: Path, ending: str) -> None:
    write(tmp_path, ending)
    data = load_dataset("interactions", tmp_path, 0)
    assert data.events["type"].to_pylist() == ["long_view", "like", "play"]
    assert data.positives == ("long_view", "like")
    assert data.items["item_id"].to_pylist() == ["a", "b"]
    log = encode(data)
    assert log.watch_ratio.tolist() == pytest.approx([-1, 0.5, 1 / 60])  # sorted by user and time
    assert log.positive.tolist() == [True, True, False]


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no events"):
        generic.load(tmp_path)
    pq.write_table(pa.table({"user_id": ["a"]}), tmp_path / "events.parquet")
    with pytest.raises(ValueError, match=r"lack \['item_id', 'time'\]"):
        generic.load(tmp_path)
    with pytest.raises(ValueError, match="--data"):
        load_dataset("kuairand", None, 0)


def test_events_of_unknown_items_or_types_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "parquet")
    data = generic.load(tmp_path)
    fewer = data.items.slice(0, 1)
    with pytest.raises(ValueError, match=r"events\.item_id: 1 unknown, first b"):
        checked(Interactions(data.events, fewer, data.users, data.positives))
    column = data.events.column_names.index("type")
    strange = data.events.set_column(column, "type", pa.array(["stare"] * 3))
    with pytest.raises(ValueError, match=r"events\.type: 3 unknown, first stare"):
        checked(Interactions(strange, data.items, data.users, data.positives))


def test_fingerprint_follows_the_events(tmp_path: Path) -> None:
    write(tmp_path, "parquet")
    data = generic.load(tmp_path)
    other = Interactions(data.events.slice(1), data.items, data.users, data.positives)
    assert fingerprint(data) == fingerprint(generic.load(tmp_path))
    assert fingerprint(data) != fingerprint(other)


def test_sequences_of_shown_and_liked_videos_merge_in_order() -> None:
    merged = kuairand.merged_sequence([1, 2, 1, 3], [9, 2, 3], [1])
    assert merged == [
        (9, "long_view"),
        (1, "impression"),
        (2, "long_view"),
        (1, "impression"),
        (1, "like"),
        (3, "long_view"),
    ]


@pytest.mark.real_data
def test_real_sets_have_their_published_sizes(data_root: Path) -> None:
    films = movielens.load(data_root / "ml-100k")
    beauty = amazon.load(data_root / "amazon-beauty")
    videos = kuairand.load(data_root / "kuairand-pure-dev")
    sizes = [(len(d.events), len(d.items), len(d.users)) for d in (films, beauty)]
    assert sizes == [(100_000, 1_682, 943), (198_502, 12_101, 22_363)]
    assert (len(videos.items), len(videos.users)) == (7_583, 19_190)
    impressions = encode(videos).logged.sum()
    assert impressions > 156_594
