from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models.arrays import Rows
from training.off_policy import (
    Decisions,
    Estimate,
    NoSupportError,
    doubly_robust,
    inverse_propensity,
    self_normalised,
)

ARMS = np.array([0.1, 0.2, 0.5])  # mean reward of three actions
LOGGED, TARGET = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
TRUTH = float(TARGET @ ARMS)


def log_of(seed: int, count: int = 4_000) -> tuple[Decisions, Rows]:
    rng = np.random.default_rng(seed)
    action = rng.choice(3, count, p=LOGGED)
    rewards = (rng.random(count) < ARMS[action]).astype(float)
    return Decisions(rewards, LOGGED[action], TARGET[action], np.ones(count)), action


def holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


def test_the_truth_lies_in_the_intervals_as_often_as_they_say() -> None:
    held = np.zeros(3)
    for seed in range(200):
        log, action = log_of(seed)
        wrong = np.array([0.3, 0.1, 0.2])  # a poor reward model
        found = (
            inverse_propensity(log),
            self_normalised(log),
            doubly_robust(log, wrong[action], np.full(len(log), TARGET @ wrong)),
        )
        held += [holds(one, TRUTH) for one in found]
    assert (held >= 180).all()


def test_a_good_reward_model_narrows_the_interval() -> None:
    log, action = log_of(0)
    robust = doubly_robust(log, ARMS[action], np.full(len(log), TRUTH))
    plain = inverse_propensity(log)
    assert robust.high - robust.low < plain.high - plain.low
    assert holds(robust, TRUTH)


def test_the_logging_policy_judges_itself_by_its_mean() -> None:
    log, _ = log_of(1)
    own = Decisions(log.rewards, log.propensity, log.propensity)
    assert inverse_propensity(own).value == pytest.approx(log.rewards.mean())
    assert inverse_propensity(own).effective == pytest.approx(len(log))


def test_policies_without_support_are_refused() -> None:
    log, _ = log_of(2)
    certain = Decisions(log.rewards, np.ones(len(log)), np.full(len(log), 0.3))
    with pytest.raises(NoSupportError, match=r"weights average 0\.300"):
        inverse_propensity(certain)
    never = Decisions(log.rewards, log.propensity, log.target, np.full(len(log), 0.9))
    with pytest.raises(NoSupportError, match=r"10.0% of the policy's choices are never logged"):
        self_normalised(never)
    with pytest.raises(NoSupportError, match=r"not in \(0, 1\]"):
        inverse_propensity(Decisions(log.rewards, np.zeros(len(log)), log.target))
    rare = np.full(1_000, 1e-9)
    rare[:5] = 0.5
    weights = np.zeros(1_000)
    weights[:5] = 100.0
    with pytest.raises(NoSupportError, match="worth 5 decisions"):
        inverse_propensity(Decisions(np.ones(1_000), rare, weights * rare))


@pytest.mark.real_data
def test_a_real_shop_page_with_true_propensities(data_root: Path) -> None:
    """Two policies served one page side by side; each tells of the other (Saito et al. 2020)."""
    folder = data_root / "open-bandit-men"
    tables = {name: pq.read_table(folder / f"{name}.parquet") for name in ("random", "bts")}
    clicks = {name: table["click"].to_numpy().astype(float) for name, table in tables.items()}
    chance = tables["bts"]["propensity_score"].to_numpy()
    told = inverse_propensity(Decisions(clicks["bts"], chance, np.full(len(chance), 1 / 34)))
    truth = clicks["random"].mean()
    noise = 1.96 * clicks["random"].std() / np.sqrt(len(clicks["random"]))
    assert abs(told.value - truth) <= np.hypot(told.high - told.value, noise)
    assert told.effective < 1_000  # of 10,000: the log rarely did what chance would do

    favourite = np.asarray(tables["random"]["item_id"].to_numpy() == 0, float)
    random_chance = tables["random"]["propensity_score"].to_numpy()
    one_item = inverse_propensity(Decisions(clicks["random"], random_chance, favourite))
    assert one_item.low <= clicks["random"][favourite == 1].mean() <= one_item.high

    greedy = Decisions(clicks["bts"], chance, (chance > 0.5).astype(float))
    with pytest.raises(NoSupportError):
        inverse_propensity(greedy)
