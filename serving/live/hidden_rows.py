"""Which items of a bundle a viewer may not see, or may see but must not be offered as new or hot.

Masks, made anew when visibility or items change.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.arrays import Mask
from serving.feed.contracts import ItemNames
from serving.feed.shelf import Shelf
from serving.live.mirror import VisibilityMirror
from serving.records.status import creator_subject, item_subject

MASKS_KEPT = 64  # regions are whatever callers say
ITEM, CREATOR = item_subject(""), creator_subject("")


def mask_of(subjects: Sequence[str], names: ItemNames, shelf: Shelf) -> Mask:
    """Return [N], true where an item, or its creator, is one of the subjects of visibility."""
    items = [one.removeprefix(ITEM) for one in subjects if one.startswith(ITEM)]
    creators = {one.removeprefix(CREATOR) for one in subjects if one.startswith(CREATOR)}
    rows = names.rows(items)
    mask = np.zeros(len(names), bool)
    mask[rows[rows >= 0]] = True
    if creators:
        codes = [code for code, name in enumerate(shelf.creators) if name in creators]
        mask |= np.isin(shelf.creator_codes, codes)
    return mask


@dataclass
class MaskedRows:
    """Masks of one mirror, by region and audience; kept while mirror and items stay so.

    Attributes:
        mirror: whose sequence number tells whether it changed.
        subjects: region, audience -> the subjects that are true in the mask.
    """

    mirror: VisibilityMirror
    subjects: Callable[[str, str], Sequence[str]]
    _masks: dict[tuple[str, str], Mask] = field(default_factory=dict)
    _made_of: tuple[int | None, int] = (None, 0)
    _shelf: Shelf | None = None

    def mask(self, names: ItemNames, shelf: Shelf, region: str, audience: str) -> Mask:
        """Return [N] of a viewer; see `mask_of`."""
        made_of = self.mirror.sequence, shelf.facts.version
        same = made_of == self._made_of and shelf is self._shelf
        if not same or len(self._masks) >= MASKS_KEPT:
            self._masks, self._made_of, self._shelf = {}, made_of, shelf
        if (region, audience) not in self._masks:
            found = self.subjects(region, audience)
            self._masks[region, audience] = mask_of(found, names, shelf)
        return self._masks[region, audience]
