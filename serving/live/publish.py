"""The last step of an answer: nothing leaves that visibility does not allow at this moment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from serving.feed.contracts import Page, PageItem
from serving.live.mirror import VisibilityMirror
from serving.live.online_state import OnlineState
from serving.live.pages import BarredUserError, Candidate, PageDraft, VisibilityUnknownError
from serving.live.state import StateUnreachableError

SPARE_ITEMS = 10  # stand in for what was taken down since the candidates were found
AUDIENCE = "all"  # until callers say who watches
UNREACHABLE, UNKNOWN = "state_unreachable", "visibility_unknown"


@dataclass(frozen=True)
class Viewing:
    """For whom and where a page is made.

    Attributes:
        user_id: empty for anonymous users. subject: keyed hash of it.
        region: in upper case; empty if not known.
        surface: empty if not told.
        k: results wanted.
        trusted: the mirror's lease held when the request began.
    """

    request_id: str
    user_id: str
    region: str
    surface: str
    k: int
    trusted: bool
    subject: str = ""


async def published(
    state: OnlineState, mirror: VisibilityMirror, page: Page, viewing: Viewing, now_ms: int
) -> Page:
    """Commit a page of at most ``k + SPARE_ITEMS`` items and return what may be answered.

    Without the state, a page that was filtered by a trusted mirror is as good as it can be;
    without either, nothing may be shown. Of a user who was erased nothing is kept: they are served
    as an anonymous one.
    """
    try:
        done = await state.commit(draft_of(page, viewing), now_ms)
        # A state that came back with less than we know already must not be believed.
        if mirror.sequence is not None and done.sequence >= mirror.sequence:
            return numbered(page, [page.items[n] for n in done.kept])
    except BarredUserError:
        return await published(
            state, mirror, page, replace(viewing, user_id="", subject=""), now_ms
        )
    except VisibilityUnknownError:
        pass
    except StateUnreachableError:
        page = replace(page, degraded=joined(page.degraded, UNREACHABLE))
    return shortened(page, viewing)


def shortened(page: Page, viewing: Viewing) -> Page:
    """The first k items, or none if the mirror they were filtered by was not trusted.

    Without an item whose exposure is not known to be reserved.
    """
    if viewing.trusted:
        unreserved = [item for item in page.items if not item.reserve]
        return numbered(page, unreserved[: viewing.k])
    return replace(page, items=(), degraded=joined(page.degraded, UNKNOWN))


def numbered(page: Page, items: Sequence[PageItem]) -> Page:
    """The page with these items, their positions from 1."""
    placed = tuple(
        item if item.position == n else replace(item, position=n)
        for n, item in enumerate(items, start=1)
    )
    return replace(page, items=placed)


def joined(codes: tuple[str, ...], code: str) -> tuple[str, ...]:
    """Codes with one more, once."""
    return codes if code in codes else (*codes, code)


def draft_of(page: Page, viewing: Viewing) -> PageDraft:
    """What the state checks and the archive keeps."""
    header = {
        "request_id": viewing.request_id,
        "user_id": viewing.user_id,
        "region": viewing.region or None,
        "surface": viewing.surface or None,
        "bundle": page.bundle,
    }
    return PageDraft(
        request_id=viewing.request_id,
        user_id=viewing.user_id,
        region=viewing.region,
        audience=AUDIENCE,
        k=viewing.k,
        header=orjson.dumps(header),
        candidates=[_candidate(item) for item in page.items],
        subject=viewing.subject,
    )


def _candidate(item: PageItem) -> Candidate:
    kept = {
        "item_id": item.item_id,
        "source": item.source,
        "propensity": item.propensity,
        "score": item.score,
    }
    return Candidate(item.item_id, item.creator_id or "", orjson.dumps(kept), item.reserve)
