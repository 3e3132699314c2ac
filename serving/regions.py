"""Where users were when they last asked for a page: what they do then counts there."""

from collections import OrderedDict

from serving.feed.trends import EVERYWHERE

REMEMBERED = 50_000  # users; the one who asked longest ago is forgotten first


class RecentRegions:
    """Regions of the users whom this process has answered, without their ids."""

    def __init__(self) -> None:
        self._of: OrderedDict[int, str] = OrderedDict()

    def note(self, user_id: str, region: str) -> None:
        """Remember where a user is; an empty id or region says nothing."""
        if not user_id or not region:
            return
        self._of[hash(user_id)] = region
        self._of.move_to_end(hash(user_id))
        if len(self._of) > REMEMBERED:
            self._of.popitem(last=False)

    def of(self, user_id: str) -> str:
        """Return where a user is; EVERYWHERE if that is not known here."""
        return self._of.get(hash(user_id), EVERYWHERE)
