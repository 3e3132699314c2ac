"""Titles, descriptions and tags of simulated items, and the violations planted in them."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.datasets.world.vocabulary import Leaf

STYLES = ("tutorial", "show", "plain")  # strong, weak and no use to who watches
SURFACES = ("title", "text", "cover")

TITLES: dict[str, dict[str, list[str]]] = {
    "zh": {
        "tutorial": [
            "{motif}怎么选？{modifier}看这三点",
            "{modifier}{motif}教程，跟着做就行",
            "新手学{motif}，先弄懂这几步",
            "{motif}避坑指南｜{modifier}篇",
        ],
        "show": [
            "{modifier}{motif}开箱实拍",
            "今天的{motif}，{modifier}到心里",
            "带你看看我的{motif}，{modifier}",
            "{motif}上新，{modifier}款",
        ],
        "plain": [
            "{motif}日常",
            "{modifier}的一天，有{motif}",
            "随手拍的{motif}",
            "又是{motif}的一天，{modifier}",
        ],
        "live": ["直播中：{modifier}{motif}专场", "{motif}直播间，{modifier}慢慢聊"],
        "product": ["{brand} {modifier}{motif}", "{brand}{motif} {modifier}款"],
    },
    "en": {
        "tutorial": [
            "How to choose {motif}: {modifier} edition",
            "{motif} step by step, {modifier}",
            "{motif} basics everyone skips",
            "{modifier} {motif}: mistakes to avoid",
        ],
        "show": [
            "Unboxing a {modifier} {motif}",
            "My {motif} today, so {modifier}",
            "Come and see this {motif}, {modifier}",
            "New in: {modifier} {motif}",
        ],
        "plain": [
            "{motif} diary",
            "A {modifier} day with {motif}",
            "Just some {motif}",
            "{motif} again, {modifier}",
        ],
        "live": ["Live now: {modifier} {motif}", "{motif} live room, {modifier} chat"],
        "product": ["{brand} {modifier} {motif}", "{brand} {motif}, {modifier}"],
    },
}
DESCRIPTIONS: dict[str, list[str]] = {
    "zh": [
        "记录一下{motif}，{modifier}，喜欢的话留个言。",
        "这次聊{motif}，重点是{modifier}。",
        "{modifier}的{motif}，实际用了一周再来说感受。",
        "关于{motif}的小分享，{modifier}优先。",
    ],
    "en": [
        "Notes on {motif}, mostly {modifier}. Tell me what you think.",
        "Today is about {motif}; the point is {modifier}.",
        "A {modifier} {motif}, after a week of use.",
        "A small share on {motif}, {modifier} first.",
    ],
}
BRANDS: dict[str, list[str]] = {
    "zh": ["青禾", "沐光", "山隅", "知野", "木见", "云栖里", "半夏", "拾光"],
    "en": ["Norvi", "Lumen & Oak", "Pellin", "Harrow", "Tessaro", "Mirel", "Quillby", "Sundara"],
}
VIOLATIONS: dict[str, dict[str, list[str]]] = {
    "commerce/absolute_claim": {
        "zh": [
            "全网第一的{motif}",
            "国家级{motif}，独一无二",
            "史上最好用的{motif}",
            "销量全国第一，{motif}之王",
        ],
        "en": [
            "the best {motif} in the world",
            "No.1 {motif} in the country",
            "100% perfect {motif}, nothing compares",
            "the ultimate {motif}, never beaten",
        ],
    },
    "commerce/false_effect": {
        "zh": [
            "用了{motif}三天瘦十斤",
            "{motif}一夜见效，无效十倍赔",
            "七天淡斑，{motif}永不反弹",
            "{motif}让孩子智商提高三十",
        ],
        "en": [
            "lose 10 kg in three days with {motif}",
            "{motif} works overnight or ten times your money back",
            "spots gone in seven days for ever with {motif}",
            "{motif} raises any child's IQ by 30",
        ],
    },
    "commerce/medical_claim": {
        "zh": [
            "{motif}根治失眠和关节炎",
            "有了{motif}不用吃降压药",
            "{motif}抗癌，医院都在用",
            "{motif}治好糖尿病",
        ],
        "en": [
            "{motif} cures arthritis and insomnia",
            "stop your blood pressure pills, use {motif}",
            "{motif} prevents cancer, doctors agree",
            "{motif} heals diabetes",
        ],
    },
    "commerce/diversion": {
        "zh": [
            "加薇❤{code}领{motif}内部价",
            "扣扣裙{digits}，{motif}半价",
            "＋V信 {code} 看{motif}全套",
            "私我威信{code}拿{motif}",
        ],
        "en": [
            "add my whats app +1 555 {digits} for {motif}",
            "t me slash {code} for cheaper {motif}",
            "buy {motif} off the app, line id {code}",
            "DM {code} on tele gram for {motif}",
        ],
    },
    "commerce/counterfeit": {
        "zh": [
            "高仿{motif}，一比一复刻",
            "原单尾货{motif}，专柜验不出",
            "大牌同厂{motif}，A货品质",
            "{motif}超A复刻，带小票包装",
        ],
        "en": [
            "1:1 replica {motif}, mirror quality",
            "AAA copy {motif} with designer logo",
            "{motif} super fake, passes any check",
            "factory leak {motif}, same logo same box",
        ],
    },
    "commerce/price_fraud": {
        "zh": [
            "原价{list}，今天只要{price}，错过没有",
            "{motif}专柜{list}，清仓{price}",
            "亏本{price}，平时卖{list}",
            "{list}的{motif}，厂家倒闭{price}",
        ],
        "en": [
            "was {list}, today only {price}",
            "{motif} worth {list} for {price}, factory closed",
            "regular {list}, now {price}, never again",
            "{list} in stores, {price} here",
        ],
    },
}


@dataclass(frozen=True)
class Draft:
    """What one item's words are composed from.

    Attributes:
        leaf, motif, language: what it is about, in which tongue.
        form: a key of ``TITLES``.
        violation: label to be shown, or "".
        surface: where it is shown, one of ``SURFACES``.
        price, list_price: as they are to be printed.
        draws: at least eight numbers in [0, 1) that settle every choice.
    """

    leaf: Leaf
    motif: int
    language: str
    form: str
    violation: str
    surface: str
    price: float
    list_price: float
    draws: Sequence[float]


@dataclass(frozen=True)
class Words:
    """An item's words; `evidence` is the violating phrase, "" where there is none."""

    title: str
    text: str
    tags: list[str]
    evidence: str


