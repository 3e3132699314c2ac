"""Opening the moderator: configuration and published bundle in, moderator out."""

from pathlib import Path
from typing import Literal

from configs.labels import load_labels
from configs.load import ConfigError
from configs.policy import load_policy
from configs.schema import ServingConfig
from embeddings.text_model import KIND, load_text_model
from models.bundle import CURRENT, current
from serving.api.services import Services
from serving.api.takedowns import told
from serving.moderation.rulebook import RuleBook
from serving.moderation.rules import RuleError
from serving.moderation.verdict import Moderator
from serving.records.status import Publish
from serving.settling import Settling


def publish_of(
    configured: Literal["auto", "before_check", "after_check"], moderator: Moderator | None
) -> Publish:
    """Whether new content waits for its check; unless told otherwise, where one runs."""
    if configured != "auto":
        return configured
    return "before_check" if moderator is None else "after_check"


def connect_checks(services: Services, poll_s: float) -> None:
    """Let the process check what is new in the catalogue, if it has a moderator."""
    first = services.moderation
    if first is None:
        return
    settling = Settling(
        services.stores.moderation.checks,
        services.stores.catalogue,
        lambda: services.moderation or first,
        lambda: told(services),
        services.metrics,
        poll_s,
    )
    services.background += [settling.run, settling.measure]


def published_moderator(serving: ServingConfig) -> Moderator | None:
    """Return the moderator of the published bundle; None where none is published.

    Raises:
        BundleError: the bundle is damaged.
        ConfigError: the policy or a rule pack is refused; names file and case.
    """
    if not (serving.bundles / KIND / CURRENT).exists():
        return None
    return load_moderator(serving, current(serving.bundles, KIND))


def load_moderator(serving: ServingConfig, folder: Path) -> Moderator:
    """Return the moderator of one bundle, with the policy and the rules as they are now.

    Raises:
        BundleError: the bundle is damaged.
        ConfigError: the policy or a rule pack is refused; names file and case.
    """
    labels = load_labels()
    model = load_text_model(folder)
    policy = load_policy(serving.policies / "default.yaml", labels, model.labels)
    try:
        book = RuleBook(serving.policies / "rules", labels)
    except RuleError as error:
        raise ConfigError(str(error)) from error
    return Moderator(labels, policy, book, model)
