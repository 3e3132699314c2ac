import logging
from pathlib import Path

import pytest

from configs.schema import RecordsSection
from serving.__main__ import main
from serving.stores import records_of
from tests.conftest import SERVING_CONFIG


@pytest.fixture(autouse=True)
def _own_records(migrated_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE__RECORDS__FOLDER", str(tmp_path / "records"))
    monkeypatch.setenv("TIDEGATE__RECORDS__SECRETS", str(tmp_path / "secrets"))
    monkeypatch.setenv("TIDEGATE__FEEDS", str(SERVING_CONFIG.parent / "feeds"))


def run(*arguments: str) -> int:
    return main(["--config", str(SERVING_CONFIG), *arguments])


@pytest.mark.parametrize("option", ["--days=nan", "--rate=-1", "--burst=many", "--days=1e300"])
def test_a_key_of_no_sense_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("keys", "create", "shop", "--scope", "feed", option)
    assert "expected a number above 0" in capsys.readouterr().err


def test_keys_are_created_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("keys", "create", "shop", "--scope", "feed") == 0
    text = capsys.readouterr().out.strip()
    key_id = text.split("_")[1]
    assert run("keys", "list") == 0
    listed = capsys.readouterr().out
    assert key_id in listed
    assert text not in listed
    assert run("keys", "revoke", key_id) == 0
    assert run("keys", "revoke", key_id) == 1


def test_the_audit_trail_is_verified_and_damage_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("keys", "create", "shop", "--scope", "feed")
    assert run("audit", "verify") == 0
    assert "1 rows, 1 heads, 0 faults" in capsys.readouterr().out
    run("keys", "create", "other", "--scope", "feed")
    section = RecordsSection(folder=tmp_path / "records", secrets=tmp_path / "secrets")
    records = records_of(section)
    with records.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM audit WHERE sequence = 2")
    records.close()
    assert run("audit", "verify") == 1
    assert "row 2: missing, a head names it" in capsys.readouterr().out


def test_other_machines_are_not_served_without_keys(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE__HTTP__ADDRESS", "0.0.0.0")  # noqa: S104
    with caplog.at_level(logging.ERROR, "tidegate"):
        assert run("--host", "uvicorn") == 1
    assert "set access.required to true" in caplog.text
