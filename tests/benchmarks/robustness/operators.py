"""Evasion operators that no training run sees; declared before any model was trained."""

import random
from functools import cache

from training.evasion import CHINESE, ENGLISH, Operator, is_ideograph, pinyin

_HOMOGLYPHS = str.maketrans("aceiopsxyABCEHKMOPTX", "асеіорѕхуАВСЕНКМОРТХ")
_EMOJI = "🔥😀🍎⭐🎉"


def homoglyph(word: str, _: random.Random) -> str:
    """Cyrillic letters of the same look."""
    return word.translate(_HOMOGLYPHS)


def accents(word: str, rng: random.Random) -> str:
    """A combining mark on every letter."""
    return "".join(c + rng.choice("\u0301\u0308\u0302\u0323") for c in word)


def circled(word: str, _: random.Random) -> str:
    """Circled letters."""
    return "".join(chr(0x24D0 + ord(c) - 97) if "a" <= c <= "z" else c for c in word.lower())


def mathematical(word: str, _: random.Random) -> str:
    """Mathematical bold italic letters."""
    return "".join(chr(0x1D482 + ord(c) - 97) if "a" <= c <= "z" else c for c in word.lower())


def repeats(word: str, rng: random.Random) -> str:
    """One character written four times."""
    position = rng.randrange(len(word))
    return word[:position] + word[position] * 4 + word[position + 1 :]


def emoji_insert(word: str, rng: random.Random) -> str:
    """An emoji between all characters."""
    return rng.choice(_EMOJI).join(word)


def variation_selector(word: str, _: random.Random) -> str:
    """A variation selector after every character."""
    return "".join(c + "\ufe0f" for c in word)


def mixed_pinyin(word: str, rng: random.Random) -> str:
    """One character of the word as pinyin, the others as they are."""
    position = rng.randrange(len(word))
    return word[:position] + pinyin(word[position], rng) + word[position + 1 :]


def split_characters(word: str, _: random.Random) -> str:
    """Left-right characters written as their two halves, where both halves are characters."""
    return "".join(_halves().get(c, c) for c in word)


HELD_OUT: dict[str, dict[str, Operator]] = {
    "zh": {
        "split_characters": split_characters,
        "emoji_insert": emoji_insert,
        "repeats": repeats,
        "mixed_pinyin": mixed_pinyin,
        "variation_selector": variation_selector,
    },
    "en": {
        "homoglyph": homoglyph,
        "accents": accents,
        "circled": circled,
        "repeats": repeats,
        "emoji_insert": emoji_insert,
        "mathematical": mathematical,
    },
}
SEEN: dict[str, dict[str, Operator]] = {"zh": CHINESE, "en": ENGLISH}

# Left-right characters that hostile words are split into online; written by hand.
_SPLITS = """
强弓虽 好女子 妈女马 奶女乃 姓女生 娘女良 婊女表 她女也 奴女又 妓女支 奸女干 嫖女票 姐女且 妹女未
狗犭句 猪犭者 狼犭良 猴犭侯 狂犭王 猖犭昌 打扌丁 抽扌由 捅扌甬 掐扌臽 揍扌奏 扔扌乃 揉扌柔
骂口马 吐口土 吃口乞 滚氵衮 渣氵查 脏月庄 脑月匘 胖月半 腿月退 肚月土 残歹戋 死歹匕 殖歹直
蟑虫章 螂虫郎 蛆虫且 蠢春虫 蚂虫马 砍石欠 砸石匝 破石皮 碎石卒 恨忄艮 怪忄圣 憎忄曾 惨忄参
贱贝戋 贼贝戎 骗马扁 骚马蚤 驴马户 烂火兰 烧火尧 烦火页 炸火乍 败贝攵 毒主母 蟑虫章 瘤疒留
垃土立 圾土及 坏土不 埋土里 劣少力 货化贝 种禾中 和禾口 枪木仓 桶木甬 杂九木 枕木冘 棍木昆
钱钅戋 锁钅巛 钻钅占 诈讠乍 讨讠寸 识讠只 谎讠荒 说讠兑 话讠舌 认讠人 记讠己 诅讠且
别另刂 刺朿刂 割害刂 阉门奄 闭门才 倭亻委 偷亻俞 作亻乍 伤亻力 们亻门 你亻尔 低亻氐 便亻更
"""


@cache
def _halves() -> dict[str, str]:
    entries = _SPLITS.split()
    return {entry[0]: entry[1:] for entry in entries if len(entry) == 3 and is_ideograph(entry[0])}
