"""On which terms a viewer may see items, by what the catalogue says of them now."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Rows
from serving.feed.facts import Codes, Facts, language_of


@dataclass(frozen=True)
class Standing:
    """What is recorded of who asks; nothing known restricts nothing but adult items.

    Attributes:
        region: upper case. language: a tag, as zh-CN.
        adult: known to be of age. age_known: whether an age is recorded.
        time_zone: IANA name.
        blocked_creators: ids. blocked_categories: paths; what is below them too.
    """

    region: str | None = None
    language: str | None = None
    adult: bool = False
    age_known: bool = False
    time_zone: str | None = None
    blocked_creators: frozenset[str] = frozenset()
    blocked_categories: frozenset[str] = frozenset()


ANYONE = Standing()


@dataclass(frozen=True)
class Terms:
    """A standing in the codes of the facts that it is compared with.

    Attributes:
        now_ms: the moment, ms since 1970.
        regions: true by code where a set of regions has the viewer's; the last entry is for items
            without regions. languages: the same of languages.
        adult: may see adult items.
        creators: codes of blocked ones. categories: codes of blocked ones and of those below.
    """

    facts: Facts
    now_ms: int
    regions: Mask
    languages: Mask
    adult: bool
    creators: NDArray[np.int64]
    categories: NDArray[np.int64]


def terms_of(standing: Standing, facts: Facts, now_ms: int) -> Terms:
    """Return the terms of a viewer at a moment."""
    region, language = standing.region, language_of(standing.language)
    return Terms(
        facts,
        now_ms,
        np.array([*(region is None or region in one for one in facts.regions.values), True]),
        np.array([*(language in (None, one) for one in facts.languages.values), True]),
        standing.adult,
        facts.creators.known(standing.blocked_creators),
        below(standing.blocked_categories, facts.categories),
    )


def not_removed(rows: Rows, terms: Terms) -> Mask:
    """True where the item was not deleted."""
    kept: Mask = ~terms.facts.column("removed")[rows]
    return kept


def in_time(rows: Rows, terms: Terms) -> Mask:
    """True where the item is published and has not expired."""
    published = terms.facts.column("published_at_ms")[rows] <= terms.now_ms
    return published & (terms.facts.column("expires_at_ms")[rows] > terms.now_ms)


def in_stock(rows: Rows, terms: Terms) -> Mask:
    """True where the item is not known to be sold out."""
    kept: Mask = ~terms.facts.column("sold_out")[rows]
    return kept


def in_region(rows: Rows, terms: Terms) -> Mask:
    """True where the item is for the viewer's region, or for all."""
    kept: Mask = terms.regions[terms.facts.column("regions")[rows]]
    return kept


def in_language(rows: Rows, terms: Terms) -> Mask:
    """True where the item is in the viewer's language, or in none that is known."""
    kept: Mask = terms.languages[terms.facts.column("language")[rows]]
    return kept


def for_audience(rows: Rows, terms: Terms) -> Mask:
    """True where the item is for everyone, or the viewer is of age."""
    kept: Mask = np.full(len(rows), terms.adult) | ~terms.facts.column("adult")[rows]
    return kept


def not_blocked(rows: Rows, terms: Terms) -> Mask:
    """True where the viewer blocked neither the creator nor the category."""
    blocked = np.zeros(len(rows), bool)
    if len(terms.creators):
        blocked |= np.isin(terms.facts.column("creator")[rows], terms.creators)
    if len(terms.categories):
        blocked |= np.isin(terms.facts.column("category")[rows], terms.categories)
    return ~blocked


def below(paths: frozenset[str], categories: Codes[str]) -> NDArray[np.int64]:
    """Codes of these category paths and of all below them."""
    if not paths:
        return np.empty(0, np.int64)
    return categories.known([one for one in categories.values if paths & _ancestors(one)])


def _ancestors(path: str) -> set[str]:
    parts: Sequence[str] = path.split("/")
    return {"/".join(parts[: n + 1]) for n in range(len(parts))}
