"""``python -m serving keys …``: create, list and revoke API keys."""

import argparse
import math
import sys
from collections.abc import Callable
from typing import Any

from serving.records.access import SCOPES, ApiKey
from serving.records.contracts import Keys, NewKey
from serving.records.errors import RecordsError

DAY_MS = 86_400_000
LARGEST = 100_000.0  # days: longer than any server
ACTOR = "operator"  # whoever may run commands on the server's machine


def add_keys_parser(commands: Any) -> None:
    """Mount ``keys`` on an argparse sub-command collection; its default `run` takes `Keys`."""
    parser = commands.add_parser("keys", help="create, list and revoke API keys")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser("create", help="print a new key; it is shown once")
    new.add_argument("principal", help="who will use it")
    new.add_argument("--scope", action="append", required=True, choices=SCOPES, dest="scopes")
    new.add_argument("--rate", type=_positive, default=100.0, help="requests a second (100)")
    new.add_argument("--burst", type=_positive, default=200.0, help="requests at once (200)")
    new.add_argument("--days", type=_positive, help="lifetime in days; without it, no end")
    new.set_defaults(run=answering(_create))
    actions.add_parser("list", help="all keys, without their secrets").set_defaults(
        run=answering(_list)
    )
    end = actions.add_parser("revoke", help="end a key")
    end.add_argument("key_id")
    end.set_defaults(run=answering(_revoke))


def answering(
    act: Callable[[argparse.Namespace, Keys], str],
) -> Callable[[argparse.Namespace, Keys], int]:
    """Turn an act into a command: its words on stdout and 0, or what was refused and 1."""

    def run(arguments: argparse.Namespace, keys: Keys) -> int:
        try:
            sys.stdout.write(act(arguments, keys) + "\n")
        except RecordsError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        return 0

    return run


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= LARGEST:
        message = f"{text!r}; expected a number above 0, at most {LARGEST:,.0f}"
        raise argparse.ArgumentTypeError(message)
    return number


def _create(arguments: argparse.Namespace, keys: Keys) -> str:
    lifetime_ms = None if arguments.days is None else int(arguments.days * DAY_MS)
    new = NewKey(
        arguments.principal, arguments.scopes, arguments.rate, arguments.burst, lifetime_ms
    )
    return keys.create(ACTOR, new)


def _list(_: argparse.Namespace, keys: Keys) -> str:
    header = "key_id        principal             scopes                          state"
    return "\n".join([header, *map(_line, keys.listed())])


def _revoke(arguments: argparse.Namespace, keys: Keys) -> str:
    keys.revoke(ACTOR, arguments.key_id)
    return f"revoked {arguments.key_id}"


def _line(key: ApiKey) -> str:
    state = "revoked" if key.revoked_at_ms is not None else "active"
    if key.expires_at_ms is not None and key.revoked_at_ms is None:
        state = f"until {key.expires_at_ms} ms"
    return f"{key.key_id:<13} {key.principal:<21} {','.join(sorted(key.scopes)):<31} {state}"
