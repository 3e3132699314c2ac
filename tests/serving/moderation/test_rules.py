"""Rules: hits with evidence, lawful uses, innocent words, reload."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.labels import load_labels
from configs.load import ConfigError
from configs.rules import RulePack, load_pack
from models.canonical import read
from serving.moderation.rulebook import RuleBook
from serving.moderation.rules import Evidence, RuleError, compile_pack, evaluate

PACKS = Path(__file__).parents[3] / "configs/policies/rules"


def pack(**rule: Any) -> dict[str, Any]:
    return {
        "pack": "trial",
        "version": 1,
        "exemptions": {"name": {"basis": "a name", "reach": "clause", "patterns": ["牌"]}},
        "rules": [
            {
                "id": "one",
                "label": "community/spam",
                "statute": "house rule",
                "severity": 1,
                "action": "review",
                "terms": ["靠", "全网最低价", "av"],
                "pinyin": True,
                "allow": ["可靠|依靠"],
                "exemptions": ["name"],
                "tests": {"hits": ["靠"], "exempt": ["“靠”牌"], "clean": ["可靠"]},
            }
            | rule
        ],
    }


def found(text: str, region: str | None = None, **rule: Any) -> list[Evidence]:
    compiled = compile_pack(RulePack.model_validate(pack(**rule)))
    return evaluate(compiled, read(text), region)


@pytest.fixture(scope="module")
def shipped() -> RuleBook:
    return RuleBook(PACKS, load_labels())


def test_shipped_packs_pass_their_own_tests(shipped: RuleBook) -> None:
    reload = shipped.reload()
    assert reload.refused == {}
    assert len(reload.loaded) == 6


def test_a_graver_violation_speaks_for_what_lies_in_it(shipped: RuleBook) -> None:
    [evidence] = shipped.find(read("口碑好，全国 销量第一"), "CN")
    assert (evidence.raw, evidence.action) == ("全国 销量第一", "block")
    [open_] = shipped.find(read("就数它最扛冻"), "CN")
    assert (open_.raw, open_.action) == ("最扛冻", "review")


@pytest.mark.parametrize(
    "text",
    [
        "达到GB/T 18650最高等级,全网最低价",
        "商标“王牌”已注册,顶级面料",
        "2022年销量第一,数据来源某某,品质第一",
        "荣获最佳设计奖,质量最好",
        "本店最畅销的款式,全国销量第一",
        "不是最便宜的,但绝对是全网最好的",
        "2022年天猫连衣裙销量第一,数据来源生意参谋\n全网最低价",
        "请勿轻信顶级之类的宣传。我们是行业第一品牌",
    ],
)
def test_a_lawful_use_excuses_no_other_claim(shipped: RuleBook, text: str) -> None:
    found = shipped.find(read(text), "CN")
    assert any(evidence.violates for evidence in found)
    assert any(evidence.exemption for evidence in found)


def test_evidence_points_at_what_was_written() -> None:
    [evidence] = found("看：全 網*最\u200b低價！", terms=["全网最低价", "靠"])
    assert evidence.raw == "全 網*最\u200b低價"
    assert evidence.span == (2, 10)
    assert evidence.canonical == "全网最低价"
    assert evidence.rule == "trial@1/one"
    assert evidence.violates


def test_an_innocent_word_holds_no_violation() -> None:
    assert found("可靠的面料") == []
    assert [e.raw for e in found("可靠,我靠")] == ["靠"]


def test_ascii_terms_are_whole_words() -> None:
    assert found("we have avid fans") == []
    assert [e.raw for e in found("free AV here")] == ["AV"]


@pytest.mark.parametrize("text", ["quanwang最低价", "全网醉低价", "quan wang zui di jia"])
def test_terms_are_found_by_sound(text: str) -> None:
    [evidence] = found(text)
    assert (evidence.raw, evidence.channel) == (text, "pinyin")


def test_sound_respects_words_written_in_letters() -> None:
    assert found("xquanwangzuidijiay") == []
    assert [e.raw for e in found("womenquanwangzuidijiachushou")] == ["quanwangzuidijia"]


def test_an_exemption_holds_in_its_clause_only() -> None:
    assert [e.exemption for e in found("靠牌手机")] == ["name"]
    assert [e.exemption for e in found("牌子好,真靠")] == [None]
    assert [e.violates for e in found("靠牌手机")] == [False]


def test_regions_and_shadow() -> None:
    assert found("靠", region="US", regions=("CN",)) == []
    [evidence] = found("靠", region="CN", shadow=True)
    assert not evidence.violates


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tests": {"hits": ["可靠"]}}, "'可靠' came out clean, expected hit"),
        ({"tests": {"hits": ["靠"], "clean": ["我靠"]}}, "came out hit, expected clean"),
        ({"patterns": ["(a"]}, "missing"),
        ({"patterns": ["(?=a)b"]}, "invalid perl operator"),
        ({"terms": ["\u200b", "靠"]}, "empty in canonical text"),
    ],
)
def test_a_pack_that_does_not_hold_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleError, match=message.replace("(", r"\(")):
        found("靠", **change)


def test_unknown_labels_and_exemptions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(yaml.safe_dump(pack(label="community/none")), "utf-8")
    with pytest.raises(ConfigError, match="unknown label 'community/none'"):
        load_pack(path, load_labels())
    path.write_text(yaml.safe_dump(pack(exemptions=["none"])), "utf-8")
    with pytest.raises(ConfigError, match="unknown exemptions"):
        load_pack(path, load_labels())


def test_reload_takes_what_holds_and_keeps_the_old_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(yaml.safe_dump(pack()), "utf-8")
    book = RuleBook(tmp_path, load_labels())
    assert book.find(read("靠"))
    path.write_text(yaml.safe_dump(pack(terms=["新词"]) | {"version": 2}), "utf-8")
    assert "expected hit" in book.reload().refused["trial.yaml"]
    assert book.find(read("靠"))
    replaced = pack(terms=["新词"], tests={"hits": ["新词"]}) | {"version": 2}
    path.write_text(yaml.safe_dump(replaced), "utf-8")
    assert book.reload().loaded == ("trial@2",)
    assert not book.find(read("靠"))
    assert book.find(read("新词"))


def test_rules_are_left_out_by_label_and_by_pack(tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text(yaml.safe_dump(pack()), "utf-8")
    book, label = RuleBook(tmp_path, load_labels()), pack()["rules"][0]["label"]
    assert book.labels() == {label}
    for without in ([label], ["trial"]):
        assert not book.find(read("靠"), without=without)
        assert not book.labels(without)
    assert book.find(read("靠"), without=["another"])


def test_a_first_load_with_a_bad_pack_fails(tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text(yaml.safe_dump(pack(tests={"hits": ["好"]})), "utf-8")
    with pytest.raises(RuleError, match="refused"):
        RuleBook(tmp_path, load_labels())


@pytest.mark.parametrize(
    "unit", ["全网最低价", "最好的面料，", "完美", "加微信abc12345 ", "13812345678"]
)
def test_hostile_texts_take_linear_time(unit: str) -> None:
    book = RuleBook(PACKS, load_labels())
    small, large = (_seconds(book, unit * (n // len(unit))) for n in (5_000, 50_000))
    assert large < 30 * max(small, 0.05)


def _seconds(book: RuleBook, text: str) -> float:
    reading = read(text)
    begin = time.thread_time()
    book.find(reading)
    return time.thread_time() - begin
