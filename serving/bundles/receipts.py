"""Receipts of erasures wait until no published bundle was trained with the user."""

import asyncio
import logging
from pathlib import Path

from embeddings.feed_model import KIND
from models.bundle import BundleError, published
from serving.records.contracts import Erasures
from serving.records.errors import RecordsError

log = logging.getLogger("tidegate.bundles")

INTERVAL_S = 5.0
ACTOR = "bundles"


async def settle_receipts(erasures: Erasures, bundles: Path) -> None:
    """Mark receipts that the models have caught up with, again and again, until cancelled."""
    while True:
        try:
            await asyncio.to_thread(settle, erasures, bundles)
        except (RecordsError, BundleError) as error:
            log.warning("receipts of erasures wait for the models: %s", error)
        await asyncio.sleep(INTERVAL_S)


def settle(erasures: Erasures, bundles: Path) -> int:
    """Mark receipts of users that left before the data of every published bundle was read.

    Raises:
        BundleError: a manifest cannot be read; names the file.
        RecordsError: the receipts cannot be read or changed.
    """
    oldest_ms = oldest_reading_ms(bundles)
    return 0 if oldest_ms is None else erasures.finish(ACTOR, oldest_ms)


def oldest_reading_ms(bundles: Path) -> int | None:
    """When the oldest data of any feed bundle was read; None if one does not say, or none is there.

    Raises:
        BundleError: a manifest cannot be read; names the file.
    """
    moments = [manifest.data.read_at for manifest in published(bundles, KIND)]
    known = [moment for moment in moments if moment is not None]
    if not known or len(known) < len(moments):
        return None
    return int(min(known).timestamp() * 1000)
