"""``python -m serving keys …``, ``audit …``, ``backup …``: what operators do beside the server."""

import argparse
import os
from contextlib import closing

from configs.schema import ServingConfig
from serving.audit import add_audit_parser, heads_file, publish_head
from serving.backup import add_backup_parser
from serving.keys import ACTOR, add_keys_parser
from serving.records.contracts import Keys, NewKey
from serving.records.secret_keys import load_secrets
from serving.stores import migrate, open_stores

DEMO = "demo"


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Mount the commands; without one the server is started."""
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    add_keys_parser(commands)
    add_audit_parser(commands)
    add_backup_parser(commands)


def run_command(options: argparse.Namespace, serving: ServingConfig) -> int:
    """Run the chosen command; return its exit status.

    Raises:
        ConfigError: the records' url or secrets cannot be used.
        RecordsError: the database cannot be reached or read.
    """
    if options.command == "backup":
        return int(options.run(options, serving))
    section = serving.records
    migrate(section)
    with closing(open_stores(section)) as stores:
        if options.command == "keys":
            status = int(options.run(options, stores.keys))
            publish_head(stores.trail, heads_file(section.secrets))
            return status
        key = load_secrets(section.secrets, os.environ).audit
        return int(options.run(options, stores.trail, heads_file(section.secrets), key))


def demo_key(keys: Keys) -> str:
    """Return a new key for everything; that of the demo before ends."""
    for key in keys.listed():
        if key.principal == DEMO and key.revoked_at_ms is None:
            keys.revoke(ACTOR, key.key_id)
    return keys.create(ACTOR, NewKey(DEMO, ["admin"], rate_per_s=1_000, burst=2_000))
