"""Item ids and rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.vocabulary import Vocabulary


@given(st.lists(st.text(), unique=True))
def test_every_id_and_row_find_each_other(item_ids: list[str]) -> None:
    vocabulary = Vocabulary(item_ids)
    assert len(vocabulary) == len(item_ids)
    assert [vocabulary.row(item_id) for item_id in item_ids] == list(range(len(item_ids)))
    assert [vocabulary.item_id(row) for row in range(len(item_ids))] == item_ids


def test_an_unknown_id_has_no_row() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.row("c") is None
    assert vocabulary.rows(["b", "c", "a"]).tolist() == [1, -1, 0]
    assert vocabulary.rows([]).dtype == "int64"


@pytest.mark.parametrize("row", [-1, 2])
def test_a_row_outside_is_refused(row: int) -> None:
    with pytest.raises(IndexError, match=rf"row {row} is outside \[0, 2\)"):
        Vocabulary(["a", "b"]).item_id(row)


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="item_id 'b' stands in row 1 and row 3"):
        Vocabulary(["a", "b", "c", "b"])
