"""``python -m serving audit …``: verify the audit trail and keep its heads outside the database."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving.records.audit import read_heads, verify, write_head
from serving.records.contracts import AuditRow, AuditTrail
from serving.records.errors import RecordsError

log = logging.getLogger("tidegate.audit")

PAGE_ROWS = 5_000
HEAD_INTERVAL_S = 60.0


def add_audit_parser(commands: Any) -> None:
    """Mount ``audit`` on an argparse sub-command collection; its `run` takes trail, heads, key."""
    parser = commands.add_parser("audit", help="verify the audit trail")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("verify", help="find changed, removed, moved and cut-off rows")
    check.set_defaults(run=run_verify)


def run_verify(_: argparse.Namespace, trail: AuditTrail, heads: Path, key: bytes) -> int:
    """Print what is wrong, one line a fault; 0 when the trail is whole, else 1."""
    try:
        known = read_heads(heads)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    faults = verify(all_rows(trail), known, key)
    newest = trail.newest_head()
    checked = f"{newest.sequence if newest else 0} rows, {len(known)} heads"
    sys.stdout.write("\n".join([*faults, f"{checked}, {len(faults)} faults"]) + "\n")
    return 1 if faults else 0


def heads_file(secrets: Path) -> Path:
    """Where heads are kept: outside the database, beside the key of the chain."""
    return secrets / "audit.heads"


def publish_head(trail: AuditTrail, heads: Path) -> bool:
    """Write the newest head outside the database, if it moved."""
    head = trail.newest_head()
    written = read_heads(heads)
    if head is None or (written and written[-1] == head):
        return False
    write_head(heads, head)
    return True


async def keep_heads(trail: AuditTrail, heads: Path) -> None:
    """Write the newest head outside the database every minute, until cancelled."""
    while True:
        try:
            await asyncio.to_thread(publish_head, trail, heads)
        except (RecordsError, OSError, ValueError) as error:
            log.error("the head of the audit trail is not written: %s", error)
        await asyncio.sleep(HEAD_INTERVAL_S)


def all_rows(trail: AuditTrail) -> Iterator[AuditRow]:
    """Every row, oldest first, a page at a time."""
    after = 0
    while page := trail.rows(after, PAGE_ROWS):
        yield from page
        after = page[-1].sequence
