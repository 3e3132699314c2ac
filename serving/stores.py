"""Opening the records: configuration in, protocols out."""

import os

from configs.load import ConfigError
from configs.schema import RecordsSection
from serving.records import schema
from serving.records.contracts import Stores
from serving.records.database import Records, open_records
from serving.records.moderation_store import moderation_records
from serving.records.secret_keys import load_secrets
from serving.records.store import (
    SqlAuditTrail,
    SqlBundles,
    SqlCatalogue,
    SqlControls,
    SqlErasures,
    SqlKeys,
    SqlUsers,
    SqlVisibility,
)

SQLITE_FILE = "records.db"


def records_of(section: RecordsSection) -> Records:
    """Open the database of a configuration.

    Raises:
        ConfigError: the url is of no known kind, or a secret is too short or open to others.
        CorruptStore: the SQLite file cannot be read; it was set aside.
    """
    url = section.url or f"sqlite:///{section.folder.resolve() / SQLITE_FILE}"
    try:
        return open_records(url, load_secrets(section.secrets, os.environ))
    except (ValueError, PermissionError) as error:
        raise ConfigError(f"records: {error}") from error


def migrate(section: RecordsSection) -> None:
    """Bring the schema to what this version expects; once, before any replica starts.

    Raises:
        ConfigError: see `records_of`.
        RecordsError: the database cannot be reached or read.
    """
    records = records_of(section)
    try:
        with records.named_faults():
            schema.upgrade(records.engine)
    finally:
        records.close()


def open_stores(section: RecordsSection) -> Stores:
    """Open the records behind their protocols; the schema is there already.

    Raises:
        ConfigError: see `records_of`.
        CorruptStore: see `records_of`.
    """
    return stores_of(records_of(section))


def stores_of(records: Records) -> Stores:
    """Every protocol over one database."""
    return Stores(
        SqlCatalogue(records),
        SqlVisibility(records),
        SqlUsers(records),
        SqlErasures(records),
        SqlKeys(records),
        SqlBundles(records),
        SqlControls(records),
        SqlAuditTrail(records),
        moderation_records(records),
        records.close,
    )
