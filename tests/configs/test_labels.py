"""The labels file, and what is refused in one."""

import pytest
from pydantic import ValidationError

from configs.labels import OPENAI_CATEGORIES, Labels, load_labels


def test_all_openai_categories_and_ours_are_there() -> None:
    labels = load_labels()
    assert set(OPENAI_CATEGORIES) <= set(labels.labels)
    ours = {name for name in labels.labels if "/" in name} - set(OPENAI_CATEGORIES)
    assert {name.split("/")[0] for name in ours} == {"commerce", "community", "rights"}
    assert len(ours) == 11


def test_observed_labels_are_never_enforced() -> None:
    labels = load_labels().labels
    assert not labels["self-harm"].enforced
    assert labels["hate"].enforced
    assert labels["commerce/absolute_claim"].action_in("CN") == "block"
    assert labels["commerce/absolute_claim"].action_in("US") == "pass"


def test_groups_and_labels_are_members() -> None:
    labels = load_labels()
    assert "hate/threatening" in labels.members("abuse")
    assert labels.members("hate") == ("hate",)
    with pytest.raises(KeyError, match="no label or group 'hat'"):
        labels.members("hat")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parent": "nothing"}, "unknown labels"),
        ({"parent": "hate/threatening"}, "has a parent itself"),
        ({"action": {"CN": "block"}}, "needs a default"),
        ({"action": {"default": "pass", "ZX": "block"}}, "unknown regions"),
        ({"severity": 5}, "less than or equal to 4"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_wrong_label_is_refused(change: dict[str, object], message: str) -> None:
    values = load_labels().model_dump()
    values["labels"]["community/spam"] |= change
    with pytest.raises(ValidationError, match=message):
        Labels.model_validate(values)
