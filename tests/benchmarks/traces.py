"""Where a word can still be found below a folder: an independent look into every file.

Parquet is decoded, SQLite read table by table, the append-only files of a state server loaded by a
server of our own, and every file searched as bytes besides.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from redis import Redis

from serving.live.supervisor import StateServer

APPEND_ONLY = "appendonlydir"
READERS: dict[str, Any] = {
    "string": lambda client, key: client.get(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    "hash": lambda client, key: client.hgetall(key),
    "stream": lambda client, key: client.xrange(key),
}


def traces(folder: Path, word: str) -> list[str]:
    """Places that hold the word, each named by file and what in it, relative to the folder."""
    found = [f"{path.relative_to(folder)}" for path in _files(folder) if _in_file(path, word)]
    for path in folder.rglob(APPEND_ONLY):
        found += [f"{path.relative_to(folder)}: key {key}" for key in _keys(path.parent, word)]
    return sorted(found)


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _in_file(path: Path, word: str) -> bool:
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # a running server replaced it
        return False
    if word.encode() in data:
        return True
    if path.suffix == ".parquet":
        return _in_table(pq.read_table(pa.BufferReader(data)), word)
    return data.startswith(b"SQLite format 3") and any(_rows_with(path, word))


def _in_table(table: pa.Table, word: str) -> bool:
    return any(_in_column(column, word) for column in table.columns)


def _in_column(column: pa.ChunkedArray, word: str) -> bool:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return False
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        hexadecimal = word.encode().hex()  # as rejected entries are kept
        found = (pc.any(pc.match_substring(column, text)) for text in (word, hexadecimal))
        return any(one.as_py() for one in found)
    return word in repr(column.to_pylist())


def _rows_with(path: Path, word: str) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        names = database.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (name,) in names:
            for row in database.execute(f'select * from "{name}"'):  # noqa: S608
                if word in repr(row):
                    yield name


def _keys(state: Path, word: str) -> list[str]:
    """Keys of a copy of a state server's folder whose name or value holds the word."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(state / APPEND_ONLY, Path(name) / APPEND_ONLY)
        server = StateServer(Path(name), fsync="everysec")
        server.start()
        try:
            with Redis.from_url(
                server.url, encoding_errors="replace", decode_responses=True
            ) as client:
                return [key for key in client.scan_iter() if word in _shown(client, key)]
        finally:
            server.stop()


def _shown(client: Redis, key: str) -> str:
    return repr((key, READERS[str(client.type(key))](client, key)))
