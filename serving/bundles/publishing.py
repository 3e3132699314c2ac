"""What is published by command comes to serve in the same two phases."""

import asyncio
import logging

from serving.bundles.activation import ActivationBusyError, Activator, NotActivatedError
from serving.bundles.pointers import CopiedPointers
from serving.live.state import StateUnreachableError
from serving.records.errors import Conflict, RecordsError

log = logging.getLogger("tidegate.bundles")

POLL_S = 1.0
PUBLISHER = "publish"


async def follow_published(activator: Activator, pointers: CopiedPointers) -> None:
    """Activate what is published, until cancelled; every replica may try, one succeeds."""
    while True:
        await activate_published(activator, pointers)
        await asyncio.sleep(POLL_S)


async def activate_published(activator: Activator, pointers: CopiedPointers) -> None:
    """Activate what was published since the last activation, or take the wish back."""
    kind = activator.kind
    try:
        version = await asyncio.to_thread(pointers.published, kind)
        if version is not None:
            await activator.activate(PUBLISHER, version)
    except (ActivationBusyError, Conflict):
        return  # looked at again when that one has ended
    except NotActivatedError as error:
        log.error("%s bundle %s is not activated: %s", kind, version, error)
        await asyncio.to_thread(pointers.refuse, kind)
    except (StateUnreachableError, RecordsError) as error:
        log.warning("published %s bundles are not looked for: %s", kind, error)
