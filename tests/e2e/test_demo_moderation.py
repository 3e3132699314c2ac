"""The five drawn items of the demo come out as they are meant to."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from models.bundle import publish
from serving.demo_moderation import LINK, show
from tests.e2e.server import running
from tests.feed_bundles import make_feed_bundle


@dataclass(frozen=True)
class Reached:
    address: str
    key: str = ""


def test_five_items(
    tmp_path: Path, moderation_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_feed_bundle(tmp_path / "made", 50, seed=0)
    publish(tmp_path / "made", tmp_path / "bundles", "feed")
    publish(moderation_bundle, tmp_path / "bundles", "moderation")
    with running("uvicorn", tmp_path / "bundles", tmp_path / "server") as server:
        show(Reached(f"http://127.0.0.1:{server.port}"))
    text = capsys.readouterr().out
    clean, caption, picture, code, copy = text.split("\n\n")[1:]
    assert "clean" in clean
    assert "commerce/" not in clean
    assert "block in CN  (*: hidden)" in caption
    assert "'全 网最低' in title" in caption
    assert "in ocr:0 at (" in picture
    assert f"{LINK!r} in picture:0 at (" in code
    assert "rights/reupload: a copy of originals/bank-" in copy
