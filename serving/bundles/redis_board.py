"""The board on a server of the Redis protocol, which forgets silent replicas by itself.

Keys: ``bundles:<kind>:replicas``, a set of names; ``bundles:<kind>:replica:<name>`` and
``bundles:<kind>:proposal``, JSON that expires.
"""

from dataclasses import asdict
from typing import Any

import orjson

from serving.bundles.board import HEARTBEAT_LIMIT_S, Proposal, Report
from serving.live.scripts import answered


class RedisBoard:
    """See `Board`."""

    def __init__(self, client: Any, kind: str) -> None:
        self._client = client
        self._names = f"bundles:{kind}:replicas"
        self._replica = f"bundles:{kind}:replica:"
        self._proposal = f"bundles:{kind}:proposal"

    async def report(self, replica: str, report: Report) -> Proposal | None:
        """See `Board.report`."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.sadd(self._names, replica)
        text = orjson.dumps(asdict(report))
        pipeline.set(self._replica + replica, text, px=round(HEARTBEAT_LIMIT_S * 1000))
        pipeline.get(self._proposal)
        *_, proposal = await answered(pipeline.execute())
        return None if proposal is None else Proposal(**orjson.loads(proposal))

    async def reports(self) -> dict[str, Report]:
        """See `Board.reports`."""
        names = sorted(name.decode() for name in await answered(self._client.smembers(self._names)))
        if not names:
            return {}
        found = await answered(self._client.mget([self._replica + name for name in names]))
        texts = dict(zip(names, found, strict=True))
        if silent := [name for name, text in texts.items() if text is None]:
            await answered(self._client.srem(self._names, *silent))
        return {n: Report(**orjson.loads(text)) for n, text in texts.items() if text is not None}

    async def propose(self, proposal: Proposal, limit_s: float) -> bool:
        """See `Board.propose`."""
        text = orjson.dumps(asdict(proposal))
        limit_ms = round(limit_s * 1000)
        return bool(await answered(self._client.set(self._proposal, text, nx=True, px=limit_ms)))

    async def withdraw(self) -> None:
        """See `Board.withdraw`."""
        await answered(self._client.delete(self._proposal))
