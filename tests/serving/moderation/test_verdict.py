"""The cascade: rules and scores join into one verdict under a policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.labels import Action, load_labels
from configs.policy import Policies, Surface, Thresholds, load_policies
from models.arrays import Vectors
from models.modalities import Modality
from serving.moderation.certificates import (
    EVERYTHING,
    Certificate,
    CertificateBook,
    Judge,
    Side,
)
from serving.moderation.findings import Chunk, Content, Found
from serving.moderation.rulebook import RuleBook
from serving.moderation.verdict import LabelVerdict, Moderator, Verdict, strongest, weaker

POLICIES = Path(__file__).parents[3] / "configs/policies"
CLAIM = "口碑好，全国 销量第一"


@dataclass(frozen=True)
class FixedScores:
    """Gives the same scores to every text."""

    hate: float
    labels: tuple[str, ...] = ("harassment", "hate", "self-harm")
    version: str = "fixed"

    def judged(self, texts: Sequence[str]) -> tuple[Vectors, Vectors]:
        scores = np.array([[0.1, self.hate, 0.99]] * len(texts), np.float32)
        values = np.array([[0.1, 0.2, 0.7] if "?" in text else [0.5, 0.3, 0.2] for text in texts])
        return scores, values.astype(np.float32)


def moderator(
    hate: float = 0.1, policy: Mapping[str, Action] | None = None, *certificates: Certificate
) -> Moderator:
    labels = load_labels()
    sure = Thresholds(pass_below=0.5, block_from=0.9)
    rules = RuleBook(POLICIES / "rules", labels)
    loaded = load_policies(POLICIES, labels, ()).default
    thresholds = loaded.thresholds | {"self-harm": sure, "hate": sure}
    trusting = {"uncertified_pass": "pass"} | dict(policy or {})
    changed = loaded.model_copy(update={"thresholds": thresholds, **trusting})
    return Moderator(
        labels, Policies(changed), rules, FixedScores(hate), CertificateBook(certificates)
    )


def label(verdict: Verdict, name: str) -> LabelVerdict:
    return next(one for one in verdict.labels if one.label == name)


@pytest.mark.parametrize(
    ("score", "suggestion"), [(0.49, "pass"), (0.5, "review"), (0.89, "review"), (0.95, "review")]
)
def test_scores_lead_to_zones_and_no_score_alone_blocks(score: float, suggestion: str) -> None:
    assert moderator(score).judge(["x"]).suggestion == suggestion


def test_what_the_policy_says_of_uncertified_decisions_is_done() -> None:
    assert moderator(0.95, {"uncertified_block": "block"}).judge(["x"]).suggestion == "block"
    verdict = moderator(0.1, {"uncertified_pass": "review"}).judge(["x"])
    assert (verdict.suggestion, verdict.uncertified) == ("review", True)
    assert {one.suggestion for one in verdict.labels} == {"pass"}
    assert moderator(0.1).judge(["x"]).suggestion == "pass"


def test_the_most_useful_text_values_the_content() -> None:
    verdict = moderator().judge(["really?", "it runs small"])
    assert verdict.content_value == pytest.approx(
        {"strong_use": 0.5, "weak_use": 0.3, "no_use": 0.2}
    )
    assert moderator().judge([]).content_value is None


class Mean:
    """A fusion by the mean of the modalities."""

    def fused(self, scores: Mapping[Modality, Mapping[str, float]]) -> dict[str, float]:
        names = {name for of in scores.values() for name in of}
        return {name: float(np.mean([of[name] for of in scores.values()])) for name in names}


def test_a_fusion_joins_what_modalities_say() -> None:
    found = Found({"text": {"hate": 0.2}, "ocr": {"hate": 0.8}})
    judge, names = moderator(), frozenset({"hate"})
    ruling = judge.policies.of("CN")
    likeliest = judge._labels(names, found, ruling)
    joined = replace(judge, fusion=Mean())._labels(names, found, ruling)
    assert (likeliest[0].score, joined[0].score) == pytest.approx((0.8, 0.5))
    assert dict(joined[0].by_modality) == {"text": 0.2, "ocr": 0.8}


def certificate(side: Side, label: str, threshold: float, **changed: Any) -> Certificate:
    judge = Judge("fixed", "commerce@2", "CN")
    made = Certificate("cert-1", side, label, judge, threshold, 0.01, 0.05, 299, 0, 0.01)
    return replace(made, **changed)


def test_a_certificate_lets_the_machine_block_from_its_threshold_on() -> None:
    covered = certificate("block", "hate", 0.94)
    verdict = moderator(0.95, None, covered).judge(["x"])
    assert verdict.suggestion == "block"
    assert label(verdict, "hate").certificate == "cert-1"
    assert moderator(0.93, None, covered).judge(["x"]).suggestion == "review"
    assert moderator(0.95, None, replace(covered, revoked_at_ms=1)).judge(["x"]).suggestion == (
        "review"
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"revoked_at_ms": 1},
        {"judge": Judge("another", "commerce@2", "CN")},
        {"judge": Judge("fixed", "commerce@3", "CN")},
        {"judge": Judge("fixed", "commerce@2", "US")},
        {"threshold": 0.2},
        {"side": "block"},
    ],
)
def test_a_pass_needs_a_certificate_that_speaks_about_it(changed: dict[str, Any]) -> None:
    covered = certificate("pass", EVERYTHING, 0.5)
    careful: dict[str, Action] = {"uncertified_pass": "review"}
    verdict = moderator(0.1, careful, covered).judge(["x"])
    assert verdict.margin == pytest.approx(0.2)
    assert (verdict.suggestion, verdict.certificate) == ("pass", "cert-1")
    assert moderator(0.1, careful, replace(covered, **changed)).judge(["x"]).uncertified


def test_an_observed_label_is_scored_and_never_enforced() -> None:
    verdict = label(moderator().judge(["x"]), "self-harm")
    assert verdict.score == pytest.approx(0.99)
    assert (verdict.enforced, verdict.suggestion) == (False, "pass")


def test_a_broken_rule_blocks_where_it_holds_and_shows_where_and_why() -> None:
    judge = moderator().judge
    verdict = judge(["干净的文字", CLAIM], "CN")
    [finding] = verdict.findings
    assert verdict.suggestion == "block"
    assert finding.source == "text:1"
    assert CLAIM[slice(*finding.evidence.span)] == finding.evidence.raw == "全国 销量第一"
    assert finding.evidence.statute == "广告法 §9(3)"
    claim = label(verdict, "commerce/absolute_claim")
    assert (claim.score, claim.by_rule, claim.thresholds) == (1.0, True, None)
    assert judge([CLAIM], "US").suggestion == "pass"
    assert judge([CLAIM]).region == "CN"


def test_a_lawful_use_is_shown_and_does_not_count() -> None:
    verdict = moderator().judge(["本店最佳赏味期为三天"], "CN")
    assert verdict.suggestion == "pass"
    assert all(finding.evidence.exemption for finding in verdict.findings)


def test_a_label_never_leads_to_more_than_its_region_allows() -> None:
    plain = moderator(0.95, {"uncertified_block": "block"})
    allowed = plain.labels.labels["hate"].model_copy(update={"action": {"default": "review"}})
    labels = plain.labels.model_copy(update={"labels": plain.labels.labels | {"hate": allowed}})
    assert replace(plain, labels=labels).judge(["x"]).suggestion == "review"


def test_only_what_something_can_find_is_listed() -> None:
    judge = moderator()
    listed = {one.label for one in judge.judge(["x"]).labels}
    assert listed == judge.findable()
    assert "violence" not in listed


def test_order_of_actions() -> None:
    assert strongest([]) == "pass"
    assert strongest(["pass", "block", "review"]) == "block"
    assert weaker("block", "review") == "review"


def test_regions_and_surfaces_have_thresholds_and_certificates_of_their_own() -> None:
    judge = moderator(0.6)
    default = judge.policies.default
    strict = {"hate": Thresholds(pass_below=0.2, block_from=0.55)}
    surfaces = default.surfaces | {"live": Surface(thresholds=strict)}
    calm = default.model_copy(
        update={
            "policy": "calm",
            "thresholds": default.thresholds | {"hate": Thresholds(pass_below=0.7, block_from=0.9)},
        }
    )
    policies = Policies(default.model_copy(update={"surfaces": surfaces}), {"US": calm})
    changed = replace(judge, policies=policies)
    assert changed.judge(["x"]).suggestion == "review"
    assert changed.judge(["x"], "US").suggestion == "pass"
    live = changed.judge(["x"], "CN", surface="live")
    assert label(live, "hate").thresholds == strict["hate"]
    assert (live.surface, live.policy) == ("live", "commerce@2/live")
    assert changed.judge(["x"], "US").policy == "calm@2"
    covers = certificate("block", "hate", 0.55)
    on_live = replace(covers, judge=Judge("fixed", "commerce@2/live", "CN"))
    for made, suggestion in ((covers, "review"), (on_live, "block")):
        covered = replace(changed, certificates=CertificateBook([made]))
        assert covered.judge(["x"], "CN", surface="live").suggestion == suggestion
    with pytest.raises(KeyError, match="attic"):
        changed.judge(["x"], "CN", surface="attic")


@pytest.mark.parametrize("surface", ["comment", "chat"])
def test_what_people_say_is_no_advert_but_contacts_and_goods_count(surface: str) -> None:
    judge = moderator()
    item, said = judge.judge([CLAIM]), judge.judge([CLAIM], surface=surface)
    assert (item.suggestion, said.suggestion) == ("block", "pass")
    assert not said.findings
    of_item, of_said = ({one.label for one in verdict.labels} for verdict in (item, said))
    claims = {"absolute_claim", "false_effect", "medical_claim", "price_fraud", "counterfeit"}
    assert of_item - of_said == {f"commerce/{name}" for name in claims}
    diverted = judge.judge(["加我微信 tea_house88"], surface=surface)
    assert label(diverted, "commerce/diversion").by_rule
    assert diverted.suggestion == "block"


def test_a_speech_is_judged_by_the_rules_of_its_surface() -> None:
    speech = Content(transcripts=((Chunk(0.0, 2.0, CLAIM),),))
    judge = moderator()
    assert judge.judge_content(speech, surface="live").suggestion == "block"
    assert judge.judge_content(speech, surface="chat").suggestion == "pass"
