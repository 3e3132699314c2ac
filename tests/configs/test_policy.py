"""Policies of regions and surfaces, and what is refused in one by its key."""

import shutil
from pathlib import Path

import pytest

from configs.labels import load_labels
from configs.load import ConfigError
from configs.policy import Policies, Thresholds, load_policies

POLICIES = Path(__file__).parents[2] / "configs/policies"
OF_ITS_OWN = "policy: commerce-x\nversion: 1\nregions: [FR]\n"


def loaded(folder: Path = POLICIES, scored: tuple[str, ...] = ("hate",)) -> Policies:
    return load_policies(folder, load_labels(), scored)


def test_a_region_says_what_differs_and_inherits_the_rest() -> None:
    policies = loaded()
    names = {region: policies.of(region).name for region in ("CN", "US", "SG", "TH", "FR")}
    assert names == {
        "CN": "commerce-cn@2",
        "US": "commerce-us@2",
        "SG": "commerce-sea@2",
        "TH": "commerce-sea@2",
        "FR": "commerce@2",
    }
    assert policies.of().region == "CN"
    assert policies.of("US").thresholds["community/vulgar"].pass_below == 0.8
    assert policies.of("US").policy.statuses == policies.default.statuses


def test_a_surface_lies_over_its_region() -> None:
    policies = loaded()
    live = policies.of("CN", "live")
    assert live.name == "commerce-cn@2/live"
    assert live.thresholds["hate"] == Thresholds(pass_below=0.4, block_from=0.97)
    assert live.thresholds["sexual"] == policies.default.thresholds["sexual"]
    assert policies.of("CN", "item").name == policies.of("CN").name == "commerce-cn@2"
    assert policies.of("US", "comment").thresholds["community/vulgar"].pass_below == 0.9


def test_rules_of_advertising_hold_for_what_advertises() -> None:
    policies, labels = loaded(), load_labels()
    claims = {*labels.groups["claims"], "commerce/counterfeit"}
    for region in ("CN", "US", "SG", "FR"):
        assert policies.of(region).without_rules == frozenset()
        assert policies.of(region, "live").without_rules == frozenset()
        assert policies.of(region, "comment").without_rules == claims
        assert policies.of(region, "chat").without_rules == claims
        assert policies.of(region, "profile").without_rules == {"commerce/absolute_claim"}


def test_a_region_names_other_rules_and_whole_packs(tmp_path: Path) -> None:
    shutil.copy(POLICIES / "default.yaml", tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/trial.yaml").write_text("pack: trial\n", "utf-8")
    own = OF_ITS_OWN + "surfaces: {comment: {without_rules: [trial, hate]}}\n"
    (tmp_path / "x.yaml").write_text(own, "utf-8")
    policies = loaded(tmp_path)
    assert policies.of("FR", "comment").without_rules == {"trial", "hate"}
    assert "commerce/counterfeit" in policies.of("CN", "comment").without_rules


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("thresholds: {hatred: {pass_below: 0.1, block_from: 0.9}}", r"x\.yaml: thresholds\.hat"),
        (
            "surfaces: {live: {thresholds: {hatred: {pass_below: 0.1, block_from: 0.9}}}}",
            r"surfaces\.live\.thresholds\.hatred: no such label",
        ),
        ("qr_code: {label: commerce/codes}", r"qr_code\.label: no such label 'commerce/codes'"),
        ("surfaces: {attic: {}}", r"surfaces\.attic: no such surface; known: \['item'"),
        (
            "surfaces: {chat: {without_rules: [claims, cn-advert]}}",
            r"x\.yaml: surfaces\.chat\.without_rules: no such label, group or rule pack "
            r"'cn-advert'; packs: \['trial'\]",
        ),
        ("surface: live", "surface: 'live' must be the default's"),
        ("region: FR", "region: 'FR' must be the default's"),
        ("regions: [XX]", "regions: no such region 'XX'"),
        ("regions: [CN]", "regions: CN has a policy already"),
        ("regions: []", "regions: name at least one"),
        ("thresholds: {hate: {pass_below: 0.9, block_from: 0.1}}", r"\.hate.*pass_below 0\.9"),
        ("colour: red", r"colour = 'red': Extra inputs"),
    ],
)  # fmt: skip
def test_what_there_is_not_is_refused_by_its_key(
    tmp_path: Path, changed: str, message: str
) -> None:
    for name in ("default", "cn"):
        shutil.copy(POLICIES / f"{name}.yaml", tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/trial.yaml").write_text("pack: trial\n", "utf-8")
    own = "".join(
        line + "\n"
        for line in OF_ITS_OWN.splitlines()
        if not changed.startswith("regions") or not line.startswith("regions")
    )
    (tmp_path / "x.yaml").write_text(own + changed, "utf-8")
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path)
    (tmp_path / "x.yaml").write_text(OF_ITS_OWN, "utf-8")
    assert loaded(tmp_path).of("FR").name == "commerce-x@1"


def test_the_default_names_every_label_that_is_scored_and_no_region(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"default\.yaml: thresholds\.violence: is missing"):
        loaded(scored=("hate", "violence"))
    text = (POLICIES / "default.yaml").read_text("utf-8")
    (tmp_path / "default.yaml").write_text(text + "regions: [FR]\n", "utf-8")
    with pytest.raises(ConfigError, match="regions: the default holds everywhere"):
        loaded(tmp_path)
    (tmp_path / "default.yaml").write_text(text, "utf-8")
    (tmp_path / "x.yaml").write_text("regions: [FR]\n", "utf-8")
    with pytest.raises(ConfigError, match=r"x\.yaml: policy: give one of its own"):
        loaded(tmp_path)
