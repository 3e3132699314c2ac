import os
from pathlib import Path

import pytest

from configs.load import ConfigError
from embeddings.feed_model import load_feed_model
from serving.app import Settings, open_state, read_settings
from serving.feed.rules import FeedRules
from serving.feed_bundle import engine_of, golden_question, load_bundle
from serving.live_items import shelf_of
from tests.conftest import SERVING_CONFIG
from tests.feed_bundles import make_feed_bundle

FEEDS = {"TIDEGATE__FEEDS": str(SERVING_CONFIG.parent / "feeds")}


def rules_of(settings: Settings, surface: str | None) -> FeedRules:
    return settings.rulebook.rules(surface, None, 0)


def test_settings_hold_every_surface_and_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds" / "default.yaml").write_text("spread: {window: 5, limit: 1}")
    (tmp_path / "feeds" / "home.yaml").write_text("sources: {interest_candidates: 50}")
    monkeypatch.chdir(tmp_path)
    settings = read_settings(SERVING_CONFIG, {"TIDEGATE__FEEDS": "feeds"})
    assert set(settings.rulebook.surfaces) == {"default", "home"}
    assert rules_of(settings, "default").creator_window == 5
    assert rules_of(settings, "elsewhere").creator_window == 5
    assert rules_of(settings, "home").interest_candidates == 50
    assert rules_of(settings, "home").creator_window == 8
    serving = settings.serving
    folders = [serving.bundles, serving.feeds, serving.state.folder, serving.log.folder]
    assert [os.path.isabs(folder) for folder in folders] == [True] * 4
    assert serving.bundles == tmp_path / "var" / "bundles"


def test_the_repository_configuration_is_what_the_code_defaults_to() -> None:
    settings = read_settings(SERVING_CONFIG, FEEDS)
    assert settings.serving.http == type(settings.serving.http)()
    assert settings.serving.ray == type(settings.serving.ray)()
    assert settings.serving.state.read_timeout_ms == 50


def test_a_catalogue_without_creators_or_durations_serves(tmp_path: Path) -> None:
    make_feed_bundle(tmp_path / "bare", [{"item_id": f"i{n}"} for n in range(40)], seed=3)
    model = load_feed_model(tmp_path / "bare")
    engine = engine_of(model, shelf_of(model))
    question = golden_question(engine.model.vocabulary)
    settings = read_settings(SERVING_CONFIG, FEEDS)
    page = engine.feed(question, rules_of(settings, None))
    assert len(page.items) == 20
    assert {item.creator_id for item in page.items} == {None}


def test_the_golden_question_of_a_tiny_catalogue_is_answered(tmp_path: Path) -> None:
    make_feed_bundle(tmp_path / "tiny", 3, seed=3)
    settings = read_settings(SERVING_CONFIG, FEEDS)
    bundle = load_bundle(tmp_path / "tiny", rules_of(settings, None))
    assert len(bundle.question.recent) == 3
    assert bundle.answer == ()  # everything was liked already


def test_a_state_without_url_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"state\.url is missing"):
        open_state(settings.serving.state)
