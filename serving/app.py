"""The composition root: settings and bundle in, ASGI app out."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from redis.asyncio import Redis

from configs.exposure import ExposureConfig
from configs.load import PREFIX, ConfigError, load
from configs.schema import InternalSection, Section, ServingConfig, StateSection
from embeddings import text_model
from embeddings.feed_model import KIND
from models.bundle import current
from serving.api.admission import Admission
from serving.api.app import create_app
from serving.api.internal import serve_probes
from serving.api.request_log import JsonLines
from serving.api.services import Services
from serving.archive.store import open_store
from serving.audit import heads_file, keep_heads
from serving.bundles.receipts import settle_receipts
from serving.bundles.redis_board import RedisBoard
from serving.clock import now_ms
from serving.feed.admission import AdmissionLimits
from serving.feed.cursor import Cursors, cursor_key
from serving.feed.limits import audience_rules, ladder_rules
from serving.feed.timetable import Rulebook
from serving.feed_bundle import load_bundle
from serving.hot_swap import SwapLimits, connect, feed_seat, moderation_seat, warm_up
from serving.ladder import KEPT_MS, LadderKeeper, OfItems
from serving.live.event_stream import StreamLimits
from serving.live.exposure import ExposureLadder
from serving.live.online_state import OnlineState
from serving.live.redis_state import DiskReserve, RedisState
from serving.live.replica import carry_changes, hold_lease
from serving.live.takedown import VisibilityLink
from serving.live.wire import state_client
from serving.live_items import follow_catalogue
from serving.moderators import (
    connect_moderation,
    load_moderator,
    open_desk,
    publish_of,
    published_moderator,
)
from serving.profiles import Profiles
from serving.records.access import Gate
from serving.records.secret_keys import load_secrets
from serving.rule_files import RuleFiles, follow_rules
from serving.stores import open_stores
from serving.trend_keeper import Buckets, TrendKeeper


@dataclass(frozen=True)
class Settings:
    """Everything that is configured; plain values that any process can be sent.

    Attributes:
        serving: ``configs/serving.yaml``, its paths absolute.
        rule_files: where the rules of the feed stand. rulebook: what they said at the start.
    """

    serving: ServingConfig
    rule_files: RuleFiles
    rulebook: Rulebook


@dataclass(frozen=True)
class Duties:
    """What a process does besides what all do.

    Attributes:
        feeds: makes pages, so it keeps copies of the exploration ladder and of what trends.
        moderates: judges content, if a moderation bundle is published.
    """

    feeds: bool = True
    moderates: bool = True


def read_settings(config: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration of serving and of every surface.

    Raises:
        ConfigError: a file cannot be read, or a key is unknown or outside its limit.
    """
    serving = absolute(load(config, ServingConfig, environ))
    # Replicas read the files again, perhaps in another environment.
    own = os.environ if environ is None else environ
    overrides = {name: text for name, text in own.items() if name.startswith(PREFIX)}
    files = RuleFiles(serving.feeds, serving.calendar, overrides)
    return Settings(serving, files, files.read())


def build(
    settings: Settings,
    state: OnlineState,
    process: str = "0",
    host_returns_id: bool = False,
    duties: Duties = Duties(),
) -> FastAPI:
    """Return the app that serves the current bundle.

    Args:
        settings: everything that is configured.
        state: what users did and saw.
        process: names the access log of this process among those of the same machine.
        host_returns_id: the server itself answers with the request's X-Request-ID.
        duties: of this process.

    Raises:
        BundleError: no bundle is published, or it is damaged; names the file.
    """
    serving = settings.serving
    services = services_of(settings, state, duties.moderates)
    stores = services.stores
    services.metrics.bundle.labels(services.bundle.version).set(1)
    if duties.feeds:
        warm_up(services.bundle, services)
    if serving.access.required:
        services.gate = Gate(services.stores.keys.find)
    services.background += [
        lambda: keep_heads(services.stores.trail, heads_file(serving.records.secrets)),
        lambda: settle_receipts(stores.erasures, serving.bundles),
        services.profiles.follow,
        services.controls.follow,
        lambda: serve_probes(services, *internal_address(serving.internal, process)),
    ]
    if (log_url := serving.state.url) is not None:
        live_url = serving.state.live_url or log_url
        follow_bundles(services, serving, live_url, duties)
        follow_visibility(services, serving, live_url)
        if duties.feeds:
            follow_ladder(services, serving, live_url)
            follow_trends(services, serving, log_url)
    poll_s = serving.catalogue.poll_ms / 1000
    services.background.append(
        lambda: follow_catalogue(
            lambda: services.bundle.items,
            stores.catalogue,
            lambda: services.mirror.sequence or 0,
            poll_s,
        )
    )
    connect_moderation(services, serving)
    follow_rule_files(services, settings)
    lines = JsonLines(serving.log.folder / f"{process}.jsonl", serving.log.file_limit_bytes)
    return create_app(services, serving.http.body_limit_bytes, lines, host_returns_id)


