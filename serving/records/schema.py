"""Bringing the database to the schema that this version expects."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = "head"


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing, in one transaction."""
    with engine.execution_options(writes=True).begin() as connection:
        command.upgrade(configuration(connection), NEWEST)


def downgrade(engine: Engine, revision: str) -> None:
    """Undo migrations down to a revision; ``base`` undoes all and loses every record."""
    with engine.execution_options(writes=True).begin() as connection:
        command.downgrade(configuration(connection), revision)


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for one connection; no ini file stands behind it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
