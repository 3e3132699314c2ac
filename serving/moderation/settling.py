"""From the verdicts on an item to what its viewers get."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

from configs.policy import Policy
from configs.prices import Prices
from serving.moderation.auditing import draw_of
from serving.moderation.decoding import Picture
from serving.moderation.findings import Content, Finding
from serving.moderation.picture_formats import MediaError
from serving.moderation.prices import Sale, price_findings
from serving.moderation.rendering import decision
from serving.moderation.rules import Evidence
from serving.moderation.verdict import Moderator, Verdict, strongest
from serving.records.contracts import Price
from serving.records.items import Item, Media
from serving.records.moderation import Settled
from serving.records.status import EVERYONE, Scope, Status, strictest

PRICE_LABEL = "commerce/price_fraud"


class Judges(Protocol):
    """Judges the content of items; a ``desk.ModerationDesk`` in service."""

    @property
    def moderator(self) -> Moderator:
        """By which it judges."""

    async def picture(self, content: bytes) -> Picture:
        """Decode a picture. Raises: MediaError."""

    async def judge(self, items: Sequence[Content], region: str | None) -> list[Verdict]:
        """One verdict for each item, in order."""


def texts_of(item: Item) -> dict[str, str]:
    """The words of an item by where they stand."""
    found = {"title": item.title, "text": item.text, "tags": " ".join(item.tags)}
    return {source: text for source, text in found.items() if text}


def pictures_of(item: Item) -> list[Media]:
    """The pictures and videos of an item.

    Raises:
        MediaError: it has media of another kind.
    """
    for file in item.media:
        if not file.mime.startswith(("image/", "video/")):
            raise MediaError("unsupported_format", f"{file.mime} is not judged; a person must look")
    return list(item.media)


def status_of(verdict: Verdict, policy: Policy) -> Status:
    """What the viewers of the verdict's region get."""
    if verdict.uncertified and verdict.suggestion == "review":
        return policy.statuses.uncertified
    by_suggestion: dict[str, Status] = {
        "pass": policy.statuses.passed,
        "review": policy.statuses.review,
        "block": policy.statuses.blocked,
    }
    return by_suggestion[verdict.suggestion]


def outcomes(by_region: Mapping[str, Status]) -> list[tuple[Scope, Status]]:
    """Rows of visibility: the strictest for everyone, then the regions that may see more."""
    strict = strictest(*by_region.values())
    milder = [(Scope(region), got) for region, got in by_region.items() if got != strict]
    return [(EVERYONE, strict), *milder]


@dataclass(frozen=True)
class Facts:
    """What is known of an item beside its description.

    Attributes:
        prices: all it has had, oldest first.
        media: sha256 -> bytes of an uploaded file.
        limits: of prices, by region.
        now_ms: the moment of judgement.
    """

    prices: Sequence[Price]
    media: Callable[[str], Awaitable[bytes]]
    limits: Prices
    now_ms: int


async def judged(item: Item, content_version: int, desk: Judges, facts: Facts) -> Settled:
    """Judge one version of an item in every region where it is offered.

    Args:
        item: to be judged. content_version: of it.
        desk: judges.
        facts: beside what the item says of itself.

    Raises:
        TextError: a text holds a lone surrogate.
        MediaError: a picture or video cannot be judged.
        OSError: a file cannot be read now.
    """
    moderator = desk.moderator
    texts = texts_of(item)
    pictures = [await desk.picture(await facts.media(file.sha256)) for file in pictures_of(item)]
    content = Content(tuple(texts.values()), tuple(pictures))
    verdicts = {
        region: (
            await desk.judge([replace(content, record=price_signals(item, facts, region))], region)
        )[0]
        for region in item.regions or (moderator.policies.default.region,)
    }
    rulings = {region: moderator.policies.of(region) for region in verdicts}
    draws = [
        draw_of(one, moderator.judge_in(region), rulings[region])
        for region, one in verdicts.items()
    ]
    statuses = {region: status_of(one, rulings[region].policy) for region, one in verdicts.items()}
    return Settled(
        item.item_id,
        content_version,
        strongest(one.suggestion for one in verdicts.values()),
        outcomes(statuses),
        _told(verdicts, moderator, list(texts)),
        draws=[draw for draw in draws if draw is not None],
    )


def price_signals(item: Item, facts: Facts, region: str) -> tuple[Finding, ...]:
    """What the item's prices show under the law of a region."""
    limits = facts.limits.of(region)
    found = price_findings(item.price, item.list_price, sales_of(facts), facts.now_ms, limits)
    return tuple(
        Finding(
            "record",
            Evidence(
                rule=f"prices/{one.rule}",
                label=PRICE_LABEL,
                statute=one.statute,
                reason_code=None,
                severity=2,
                action="review",
                span=(0, len(one.detail)),
                raw=one.detail,
                canonical=one.detail,
                channel="record",
                exemption=None,
                shadow=False,
            ),
        )
        for one in found
    )


def sales_of(facts: Facts) -> list[Sale]:
    """Past prices, each at the moment when it ended."""
    return [
        Sale(before.price, after.at_ms)
        for before, after in pairwise(facts.prices)
        if before.price is not None
    ]


def not_judged(item_id: str, content_version: int, fault: str, policy: Policy) -> Settled:
    """What becomes of a version that the machine could not judge: a person must look."""
    outcome = [(EVERYONE, policy.statuses.review)]
    return Settled(item_id, content_version, "review", outcome, None, fault)


def _told(
    verdicts: Mapping[str, Verdict], moderator: Moderator, sources: Sequence[str]
) -> dict[str, Any]:
    return {region: decision(one, moderator, sources) for region, one in verdicts.items()}
