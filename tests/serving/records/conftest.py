"""The same records on SQLite and on a real PostgreSQL; both are migrated once a session."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from serving.records import schema
from serving.records.database import Records, open_records
from serving.records.secret_keys import Secrets
from serving.records.tables import metadata

SECRETS = Secrets(audit=b"a" * 32, subject=b"s" * 32)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("records") / "records.db"
    engine = create_engine(f"sqlite:///{path}")
    schema.upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_url: str) -> str:
    records = open_records(postgresql_url, SECRETS)
    schema.upgrade(records.engine)
    records.close()
    return postgresql_url


@pytest.fixture(params=["sqlite", "postgresql"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "records.db")
        opened = open_records(f"sqlite:///{tmp_path / 'records.db'}", SECRETS)
    else:
        opened = open_records(request.getfixturevalue("migrated_postgresql"), SECRETS)
        names = ", ".join(t.name for t in metadata.sorted_tables if t.name != "sequences")
        with opened.engine.begin() as connection:
            connection.execute(text(f"truncate {names}"))
            connection.execute(text("update sequences set value = 0"))
    yield opened
    opened.close()
