"""Certificates bound what they say they bound."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from configs.labels import load_labels
from configs.policy import load_policies
from serving.moderation.auditing import certified
from serving.moderation.certificates import Judge
from serving.moderation.certify import (
    BLOCK_RISK,
    PASS_RISK,
    Limit,
    certify_blocks,
    certify_passes,
    drifted,
    lower_bound,
    prior_shift,
    representative,
    tail,
    upper_bound,
)
from serving.records.moderation import Audit

POLICIES = Path(__file__).parents[3] / "configs/policies"


@pytest.mark.parametrize(("errors", "sample"), [(0, 299), (3, 100), (12, 2000), (50, 51)])
def test_bounds_are_those_of_clopper_and_pearson(errors: int, sample: int) -> None:
    interval = binomtest(errors, sample).proportion_ci(0.90, "exact")
    assert upper_bound(errors, sample, 0.05) == pytest.approx(interval.high, abs=1e-9)
    assert lower_bound(errors, sample, 0.05) == pytest.approx(interval.low, abs=1e-9)
    assert tail(errors, sample, 0.013) == pytest.approx(binom.cdf(errors, sample, 0.013))


@pytest.mark.parametrize(("risk", "sample"), [(0.01, 299), (0.005, 598), (0.001, 2995)])
def test_so_many_audits_without_an_error_certify(risk: float, sample: int) -> None:
    limit = Limit(risk)
    assert limit.least_sample == sample
    margins, clean = np.full(sample, 0.1, np.float32), np.zeros(sample, bool)
    found = certify_passes(margins, clean, limit)
    assert found is not None
    assert (found.threshold, found.errors, found.sample) == (1.0, 0, sample)
    assert found.bound <= risk
    assert certify_passes(margins[1:], clean[1:], limit) is None
    clean[0] = True
    assert certify_passes(margins, clean, limit) is None


def test_testing_stops_at_the_first_candidate_that_does_not_hold() -> None:
    margins = np.concatenate([np.full(3000, 0.1), np.full(500, 0.6), np.full(9000, 0.9)])
    violating = np.zeros(len(margins), bool)
    violating[3000:3020] = True
    found = certify_passes(margins.astype(np.float32), violating, Limit(PASS_RISK))
    assert found is not None
    assert found.threshold == 0.5  # though all 12,500 together might hold again


def test_a_block_is_certified_for_its_label() -> None:
    scores = np.concatenate([np.full(400, 0.995), np.full(400, 0.96)]).astype(np.float32)
    violating = np.ones(800, bool)
    violating[400:420] = False
    found = certify_blocks(scores, violating, Limit(BLOCK_RISK))
    assert found is not None
    assert (found.threshold, found.sample) == (0.97, 400)
    assert certify_blocks(scores, violating, Limit(BLOCK_RISK, delta=0.01)) is None


def test_a_larger_share_of_violations_live_asks_for_more() -> None:
    sample = 4000
    margins, clean = np.full(sample, 0.1, np.float32), np.zeros(sample, bool)
    assert certify_passes(margins, clean, Limit(PASS_RISK, shift=2.0)) is None
    enriched = prior_shift((400, 4000), (28, 4000), 0.01)
    assert 0.05 < enriched < 0.15
    few = certify_passes(margins[:400], clean[:400], Limit(PASS_RISK, shift=enriched))
    assert few is not None
    assert few.bound <= PASS_RISK


def test_old_audits_count_by_what_recent_ones_leave_possible() -> None:
    limit = Limit(PASS_RISK)
    wrong, recent = np.zeros(6_000, bool), np.arange(6_000) >= 3_000
    every = np.ones(6_000, bool)
    rows, asked = representative(every, wrong, recent, limit)
    assert rows.tolist() == recent.tolist()  # 3,000 recent ones are enough
    assert asked == limit
    few = np.arange(6_000) >= 5_900
    rows, asked = representative(every, wrong, few, limit)
    assert int(rows.sum()) == 5_900
    assert asked.delta == pytest.approx(0.03)
    assert asked.audited_risk < 1e-6  # nothing bounds by how much more is wrong now
    wrong[:590] = True  # a tenth was wrong then, none of 2,000 is now
    passed = ~wrong  # what was wrong then was seen, too, and says how much it was
    rows, asked = representative(passed, wrong, np.arange(6_000) >= 4_000, limit)
    assert int(rows.sum()) == 4_000 - 590
    assert 0.03 < asked.audited_risk < 0.1
    rows, asked = representative(every, wrong, every, limit)
    assert rows.all()
    assert asked == limit


def audits_of(count: int, violating: int, drawn_at_ms: int) -> list[Audit]:
    """Passes, and items that the machine blocked, all of them rightly."""
    return [
        Audit(
            f"{drawn_at_ms}-{n}",
            "item",
            1,
            "CN",
            "m",
            "p@1",
            1e9 if n < violating else 0.1,
            {"hate": 0.99 if n < violating else 0.01},
            drawn_at_ms,
            drawn_at_ms,
            ["hate"] if n < violating else [],
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("before", "now", "certified_for"),
    [(400, 10, {"pass"}), (400, 280, {"block"}), (0, 3, set())],
)
def test_certificates_by_old_audits_allow_for_the_violations_of_now(
    before: int, now: int, certified_for: set[str]
) -> None:
    ruling = load_policies(POLICIES, load_labels(), ()).of("CN")
    audits = audits_of(4_000, before, 1_000) + audits_of(2_000, now, 9_000)
    found = certified(audits, Judge("m", "p@1", "CN"), ruling, recent_from_ms=5_000)
    assert {one.side for one in found.certificates} == certified_for
    for one in found.certificates:
        assert one.bound <= one.risk
    for side in {"pass", "block"} - certified_for:
        told = next(told for key, told in found.lacking.items() if key.startswith(side))
        older = 4_000 - before if side == "pass" else before
        assert (f"; {older} older ones" in told) == (older > 0)


def test_drift_is_seen_and_a_risk_that_holds_is_rarely_taken_for_it() -> None:
    random = np.random.default_rng(0)
    alarms = [drifted(random.random(4000) < BLOCK_RISK, BLOCK_RISK) for _ in range(200)]
    assert np.mean(alarms) <= 0.05
    seen = [drifted(random.random(1500) < 0.05, BLOCK_RISK) for _ in range(50)]
    assert np.mean(seen) > 0.95
    assert not drifted(np.zeros(0, bool), BLOCK_RISK)
