"""Opening the moderator: configuration and published bundle in, moderator out."""

from pathlib import Path
from typing import Literal

from configs.labels import load_labels
from configs.load import ConfigError
from configs.policy import load_policies
from configs.schema import ServingConfig
from embeddings.fusion_model import fused_labels, load_fusion
from embeddings.picture_model import load_picture_model
from embeddings.text_model import KIND, load_text_model
from models.bundle import CURRENT, current, open_bundle
from serving.api.services import Services
from serving.api.takedowns import announce
from serving.jobs import JobWorker
from serving.moderation.banks import BankBook
from serving.moderation.decoding_process import DecodingProcess
from serving.moderation.desk import ModerationDesk
from serving.moderation.eyes import PackagedEyes
from serving.moderation.fetching import Fetcher, FetchLimits
from serving.moderation.posting import Poster
from serving.moderation.rulebook import RuleBook
from serving.moderation.rules import RuleError
from serving.moderation.sight import Sight
from serving.moderation.verdict import Moderator
from serving.moderation_follower import ModerationFollower
from serving.records.status import Publish
from serving.settling import Settling

FOLLOW_S = 1.0


def publish_of(
    configured: Literal["auto", "before_check", "after_check"], moderator: Moderator | None
) -> Publish:
    """Whether new content waits for its check; unless told otherwise, where one runs."""
    if configured != "auto":
        return configured
    return "before_check" if moderator is None else "after_check"


def open_desk(moderator: Moderator | None) -> ModerationDesk | None:
    """The desk of a moderator; its decoder starts with the first picture."""
    return None if moderator is None else ModerationDesk(moderator, DecodingProcess())


def connect_moderation(services: Services, serving: ServingConfig) -> None:
    """Let the process judge, what it is asked and what is new in the catalogue, if it can."""
    first = services.moderation
    if first is None:
        return
    section = serving.moderation
    limits = FetchLimits(frozenset(section.fetch_hosts), time_s=section.fetch_limit_s)
    services.moderation_limit_bytes = section.body_limit_bytes
    services.fetcher = Fetcher(limits)
    settling = Settling(
        services.stores.moderation.checks,
        services.stores.catalogue,
        lambda: services.moderation or first,
        services.media,
        lambda: announce(services),
        services.metrics,
        serving.catalogue.poll_ms / 1000,
    )
    follower = ModerationFollower(
        services.stores.moderation,
        lambda: services.moderation or first,
        banks_of(first),
        services.media,
        services.metrics,
        FOLLOW_S,
    )
    services.poster = Poster(frozenset(section.webhook_hosts))
    jobs = JobWorker(services, lambda: services.moderation or first, services.poster, FOLLOW_S)
    services.background += [
        first.warm_up,
        settling.run,
        settling.measure,
        follower.run,
        jobs.run,
    ]


def banks_of(desk: ModerationDesk) -> BankBook:
    """The banks that every desk of the process uses."""
    banks = desk.moderator.banks
    return banks if isinstance(banks, BankBook) else BankBook()


def published_moderator(serving: ServingConfig) -> Moderator | None:
    """Return the moderator of the published bundle; None where none is published.

    Raises:
        BundleError: the bundle is damaged.
        ConfigError: a policy or a rule pack is refused; names file and key or case.
    """
    if not (serving.bundles / KIND / CURRENT).exists():
        return None
    return load_moderator(serving, current(serving.bundles, KIND))


def load_moderator(serving: ServingConfig, folder: Path) -> Moderator:
    """Return the moderator of one bundle, with the policies and the rules as they are now.

    Raises:
        BundleError: the bundle is damaged.
        ConfigError: a policy or a rule pack is refused; names file and key or case.
    """
    labels = load_labels()
    model = load_text_model(folder)
    bundle = open_bundle(folder, KIND)
    eyes = PackagedEyes(load_picture_model(bundle))
    fusion = load_fusion(bundle, fused_labels(model.labels, eyes.labels))
    policies = load_policies(serving.policies, labels, (*model.labels, *eyes.labels))
    try:
        book = RuleBook(serving.policies / "rules", labels)
    except RuleError as error:
        raise ConfigError(str(error)) from error
    return Moderator(
        labels, policies, book, model, sight=Sight(eyes), banks=BankBook(), fusion=fusion
    )
