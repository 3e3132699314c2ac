"""Exposure budgets in one process, by the rules of ``commit_page.lua``."""

from collections import defaultdict


class Budgets:
    """Impressions granted, reserved and confirmed; reserved + confirmed never exceeds the grant."""

    def __init__(self, held_ms: int) -> None:
        """Keep a reservation for `held_ms` without its impression."""
        self._held_ms = held_ms
        self._granted: dict[str, int] = {}
        self._confirmed: dict[str, int] = defaultdict(int)
        self._held: dict[str, dict[str, int]] = defaultdict(dict)  # item -> request -> until

    def grant(self, item_id: str, impressions: int) -> None:
        """Set what an item is granted in all; 0 ends it."""
        self._granted[item_id] = impressions

    def reserve(self, item_id: str, request_id: str, now_ms: int) -> bool:
        """Reserve one impression; false where the budget does not hold another."""
        if self.used(item_id, now_ms) >= self._granted.get(item_id, 0):
            return False
        self._held[item_id][request_id] = now_ms + self._held_ms
        return True

    def confirm(self, item_id: str, request_id: str) -> bool:
        """Confirm a reservation; false where there is none (any more)."""
        if self._held[item_id].pop(request_id, None) is None:
            return False
        self._confirmed[item_id] += 1
        return True

    def held(self, item_id: str, now_ms: int) -> int:
        """Impressions that are served and neither seen nor released."""
        held = self._held[item_id]
        for request_id in [one for one, until_ms in held.items() if until_ms <= now_ms]:
            del held[request_id]
        return len(held)

    def confirmed(self, item_id: str) -> int:
        """Impressions that were seen."""
        return self._confirmed[item_id]

    def used(self, item_id: str, now_ms: int) -> int:
        """Confirmed and held."""
        return self.confirmed(item_id) + self.held(item_id, now_ms)