def compose(draft: Draft) -> Words:
    """Title, description, tags and the planted phrase of one item."""
    words = {
        "motif": draft.leaf.motifs[draft.language][draft.motif],
        "modifier": pick(draft.leaf.modifiers[draft.language], draft.draws[0]),
        "brand": pick(BRANDS[draft.language], draft.draws[1]),
    }
    title = pick(TITLES[draft.language][draft.form], draft.draws[2]).format(**words)
    text = pick(DESCRIPTIONS[draft.language], draft.draws[3]).format(**words)
    evidence = violating_phrase(draft, words["motif"]) if draft.violation else ""
    separator = "，" if draft.language == "zh" else ", "
    if evidence and draft.surface == "title":
        title += separator + evidence
    if evidence and draft.surface == "text":
        text += separator.strip() + evidence
    kept = [words["motif"]] if draft.draws[4] < 0.7 else []
    return Words(title, text, [*kept, words["modifier"]], evidence)


def violating_phrase(draft: Draft, motif: str) -> str:
    """The words that break the rule; contact codes are made up."""
    template = pick(VIOLATIONS[draft.violation][draft.language], draft.draws[5])
    number = int(draft.draws[6] * 9_000_000) + 1_000_000
    return template.format(
        motif=motif,
        code=f"{pick(['mm', 'vip', 'shop', 'hao'], draft.draws[7])}{number % 100_000}",
        digits=number,
        list=f"{draft.list_price:g}",
        price=f"{draft.price:g}",
    )


def violations_possible(leaf: Leaf, is_product: bool) -> list[str]:
    """Labels that make sense on an item of this leaf."""
    labels = ["commerce/absolute_claim", "commerce/diversion"]
    labels += ["commerce/false_effect", "commerce/medical_claim"] if leaf.body else []
    return labels + (["commerce/counterfeit", "commerce/price_fraud"] if is_product else [])


def pick(choices: Sequence[str], draw: float) -> str:
    """The choice at `draw` in [0, 1)."""
    return choices[int(draw * len(choices))]
