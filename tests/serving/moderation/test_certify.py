"""Certificates bound what they say they bound."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from serving.moderation.certify import (
    BLOCK_RISK,
    PASS_RISK,
    Limit,
    certify_blocks,
    certify_passes,
    drifted,
    lower_bound,
    prior_shift,
    tail,
    upper_bound,
)


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


def test_drift_is_seen_and_a_risk_that_holds_is_rarely_taken_for_it() -> None:
    random = np.random.default_rng(0)
    alarms = [drifted(random.random(4000) < BLOCK_RISK, BLOCK_RISK) for _ in range(200)]
    assert np.mean(alarms) <= 0.05
    seen = [drifted(random.random(1500) < 0.05, BLOCK_RISK) for _ in range(50)]
    assert np.mean(seen) > 0.95
    assert not drifted(np.zeros(0, bool), BLOCK_RISK)
