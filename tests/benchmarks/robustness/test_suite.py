"""What the functional suite promises: size, balance, and operators kept apart from training."""

from collections import Counter
from pathlib import Path

import pytest

from configs.load import load
from tests.benchmarks.robustness.operators import HELD_OUT, SEEN
from tests.benchmarks.robustness.suite import EVASIONS_PER_OPERATOR, Suite, cases


def suite(language: str) -> Suite:
    return load(Path(__file__).with_name(f"{language}.yaml"), Suite, environ={})


@pytest.mark.parametrize("language", ["zh", "en"])
def test_at_least_25_functions_and_750_cases_each_language(language: str) -> None:
    assert len(suite(language).functions) >= 25
    assert len(cases(language)) >= 750
    assert len({case.text for case in cases(language)}) >= 0.97 * len(cases(language))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_declared_operators_are_the_operators_used(language: str) -> None:
    declared = suite(language).operators
    assert set(declared.seen_in_training) == set(SEEN[language])
    assert set(declared.held_out) == set(HELD_OUT[language])
    assert not set(HELD_OUT[language]) & set(SEEN[language])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_operator_rewrites_its_cases(language: str) -> None:
    evaded = [case for case in cases(language) if case.operator]
    assert all(case.text != case.clean and case.violation for case in evaded)
    counts = Counter(case.operator for case in evaded)
    assert set(counts.values()) == {EVASIONS_PER_OPERATOR}


def test_cases_are_the_same_in_every_run() -> None:
    assert cases("zh") == cases("zh")
