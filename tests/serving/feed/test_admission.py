"""Properties of admission that hold for every load, limit and deadline."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.feed.admission import (
    CODES,
    AdmissionLimits,
    Effort,
    Load,
    admitted,
    effort,
    lessened,
    retry_after_s,
    smoothed,
)
from serving.feed.contracts import Behaviour, DeadlineError, FeedRequest
from serving.feed.rules import FeedRules
from tests.serving.feed.fixed_model import NOW_MS, RULES, engine_over, ring_model

SECONDS = st.floats(0, 5, allow_nan=False)
LOADS = st.builds(Load, st.integers(0, 500), SECONDS)
SHARES = st.floats(0, 1)
LIMITS = st.builds(AdmissionLimits, st.integers(1, 200), SHARES, SHARES)
BUDGETS = st.one_of(st.just(math.inf), st.floats(0.001, 600))
ITEMS = [f"item-{n}" for n in range(24)]
REQUESTS = st.builds(
    FeedRequest,
    k=st.integers(1, 100),
    now_ms=st.just(NOW_MS),
    recent=st.lists(st.sampled_from(ITEMS), max_size=8).map(
        lambda ids: tuple(Behaviour(one, "like", NOW_MS) for one in ids)
    ),
    seen=st.lists(st.sampled_from(ITEMS), max_size=8).map(tuple),
)


@given(LOADS, LIMITS, BUDGETS)
def test_the_queue_never_exceeds_its_limit(
    load: Load, limits: AdmissionLimits, budget_s: float
) -> None:
    if load.waiting >= limits.queue:
        assert not admitted(load, limits, budget_s)


@given(LOADS, LIMITS, BUDGETS)
def test_nobody_is_let_in_who_would_wait_past_the_deadline(
    load: Load, limits: AdmissionLimits, budget_s: float
) -> None:
    if admitted(load, limits, budget_s):
        assert (load.waiting + 1) * load.service_s <= budget_s


@given(LIMITS, st.floats(0, 0.01), BUDGETS)
def test_an_idle_process_admits_whoever_waits_long_enough(
    limits: AdmissionLimits, service_s: float, budget_s: float
) -> None:
    assert admitted(Load(0, service_s), limits, max(budget_s, service_s))


@given(LIMITS, st.integers(0, 300), SECONDS)
def test_more_load_never_means_more_effort(
    limits: AdmissionLimits, waiting: int, service_s: float
) -> None:
    assert effort(Load(waiting + 1, service_s), limits) >= effort(Load(waiting, service_s), limits)


@given(LOADS, st.integers(1, 50))
def test_retry_after_covers_the_queue_and_grows_with_it(load: Load, more: int) -> None:
    seconds = retry_after_s(load)
    assert seconds >= max(1.0, load.waiting * load.service_s)
    assert seconds < load.waiting * load.service_s + 2
    assert retry_after_s(Load(load.waiting + more, load.service_s)) >= seconds


@given(st.lists(st.floats(0.0001, 10), min_size=1, max_size=200))
def test_the_mean_stays_within_what_was_measured(measured: list[float]) -> None:
    mean = 0.0
    for newest in measured:
        mean = smoothed(mean, newest)
    assert min(measured) - 1e-9 <= mean <= max(measured) + 1e-9


@given(REQUESTS, st.sampled_from(Effort))
def test_less_effort_says_so_and_shows_nothing_that_was_seen(
    request: FeedRequest, step: Effort
) -> None:
    asked, rules = lessened(request, RULES, step)
    page = engine_over(ring_model()).feed(asked, rules)
    acted = {one.item_id for one in request.recent} | set(request.seen)
    assert not {item.item_id for item in page.items} & acted
    assert len(page.items) == min(request.k, len(ITEMS) - len(acted))
    assert [code for code in page.degraded if code in CODES.values()] == (
        [CODES[step]] if step else []
    )
    if step is Effort.POPULAR:
        assert {item.source for item in page.items} <= {"popular"}


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [(4, Effort.FULL), (5, Effort.FULL), (6, Effort.FEWER_CANDIDATES), (8, Effort.POPULAR)],
)
def test_the_ladder_begins_where_its_limits_say(waiting: int, expected: Effort) -> None:
    assert effort(Load(waiting), AdmissionLimits(10, 0.5, 0.75)) is expected


def test_fewer_candidates_still_fill_a_page() -> None:
    rules = FeedRules(100, 10, 4, 2)
    assert lessened(FeedRequest(5, NOW_MS), rules, Effort.FEWER_CANDIDATES)[1] == FeedRules(
        20, 10, 4, 2
    )
    asked, fewer = lessened(FeedRequest(90, NOW_MS), rules, Effort.FEWER_CANDIDATES)
    assert (asked.k, fewer.interest_candidates) == (90, 90)


def test_a_deadline_ends_the_work_after_the_stage_in_which_it_passed() -> None:
    engine = engine_over(ring_model())
    with pytest.raises(DeadlineError, match="hydrate") as late:
        engine.feed(FeedRequest(5, NOW_MS, deadline_s=0.0), RULES)
    assert late.value.stage == "hydrate"
    with pytest.raises(DeadlineError):
        engine.rank(FeedRequest(5, NOW_MS, deadline_s=0.0), ["item-1"], RULES)
