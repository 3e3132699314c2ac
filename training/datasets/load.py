"""Datasets by name, each from a folder that the user names."""

import hashlib
from pathlib import Path

import pyarrow as pa

from training.datasets import amazon, generic, kuairand, movielens
from training.datasets.interactions import Interactions

READERS = {
    "kuairand": kuairand.load,
    "movielens": movielens.load,
    "amazon": amazon.load,
    "interactions": generic.load,
}
DATASETS = (*READERS, "simulator")


def load_dataset(name: str, folder: Path | None, seed: int) -> Interactions:
    """Read the dataset `name` from `folder`; the simulator draws a world by `seed` instead.

    The interactions of our own server are named by its configuration, a ``.yaml`` file.

    Raises:
        ValueError: a folder is needed and none is given, or its tables break the contract.
        FileNotFoundError: the folder lacks a file.
    """
    if name == "simulator":
        from training.datasets.simulator import load

        return load(folder, seed)
    if folder is None:
        raise ValueError(f"--data: the dataset {name} is read from a folder; name it")
    if name == "interactions" and folder.suffix == ".yaml":
        from training.datasets.event_log import load as load_log

        return load_log(folder)
    return READERS[name](folder)


def fingerprint(interactions: Interactions) -> str:
    """Digest of all events, so that a bundle says exactly what it was trained on."""
    events = interactions.events.select(["user_id", "item_id", "time", "type"]).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, events.schema) as stream:
        stream.write_table(events)
    return hashlib.sha256(sink.getvalue()).hexdigest()[:16]
