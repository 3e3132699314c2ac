"""Bringing the database to the schema that this version expects."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

MIGRATIONS = Path(__file__).parent / "migrations"
BASE, NEWEST = "base", "head"


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing, in one transaction."""
    with _changing(engine) as connection:
        command.upgrade(configuration(connection), NEWEST)


def downgrade(engine: Engine, revision: str) -> None:
    """Undo migrations down to a revision; ``base`` undoes all and loses every record."""
    with _changing(engine) as connection:
        command.downgrade(configuration(connection), revision)


def drift(connection: Connection) -> list[object]:
    """What separates the database from ``serving.records.tables``; empty when nothing does."""
    from alembic.autogenerate import compare_metadata

    from serving.records.tables import metadata

    return list(compare_metadata(MigrationContext.configure(connection), metadata))


def revision(connection: Connection) -> str | None:
    """The revision at which the database stands."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str | None:
    """The revision that this version expects."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for one connection; no ini file stands behind it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _changing(engine: Engine):  # type: ignore[no-untyped-def]
    return engine.execution_options(writes=True).begin()
