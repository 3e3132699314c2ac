"""Words of the reasons' codes; the codes are stable, the words are for people."""

from typing import NamedTuple

from models.tasks import PREDICTIONS
from serving.feed.contracts import Reason


class Words(NamedTuple):
    """What a code says, with its value in place of ``{}``."""

    en: str
    zh: str


TASK_WORDS = {
    "long_view": ("watching it for long", "看完或久看"),
    "click": ("opening it", "点开"),
    "like": ("liking it", "点赞"),
    "comment": ("commenting on it", "评论"),
    "share": ("sharing it", "分享"),
    "follow": ("following its creator", "关注作者"),
    "click_product": ("looking at its product", "点击商品"),
    "purchase": ("buying it", "购买"),
    "negative": ("skipping or rejecting it", "划走或不感兴趣"),
    "watch_ratio": ("how much of it is watched", "观看比例"),
}
WORDS = {
    "near_history": Words("like {} in your history", "与你看过的 {} 相似"),
    "popular": Words("number {} of what is popular", "热门第 {} 名"),
    "trending": Words("trending in {}", "{} 正在流行"),
    "followed_creator": Words("by {}, whom you follow", "来自你关注的 {}"),
    "like_last_liked": Words("like what you liked last", "与你最近喜欢的内容相似"),
    "new_item": Words("new, by {}: its first audience", "{} 的新内容，正在首次曝光"),
    "tier": Words("first impressions granted to it: {}", "新内容阶梯已授予曝光 {} 次"),
    "pinned": Words("pinned by an operator, places up: {}", "运营置顶，上移 {} 位"),
    "boosted": Words("lifted by a boost, places up: {}", "加权，上移 {} 位"),
    "buried": Words("lowered by an operator, places up: {}", "降权，上移 {} 位"),
    "category_fatigue": Words(
        "you passed over much of its category, places up: {}",
        "同类内容近期未获互动，上移 {} 位",
    ),
    "wide_reach": Words("many have seen it already, places up: {}", "已广泛曝光，上移 {} 位"),
    "creator_spread": Words("creators are spread, places up: {}", "作者打散，上移 {} 位"),
    "commerce_density": Words("products are spread, places up: {}", "控制商品密度，上移 {} 位"),
    "diversity": Words("for variety, places up: {}", "为了多样性，上移 {} 位"),
    "small_creator": Words("a place for small creators, places up: {}", "扶持小作者，上移 {} 位"),
    "exploration_slot": Words("a place for what is new, places up: {}", "新内容探索位，上移 {} 位"),
    "displaced": Words("others were moved, places up: {}", "因其他内容调整，上移 {} 位"),
    **{
        f"value_{task}": Words(f"{{}} of its value: {en}", f"价值中 {{}} 来自预计{zh}")
        for task, (en, zh) in ((task, TASK_WORDS[task]) for task in PREDICTIONS)
    },
}


def words_of(reason: Reason) -> Words:
    """The words of a reason with its value."""
    words = WORDS[reason.code]
    return Words(words.en.format(reason.value), words.zh.format(reason.value))
