"""Which decisions may stand by themselves: thresholds whose risk audited decisions bound.

Learn then test (Angelopoulos et al., 2021): each candidate threshold is a hypothesis "its risk is
above the limit", its p-value the exact binomial tail (Clopper & Pearson, 1934), and candidates are
tested from the strictest on until the first cannot be rejected (fixed-sequence testing), which
needs no share of delta for each. Where the sequence begins depends on how many audits a candidate
has, never on what they found. Over several labels delta is divided (Bonferroni).

Audits must be a random sample of the decisions they speak about. Where they come from a population
with another share of violations, `shift` says by how much the prior odds of an error may be larger
live than among the audits (label shift, Saerens et al., 2002: scores of violations and of benign
items stay as they were, so that the odds of an error grow by one factor at every threshold).
`representative` does so for audits that are old: it bounds the factor by those that are not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arrays import Mask, Vectors

DELTA = 0.05
PASS_RISK = 0.001  # enforced violations among machine-passed items
BLOCK_RISK = 0.01  # benign items among those blocked for a label
PASS_CANDIDATES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)  # of `pass_below`
SHIFT_SHARE = 0.4  # of delta that a bound on the prior shift takes
BLOCK_CANDIDATES = (0.999, 0.998, 0.995, 0.99, 0.98, 0.97, 0.95, 0.93, 0.9)


@dataclass(frozen=True)
class Certified:
    """A threshold whose risk is bounded.

    Attributes:
        threshold: the most liberal candidate that held.
        sample: audited decisions at it; `errors` of them were wrong.
        bound: upper end of the risk's exact one-sided interval, live.
    """

    threshold: float
    sample: int
    errors: int
    bound: float


@dataclass(frozen=True)
class Limit:
    """What is to be shown: risk at most `risk` with confidence 1 - `delta`.

    Attributes:
        shift: prior odds of an error live over those among the audits, at most.
    """

    risk: float
    delta: float = DELTA
    shift: float = 1.0

    @property
    def audited_risk(self) -> float:
        """The risk among the audits that is `risk` live."""
        return _of_odds(_odds(self.risk) / self.shift)

    @property
    def least_sample(self) -> int:
        """Audits without an error that show it: 2,995 for 0.1 % at delta .05."""
        return math.ceil(math.log(self.delta) / math.log1p(-self.audited_risk))


def certify_passes(
    margins: Vectors,
    violating: Mask,
    limit: Limit,
    candidates: Sequence[float] = PASS_CANDIDATES,
) -> Certified | None:
    """The largest margin below which an item may pass without a person; None where none holds.

    Args:
        margins: [N] of audited items. violating: [N] whether an enforced label was violated.
        limit: of violations among those that pass.
        candidates: margins, strictest first.
    """
    cells = [(c, *_counted(violating[margins < c])) for c in candidates]
    return _last_held(cells, limit)


def certify_blocks(
    scores: Vectors,
    violating: Mask,
    limit: Limit,
    candidates: Sequence[float] = BLOCK_CANDIDATES,
) -> Certified | None:
    """The least score from which a label may block without a person; None where none holds.

    Args:
        scores: [N] of the label. violating: [N] whether it was violated.
        limit: of benign items among those blocked; its delta is this label's share.
        candidates: scores, strictest first.
    """
    cells = [(c, *_counted(~violating[scores >= c])) for c in candidates]
    return _last_held(cells, limit)


def upper_bound(errors: int, sample: int, delta: float) -> float:
    """Upper end of the exact one-sided interval of a share (Clopper & Pearson, 1934)."""
    if errors >= sample:
        return 1.0
    low, high = errors / sample, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(errors, sample, middle) > delta else (low, middle)
    return high


def lower_bound(errors: int, sample: int, delta: float) -> float:
    """Lower end of the exact one-sided interval of a share."""
    if errors == 0:
        return 0.0
    low, high = 0.0, errors / sample
    for _ in range(60):
        middle = (low + high) / 2
        rare = 1 - tail(errors - 1, sample, middle) < delta  # so many errors or more
        low, high = (middle, high) if rare else (low, middle)
    return low


def tail(errors: int, sample: int, share: float) -> float:
    """P(at most `errors` of `sample`) where each is one with probability `share`."""
    if share <= 0 or errors >= sample:
        return 1.0
    if share >= 1:
        return 0.0
    k = np.arange(errors + 1)
    chosen = math.lgamma(sample + 1) - _lgamma(k + 1) - _lgamma(sample - k + 1)
    logs = chosen + k * math.log(share) + (sample - k) * math.log1p(-share)
    peak = float(logs.max())
    return min(1.0, math.exp(peak) * float(np.exp(logs - peak).sum()))


def prior_shift(audited: tuple[int, int], live: tuple[int, int], delta: float) -> float:
    """How much larger the prior odds of a violation may be live than among the audits.

    Args:
        audited: violations and size of the audits. live: likewise of a random sample of traffic.
        delta: spent half on each of the two; take it off that of the certificate.
    """
    high = upper_bound(*live, delta / 2)
    low = lower_bound(*audited, delta / 2)
    return _odds(high) / max(_odds(low), 1e-12)


def representative(decided: Mask, wrong: Mask, recent: Mask, limit: Limit) -> tuple[Mask, Limit]:
    """Which audits speak about what comes now, and the limit that they have to show.

    Recent ones speak for themselves where there are enough of them. Otherwise older ones do, under
    a limit that allows for as large a share of errors as recent ones leave possible. That share is
    counted over audits of every decision: drawn by the same shares, then and now, their odds move
    as those of all content do.

    Args:
        decided: [N] whether an audited decision is of the kind to be certified.
        wrong: [N] whether that decision would have been wrong about it.
        recent: [N] whether it was drawn from what comes now.
        limit: of the risk now.

    Returns:
        [N] the audits to test, chosen by how many there are of each kind, and their limit.
    """
    speaking = decided & recent
    if (recent | ~decided).all() or speaking.sum() >= limit.least_sample:
        return speaking, limit
    spent = limit.delta * SHIFT_SHARE
    shift = prior_shift(_counted(wrong[~recent]), _counted(wrong[recent]), spent)
    return decided & ~recent, Limit(limit.risk, limit.delta - spent, limit.shift * shift)


def drifted(errors: Mask, risk: float, delta: float = DELTA) -> bool:
    """Whether decisions audited since a certificate speak against it, looked at after each one.

    A mixture of likelihood ratios against larger risks: while the risk holds, it ever exceeds
    1 / delta with probability delta at most (Ville, 1939), however often one looks.

    Args:
        errors: [N] whether the decision was wrong, oldest first.
        risk: that was certified.
        delta: chance of a false alarm over the certificate's whole life.
    """
    worse = risk + (1 - risk) * np.array([0.002, 0.005, 0.02, 0.05, 0.2])
    wrong = np.cumsum(errors)[:, None]
    right = np.arange(1, len(errors) + 1)[:, None] - wrong
    logs = wrong * np.log(worse / risk) + right * np.log((1 - worse) / (1 - risk))
    return bool((np.exp(np.minimum(logs, 500)).mean(1) >= 1 / delta).any())


def _last_held(cells: Sequence[tuple[float, int, int]], limit: Limit) -> Certified | None:
    held: Certified | None = None
    for threshold, errors, sample in cells:
        if sample < limit.least_sample:
            if held is None:
                continue  # cannot be shown whatever was found
            break
        if tail(errors, sample, limit.audited_risk) > limit.delta:
            break
        bound = upper_bound(errors, sample, limit.delta)
        held = Certified(threshold, sample, errors, _of_odds(_odds(bound) * limit.shift))
    return held


def _counted(errors: Mask) -> tuple[int, int]:
    return int(errors.sum()), len(errors)


def _lgamma(values: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.array([math.lgamma(value) for value in values.tolist()])


def _odds(share: float) -> float:
    return share / max(1.0 - share, 1e-12)


def _of_odds(odds: float) -> float:
    return odds / (1.0 + odds)
