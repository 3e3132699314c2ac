"""What another policy would have earned, from what one policy logged with its propensities.

Inverse propensity scoring (Horvitz & Thompson 1952), its self-normalised form (Swaminathan &
Joachims 2015) and the doubly robust estimate (Dudík et al. 2011), each with a 95 % interval.
Policies that the log says nothing of are refused.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Z_95 = 1.96
LEAST_EFFECTIVE = 50.0  # decisions; below this a normal interval means little
WEIGHT_TOLERANCE = 4.0  # standard errors by which the mean weight may miss 1
ENOUGH = 1.0 - 1e-6  # of the policy's choices must be possible under the log


class NoSupportError(ValueError):
    """The policy would do what the log never does, or hardly ever."""


@dataclass(frozen=True)
class Decisions:
    """T logged decisions, and what the policy to be judged would do in their place.

    Attributes:
        rewards: [T] what the logged action earned.
        propensity: [T] probability with which it was logged, in (0, 1].
        target: [T] probability with which the policy takes the logged action.
        covered: [T] mass of the policy's choices that the log could have taken there; None if the
            log does not say.
    """

    rewards: Floats
    propensity: Floats
    target: Floats
    covered: Floats | None = None

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def weights(self) -> Floats:
        """[T] how much more often the policy takes the logged action."""
        return self.target / self.propensity


@dataclass(frozen=True)
class Estimate:
    """Mean reward of a decision under the policy.

    Attributes:
        value: the estimate. low, high: its 95 % interval.
        effective: how many decisions of the policy itself the log is worth (Kish 1965).
    """

    value: float
    low: float
    high: float
    effective: float


def supported(decisions: Decisions) -> None:
    """Refuse what the log cannot tell.

    Raises:
        NoSupportError: a propensity is not a probability above 0, the policy does what the log
            never does, the weights do not average 1, or too few decisions carry them.
    """
    chance = decisions.propensity
    if not len(decisions) or not ((chance > 0) & (chance <= 1)).all():
        raise NoSupportError("a propensity is missing, or not in (0, 1]")
    weights = decisions.weights
    if decisions.covered is not None and decisions.covered.min() < ENOUGH:
        never = 1.0 - float(decisions.covered.mean())
        raise NoSupportError(f"{never:.1%} of the policy's choices are never logged")
    error = float(weights.std()) / np.sqrt(len(weights))
    if abs(float(weights.mean()) - 1.0) > WEIGHT_TOLERANCE * error + 1e-6:
        raise NoSupportError(
            f"the weights average {weights.mean():.3f} ± {error:.3f}, not 1: the policy does what "
            "is not logged, or the propensities are not those of the log"
        )
    if (effective := effective_decisions(weights)) < LEAST_EFFECTIVE:
        raise NoSupportError(
            f"the log is worth {effective:.0f} decisions of this policy, fewer than "
            f"{LEAST_EFFECTIVE:.0f}: it mostly does what is hardly ever logged"
        )


def effective_decisions(weights: Floats) -> float:
    """Kish's effective sample size."""
    return float(weights.sum() ** 2 / max(float((weights**2).sum()), 1e-300))


def inverse_propensity(decisions: Decisions) -> Estimate:
    """Unbiased where the propensities are true. Raises: NoSupportError."""
    supported(decisions)
    return _estimate(decisions.weights * decisions.rewards, decisions.weights)


def self_normalised(decisions: Decisions) -> Estimate:
    """Of less variance, with a bias that vanishes with T (delta method). Raises: NoSupportError."""
    supported(decisions)
    weights, rewards = decisions.weights, decisions.rewards
    value = float((weights * rewards).sum() / weights.sum())
    return _estimate(value + weights * (rewards - value) / weights.mean(), weights)


def doubly_robust(decisions: Decisions, expected: Floats, under_policy: Floats) -> Estimate:
    """Unbiased where either the propensities or the reward model are true.

    Args:
        decisions: as logged.
        expected: [T] what a model expects of the logged action.
        under_policy: [T] what it expects of the policy's choice.

    Raises:
        NoSupportError: see `supported`.
    """
    supported(decisions)
    terms = under_policy + decisions.weights * (decisions.rewards - expected)
    return _estimate(terms, decisions.weights)


def _estimate(terms: Floats, weights: Floats) -> Estimate:
    value = float(terms.mean())
    half = Z_95 * float(terms.std(ddof=1)) / float(np.sqrt(len(terms)))
    return Estimate(value, value - half, value + half, effective_decisions(weights))
