"""What a new rule or bank entry finds in content that was judged before it was there."""

from functools import partial
from typing import Any

from models.canonical import Channels
from serving.moderation.findings import Content, Found
from serving.moderation.stages import broken_rules, known_pictures, known_texts, read_into
from serving.moderation.verdict import Moderator


def looked_over(moderator: Moderator, content: Content, region: str) -> Found:
    """What rules and banks find, no model asked."""
    ruling = moderator.policies.of(region)
    rules = partial(moderator.book.find, region=region, without=ruling.without_rules)
    readings: list[Channels] = []
    found = read_into(readings, content.texts)
    found = found.joined(broken_rules(rules, readings))
    if moderator.banks is not None:
        found = found.joined(known_texts(moderator.banks, readings))
        if moderator.sight is not None:
            pictures = known_pictures(moderator.banks, moderator.sight, content.pictures)
            found = found.joined(pictures)
    return found


def hits(found: Found) -> dict[str, Any]:
    """Rules that are broken and entries that are copied; empty lists where nothing is."""
    broken = [one.evidence.rule for one in found.findings if one.evidence.violates]
    copies = [f"{one.bank}/{one.entry}" for one in found.duplicates]
    return {"rules": sorted(set(broken)), "entries": sorted(set(copies))}
