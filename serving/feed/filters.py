"""What may not be shown; every filter judges rows alone, so that any stage can ask it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Mask, Rows
from serving.feed.candidates import Candidates, among
from serving.feed.hydrate import Viewer
from serving.feed.terms import (
    Terms,
    for_audience,
    in_language,
    in_region,
    in_stock,
    in_time,
    not_blocked,
    not_removed,
)


@dataclass(frozen=True)
class Filter:
    """One rule.

    Attributes:
        reason: stable code of why an item was removed.
        keeps: rows [N] and viewer -> mask [N], true where an item may be shown.
    """

    reason: str
    keeps: Callable[[Rows, Viewer], Mask]


def not_excluded(rows: Rows, viewer: Viewer) -> Mask:
    """True where the caller did not exclude the item."""
    return ~among(rows, viewer.excluded)


def not_seen(rows: Rows, viewer: Viewer) -> Mask:
    """True where the user has not seen the item."""
    return ~among(rows, viewer.seen)


def not_hidden(rows: Rows, viewer: Viewer) -> Mask:
    """True where the item may be shown to this viewer at all.

    An item that came after the mask was made is not shown yet.
    """
    if viewer.hidden is None:
        return np.ones(len(rows), bool)
    known = rows < len(viewer.hidden)
    shown: Mask = known & ~viewer.hidden[np.where(known, rows, 0)]
    return shown


def open_to_minors(rows: Rows, viewer: Viewer) -> Mask:
    """True where the item sells nothing, or nobody is kept from commerce at this hour."""
    if not viewer.commerce_closed:
        return np.ones(len(rows), bool)
    shown: Mask = ~viewer.terms.facts.column("commerce")[rows]
    return shown


def by_terms(rule: Callable[[Rows, Terms], Mask]) -> Callable[[Rows, Viewer], Mask]:
    """Return a rule over the viewer's terms as one over the viewer."""
    return lambda rows, viewer: rule(rows, viewer.terms)


FACT_FILTERS = (
    Filter("removed", by_terms(not_removed)),
    Filter("not_now", by_terms(in_time)),
    Filter("sold_out", by_terms(in_stock)),
    Filter("region", by_terms(in_region)),
    Filter("language", by_terms(in_language)),
    Filter("audience", by_terms(for_audience)),
    Filter("blocked", by_terms(not_blocked)),
    Filter("minor_hours", open_to_minors),
)
DEFAULT_FILTERS = (
    Filter("hidden", not_hidden),
    Filter("excluded", not_excluded),
    Filter("seen", not_seen),
)


def filtered(
    candidates: Candidates, filters: Sequence[Filter], viewer: Viewer
) -> tuple[Candidates, dict[int, str]]:
    """Return what every filter keeps, and for each removed row the first reason."""
    reasons: dict[int, str] = {}
    for rule in filters:
        keep = rule.keeps(candidates.rows, viewer)
        if not keep.all():
            reasons |= dict.fromkeys(candidates.rows[~keep].tolist(), rule.reason)
            candidates = candidates.take(keep)
    return candidates, reasons
