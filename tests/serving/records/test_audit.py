import argparse
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update

from serving.audit import add_audit_parser, publish_head, run_verify
from serving.records import tables
from serving.records.audit import GENESIS, append, mac_of, read_heads, verify, write_head
from serving.records.contracts import AuditRow, Head
from serving.records.database import Records
from serving.records.store import SqlAuditTrail
from tests.serving.records.conftest import SECRETS

KEY = b"k" * 32
WORDS = st.text(st.characters(codec="utf-8"), max_size=8)


def chain(words: list[str], key: bytes = KEY) -> list[AuditRow]:
    rows, previous = [], GENESIS
    for n, word in enumerate(words, 1):
        bare = AuditRow(n, 1_000 + n, "ann", "act", word, "{}", "")
        rows.append(replace(bare, mac=mac_of(key, bare, previous)))
        previous = rows[-1].mac
    return rows


def head(row: AuditRow) -> Head:
    return Head(row.sequence, row.mac)


@given(st.lists(WORDS, max_size=12))
def test_an_untouched_chain_has_no_faults(words: list[str]) -> None:
    rows = chain(words)
    assert verify(rows, [head(row) for row in rows], KEY) == []


@given(st.lists(WORDS, min_size=1, max_size=12), st.data())
def test_any_changed_field_is_found(words: list[str], data: st.DataObject) -> None:
    rows = chain(words)
    n = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from(["at_ms", "actor", "action", "subject", "detail"]))
    fields = asdict(rows[n])
    fields[field] += 1 if field == "at_ms" else "x"
    rows[n] = AuditRow(**fields)
    assert verify(rows, [], KEY)


@given(st.lists(WORDS, min_size=2, max_size=12), st.data())
def test_removal_and_reorder_are_found(words: list[str], data: st.DataObject) -> None:
    rows = chain(words)
    n = data.draw(st.integers(0, len(rows) - 2))
    removed = rows[:n] + rows[n + 1 :]
    assert verify(removed, [], KEY)
    moved = [*rows]
    moved[n], moved[n + 1] = moved[n + 1], moved[n]
    assert verify(moved, [], KEY)
    renumbered = [replace(row, sequence=m) for m, row in enumerate(removed, 1)]
    assert verify(renumbered, [head(rows[-1])], KEY)


@given(st.lists(WORDS, min_size=2, max_size=12), st.data())
def test_truncation_is_found_up_to_the_last_head(words: list[str], data: st.DataObject) -> None:
    rows = chain(words)
    known = data.draw(st.integers(1, len(rows)))
    left = data.draw(st.integers(0, len(rows)))
    faults = verify(rows[:left], [head(rows[known - 1])], KEY)
    assert bool(faults) == (left < known)


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_a_chain_written_anew_without_the_key_is_found(words: list[str]) -> None:
    assert verify(chain(words, b"x" * 32), [], KEY)


def test_the_trail_of_the_database_verifies(
    records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trail, heads = SqlAuditTrail(records), tmp_path / "heads.jsonl"
    for n in range(5):
        records.write("ann", append, "act", f"s{n}", {"n": n, "text": "茶"})
    assert publish_head(trail, heads)
    assert not publish_head(trail, heads)
    parser = argparse.ArgumentParser()
    add_audit_parser(parser.add_subparsers())
    arguments = parser.parse_args(["audit", "verify"])
    assert arguments.run(arguments, trail, heads, SECRETS.audit) == 0
    assert "5 rows, 1 heads, 0 faults" in capsys.readouterr().out
    with records.engine.begin() as connection:
        connection.execute(
            update(tables.audit).where(tables.audit.c.sequence == 3).values(actor="bob")
        )
        connection.execute(delete(tables.audit).where(tables.audit.c.sequence == 5))
    assert run_verify(arguments, trail, heads, SECRETS.audit) == 1
    out = capsys.readouterr().out
    assert "row 3: its code does not fit" in out
    assert "row 5: missing, a head names it" in out


def test_a_head_cut_short_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    write_head(path, Head(1, "a"))
    with path.open("a") as file:
        file.write('{"sequence": 2, "m')
    assert read_heads(path) == [Head(1, "a")]
    path.write_text("nonsense\n")
    with pytest.raises(ValueError, match="not a file of audit heads"):
        read_heads(path)
