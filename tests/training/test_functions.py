"""The card's table tells of the suite's own sentences, and of no evasions."""

from pathlib import Path

import numpy as np

from tests.benchmarks.robustness.suite import cases
from training.functions import SUITE, function_figures, function_words, sentences


def test_sentences_are_the_suites_that_only_report() -> None:
    for language in ("zh", "en"):
        ours = {(one.function, one.text) for one in sentences(SUITE / f"{language}.yaml")}
        theirs = {
            (case.function, case.text)
            for case in cases(language)
            if case.half == "test" and not case.operator
        }
        assert ours == theirs


def test_the_table_counts_what_is_right() -> None:
    table = function_figures(lambda texts: np.array(["?" in text for text in texts], np.float32))
    assert all(row["zh"]["n"] > 0 for row in table.values() if "zh" in row)
    benign = table["identity_neutral"]
    assert (benign["violation"], benign["zh"]["right"]) == (False, 1)
    assert "| identity_neutral | no | 1.00 of" in function_words(table)


def test_without_the_suite_nothing_is_told(tmp_path: Path) -> None:
    assert function_words(function_figures(lambda _: np.zeros(0, np.float32), tmp_path)) == ""
