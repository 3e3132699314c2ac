"""`docs/serve.md` and `docs/feed.md` name every setting and every stable code."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from configs.exposure import ExposureConfig
from configs.feed import FeedConfig
from configs.schema import ServingConfig
from serving.feed.filters import DEFAULT_FILTERS, FACT_FILTERS
from serving.feed.words import WORDS

ROOT = Path(__file__).parents[2]
PAGES = ("serve.md", "feed.md")
PAGE = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in PAGES)
CORE = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "serving").rglob("*.py"))


def keys(schema: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in schema.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            found += keys(section, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


@pytest.mark.parametrize("key", keys(ExposureConfig))
def test_every_limit_of_the_ladder_is_explained(key: str) -> None:
    page = (ROOT / "docs" / "exposure.md").read_text(encoding="utf-8")
    assert f"`{key}`" in page


@pytest.mark.parametrize("key", keys(ServingConfig) + keys(FeedConfig))
def test_every_setting_is_explained(key: str) -> None:
    assert f"`{key}`" in PAGE


def test_every_code_is_explained() -> None:
    errors = re.findall(r'(?:ApiError\(\s*\d{3}, |MediaError\(\s*)"(\w+)"', CORE)
    degraded = re.findall(
        r'"(unknown_\w+|\w+_unknown|\w+_unreachable|interests_not_finite|not_personalised)"', CORE
    )
    reasons = list(WORDS)
    removed = [rule.reason for rule in DEFAULT_FILTERS + FACT_FILTERS] + ["unknown", "repeated"]
    for codes in (errors, degraded, reasons, removed):
        assert codes
        assert not [code for code in codes if f"`{code}`" not in PAGE]
