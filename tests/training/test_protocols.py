import numpy as np
import pytest

from tests.training.logs import random_interactions
from training.log import Log, encode, user_offsets
from training.protocols import PROTOCOLS, Cases, Split

SEEDS = (0, 1)


def split(protocol: str, seed: int = 0, with_history: bool = True) -> tuple[Log, Split]:
    data = random_interactions(with_history=with_history)
    log = encode(data)
    users, items = (data.users["user_id"].to_pylist(), data.items["item_id"].to_pylist())
    return log, PROTOCOLS[protocol](log, users, items, seed)


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
@pytest.mark.parametrize("with_history", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
class TestEveryProtocol:
    """What holds of each way to split."""

    def test_every_case_has_targets_that_were_not_seen(
        self, protocol: str, with_history: bool, seed: int
    ) -> None:
        _, parts = split(protocol, seed, with_history)
        for cases in (parts.valid, parts.test):
            assert len(cases) > 0
            for u in range(len(cases)):
                assert len(cases.targets[u]) > 0
                assert not np.isin(cases.targets[u], cases.seen[u]).any()
                assert np.isin(cases.histories[u].rows, cases.seen[u]).all()

    def test_same_seed_same_split(self, protocol: str, with_history: bool, seed: int) -> None:
        first, second = (split(protocol, seed, with_history)[1] for _ in range(2))
        assert first.test.targets.values.tolist() == second.test.targets.values.tolist()

    def test_no_target_is_trained_on(self, protocol: str, with_history: bool, seed: int) -> None:
        _, parts = split(protocol, seed, with_history)
        pairs = learned_pairs(parts.train)
        assert not pairs & target_pairs(parts.valid)
        assert not learned_pairs(parts.final) & target_pairs(parts.test)


def learned_pairs(log: Log) -> set[tuple[int, int]]:
    return set(zip(log.user_rows.tolist(), log.item_rows.tolist(), strict=True))


def target_pairs(cases: Cases) -> set[tuple[int, int]]:
    owners = np.repeat(cases.users, np.diff(cases.targets.offsets))
    return set(zip(owners.tolist(), cases.targets.values.tolist(), strict=True))


def test_held_out_users_are_unknown_to_training() -> None:
    _, parts = split("unseen-users")
    assert not np.isin(parts.test.users, parts.final.user_rows).any()
    assert not np.isin(parts.valid.users, parts.train.user_rows).any()


def test_leave_last_out_tests_the_last_positive() -> None:
    log, parts = split("leave-last-out", with_history=False)
    offsets = user_offsets(log)
    for u, user in enumerate(parts.test.users):
        own = slice(offsets[user], offsets[user + 1])
        last = log.item_rows[own][log.positive[own]][-1]
        assert parts.test.targets[u].tolist() == [last]


def test_time_split_trains_on_the_past_only() -> None:
    log, parts = split("time-split", with_history=False)
    assert parts.train.time_ms.max() < log.time_ms.max()
    assert parts.final.time_ms.max() < log.time_ms.max()


@pytest.mark.parametrize("with_history", [True, False])
def test_towers_before_the_log_know_none_of_what_is_asked(with_history: bool) -> None:
    log, parts = split("before-log", with_history=with_history)
    assert not parts.final.logged.any() or parts.final.time_ms.max() < log.time_ms.max()
    assert len(parts.train) < len(parts.final) < len(log)
    if with_history:
        assert len(parts.final) == (~log.logged).sum()


def test_random_split_takes_a_tenth_of_each_user() -> None:
    log, parts = split("random-8-1-1", with_history=False)
    kept = np.bincount(parts.train.user_rows, minlength=log.user_count)
    assert (kept == 16).all()


def test_cold_items_are_unknown_to_training_and_alone_in_the_test() -> None:
    _, parts = split("cold-items")
    assert parts.cold is not None
    assert parts.cold.any()
    for log in (parts.train, parts.final):
        assert not parts.cold[log.item_rows].any()
    assert parts.cold[parts.test.targets.values].all()
    assert not any(parts.cold[history.rows].any() for history in parts.test.histories)


def test_other_seeds_split_otherwise() -> None:
    tests = [split("unseen-users", seed)[1].test.users.tolist() for seed in SEEDS]
    assert tests[0] != tests[1]