def services_of(settings: Settings, state: OnlineState, moderates: bool) -> Services:
    """Open the records, load what is published, and put together what the routes need.

    Raises:
        BundleError: no bundle is published, or it is damaged; names the file.
    """
    serving = settings.serving
    stores = open_stores(serving.records)
    rules = settings.rulebook.rules(None, None, now_ms())
    moderator = published_moderator(serving) if moderates else None
    bundle = load_bundle(current(serving.bundles, KIND), rules)
    bundle.items.catch_up(stores.catalogue)
    return Services(
        bundle=bundle,
        state=state,
        stores=stores,
        profiles=Profiles(stores.users),
        rulebook=settings.rulebook,
        cursors=Cursors(cursor_key(load_secrets(serving.records.secrets, os.environ).subject)),
        future_limit_ms=serving.http.future_limit_s * 1000,
        past_limit_ms=serving.http.past_limit_s * 1000,
        media=serving.media.folder,
        archive=open_store(serving.archive.location),
        media_limit_bytes=serving.media.limit_bytes,
        publish=publish_of(serving.catalogue.publish, moderator),
        admission=Admission(AdmissionLimits(**serving.admission.model_dump())),
        moderation=open_desk(moderator),
    )


def internal_address(section: InternalSection, process: str) -> tuple[str, int]:
    """Address and port of one process's probes: process n has the n-th port from the first."""
    number = int(process) if process.isdecimal() else 0
    return section.address, section.port + number if section.port else 0


def follow_rule_files(services: Services, settings: Settings) -> None:
    """Let the process follow changes of the feed's rules."""
    metrics = services.metrics

    def take(book: Rulebook) -> None:
        services.rulebook = book
        metrics.rules.clear()
        metrics.rules.labels(book.version).set(1)

    take(settings.rulebook)
    services.background.append(
        lambda: follow_rules(
            settings.rule_files, settings.rulebook.version, take, metrics.rules_refused.inc
        )
    )


def follow_bundles(
    services: Services, serving: ServingConfig, live_url: str, duties: Duties
) -> None:
    """Let the process change its bundles when their pointers do."""
    timeout_s = serving.state.write_timeout_ms / 1000
    client = Redis.from_url(live_url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    limits = SwapLimits(serving.bundles, serving.swap.staging_limit_s)
    rules, root = services.rules(None), serving.bundles
    feed = feed_seat(services, lambda one: load_bundle(root / KIND / one, rules), duties.feeds)
    connect(services, KIND, RedisBoard(client, KIND), feed, limits)
    if desk := services.moderation:
        kind = text_model.KIND
        seat = moderation_seat(
            services, desk, lambda one: load_moderator(serving, root / kind / one)
        )
        connect(services, kind, RedisBoard(client, kind), seat, limits)


def follow_visibility(services: Services, serving: ServingConfig, live_url: str) -> None:
    """Keep this process's copy of visibility fresh, and carry changes to all others."""
    link = VisibilityLink(state_client(live_url, serving.state.write_timeout_ms / 1000))
    visibility = services.stores.visibility
    services.link = link
    services.background += [
        lambda: hold_lease(link, visibility, services.mirror),
        lambda: carry_changes(link, visibility),
    ]


def follow_ladder(services: Services, serving: ServingConfig, live_url: str) -> None:
    """Keep this process's copy of the exploration ladder fresh, and decide if it is the one."""
    config = load(serving.exposure, ExposureConfig)
    ladder = ExposureLadder(state_client(live_url, serving.state.write_timeout_ms / 1000), KEPT_MS)
    services.ladder = ladder
    keeper = LadderKeeper(
        ladder=ladder,
        rules=ladder_rules(config),
        match=audience_rules(config),
        serving=lambda: OfItems(
            services.bundle.items.model, services.bundle.items.shelf, services.bundle.exploration
        ),
        mirror=services.mirror,
        clock_ms=services.clock_ms,
        interval_s=config.interval_s,
    )
    services.background.append(keeper.keep)


def follow_trends(services: Services, serving: ServingConfig, log_url: str) -> None:
    """Keep this process's copy of what is counted fresh."""
    limits = StreamLimits()
    client = state_client(log_url, serving.state.write_timeout_ms / 1000)
    keeper = TrendKeeper(
        Buckets(client, limits.bucket_ms, limits.buckets),
        lambda: services.bundle.engine,
        services.clock_ms,
        serving.trends.interval_s,
    )
    services.background.append(keeper.keep)


def open_state(section: StateSection) -> OnlineState:
    """Return the state at `section.url`; it connects at the first request.

    Raises:
        ConfigError: the url is missing or of no known scheme.
    """
    if section.url is None:
        raise ConfigError("state.url is missing; the launcher sets that of the embedded server")
    try:
        return RedisState(
            section.url,
            section.live_url or section.url,
            section.read_timeout_ms / 1000,
            section.write_timeout_ms / 1000,
            DiskReserve(section.folder, section.reserve_bytes),
        )
    except ValueError as error:
        raise ConfigError(f"state.url = {section.url!r}: {error}") from error


def absolute(serving: ServingConfig) -> ServingConfig:
    """The settings with every path in full, whatever folder a process of ours starts in."""
    resolved: ServingConfig = _resolved(serving)
    location = serving.archive.location
    if "://" not in location:
        location = str(Path(location).resolve())
    archive = serving.archive.model_copy(update={"location": location})
    return resolved.model_copy(update={"archive": archive})


def _resolved(section: Section) -> Any:
    changed: dict[str, Any] = {}
    for name, value in section:
        if isinstance(value, Path):
            changed[name] = value.resolve()
        elif isinstance(value, Section):
            changed[name] = _resolved(value)
    return section.model_copy(update=changed)
