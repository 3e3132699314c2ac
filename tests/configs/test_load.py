from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from configs.load import ConfigError, load
from configs.schema import Section


class Server(Section):
    port: int = Field(default=8000, ge=1, le=65535)
    hosts: tuple[str, ...] = ("127.0.0.1",)


class Settings(Section):
    server: Server = Server()
    name: str = "demo"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text("# python -m demo\nserver:\n  port: 9000\n")
    return path


def test_reads_values_and_keeps_defaults(file: Path) -> None:
    settings = load(file, Settings, {})
    assert settings.server.port == 9000
    assert settings.name == "demo"


def test_environment_overrides_keep_their_type(file: Path) -> None:
    environ = {"TIDEGATE__SERVER__PORT": "9100", "TIDEGATE__SERVER__HOSTS": "[a, b]", "PATH": "x"}
    server = load(file, Settings, environ).server
    assert (server.port, server.hosts) == (9100, ("a", "b"))


def test_variables_of_other_sections_are_left_alone(file: Path) -> None:
    assert load(file, Settings, {"TIDEGATE__STATE__URL": "redis://x"}).server.port == 9000


def test_settings_are_frozen(file: Path) -> None:
    settings = load(file, Settings, {})
    with pytest.raises(ValidationError, match="frozen"):
        settings.name = "other"


@pytest.mark.parametrize(
    ("text", "environ", "parts"),
    [
        ("server:\n  port: 99999\n", {}, ["settings.yaml", "server.port", "99999", "65535"]),
        ("server:\n  prot: 1\n", {}, ["settings.yaml", "server.prot", "Extra"]),
        ("name: 3\n", {}, ["name = 3", "string"]),
        ("name: x\n", {"TIDEGATE__SERVER__PORT": "zero"}, ["TIDEGATE__SERVER__PORT", "'zero'"]),
        ("- a list\n", {}, ["settings.yaml", "mapping", "list"]),
        ("a: [\n", {}, ["settings.yaml", "cannot be read"]),
    ],
)
def test_errors_name_file_key_value_and_limit(
    file: Path, text: str, environ: dict[str, str], parts: list[str]
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, Settings, environ)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        load(tmp_path / "absent.yaml", Settings, {})
