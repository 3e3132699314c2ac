"""MovieLens-100K (GroupLens): explicit film ratings, all of them taken as positive."""

import csv
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from training.datasets.interactions import Interactions, checked
from training.datasets.tables import events_table

POSITIVES = ("rating",)


def load(folder: Path) -> Interactions:
    """Read ``interactions.parquet``, ``items.csv.gz`` and ``users.csv.gz``.

    Raises:
        FileNotFoundError: one of the three files is not there.
        ValueError: the tables break the contract.
    """
    ratings = pq.read_table(folder / "interactions.parquet").to_pydict()
    count = len(ratings["user_id"])
    events = events_table(
        ratings["user_id"],
        ratings["item_id"],
        [int(second) * 1000 for second in ratings["timestamp"]],
        ["rating"] * count,
        weights=[float(rating) for rating in ratings["rating"]],
    )
    return checked(
        Interactions(
            events, film_items(folder / "items.csv.gz"), people(folder / "users.csv.gz"), POSITIVES
        )
    )


def film_items(path: Path) -> pa.Table:
    """Films in the Item contract: title, genres and decade as tags."""
    films = read_csv(path)
    return pa.table(
        {
            "item_id": pa.array([film["item_id"] for film in films]),
            "kind": pa.array(["video"] * len(films)),
            "title": pa.array([film["title"] for film in films]),
            "tags": pa.array([film_tags(film) for film in films], pa.list_(pa.string())),
        }
    )


def film_tags(film: dict[str, str]) -> list[str]:
    """Genres and the release decade of one film."""
    year = film["release_year"].strip()
    return film["genres"].split() + ([f"decade:{year[:3]}0"] if year else [])


def people(path: Path) -> pa.Table:
    """The users with age, gender and occupation."""
    rows = read_csv(path)
    return pa.table({name: pa.array([row[name] for row in rows]) for name in rows[0]})


def read_csv(path: Path) -> list[dict[str, str]]:
    """All rows of a gzipped CSV file with a header."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
