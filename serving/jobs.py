"""Jobs at work: batches are judged, the catalogue is scanned, webhooks are told.

Progress is in the records: whoever dies in a job loses at most the rows in hand, which are done
again by whoever claims it next.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from models.canonical import TextError
from serving.api.errors import ApiError
from serving.api.job_schemas import BatchItem
from serving.api.pictures import content_of
from serving.api.services import Services
from serving.media import path_of
from serving.moderation.desk import ModerationDesk
from serving.moderation.findings import Content, Found
from serving.moderation.picture_formats import MediaError
from serving.moderation.posting import Poster, PostError
from serving.moderation.rendering import decision
from serving.moderation.scanning import hits, looked_over
from serving.moderation.settling import texts_of
from serving.records.contracts import Stored
from serving.records.errors import RecordsError
from serving.records.moderation import Job, JobRow

log = logging.getLogger("tidegate.moderation")

ACTOR = "jobs"
ROWS = 8  # of a batch at once
ITEMS = 50  # of a scan at once
LEASE_MS = 300_000
DELAYS_MS = (1_000, 5_000, 25_000, 125_000, 625_000)  # before the next attempt at a webhook
WAITING, DELIVERED, GAVE_UP = "waiting", "delivered", "gave_up"


@dataclass(frozen=True)
class JobWorker:
    """Does jobs of the records, one step after another.

    Attributes:
        services: of the process. desk: the one that judges now.
        poster: to webhooks. poll_s: pause between two looks, when there is nothing to do.
    """

    services: Services
    desk: Callable[[], ModerationDesk]
    poster: Poster
    poll_s: float

    async def run(self) -> None:
        """Do jobs until cancelled."""
        while True:
            try:
                pause_s = 0.0 if await self.step() else self.poll_s
            except RecordsError as error:
                log.error("no jobs are done: %s", error)
                pause_s = 1.0
            await asyncio.sleep(pause_s)

    async def step(self) -> bool:
        """Bring one job a step further; whether there was one.

        Raises:
            RecordsError: the records cannot be reached; the step is done again.
        """
        jobs = self.services.stores.moderation.jobs
        job = await asyncio.to_thread(jobs.claim, ACTOR, LEASE_MS)
        if job is None:
            return False
        if job.state == "done":
            await self._tell(job)
        elif job.kind == "batch":
            await self._judge(job)
        else:
            await self._scan(job)
        return True

    async def _judge(self, job: Job) -> None:
        jobs = self.services.stores.moderation.jobs
        rows = await asyncio.to_thread(jobs.rows, job.job_id, job.place - 1, ROWS)
        if not rows:
            await self._finish(job)
            return
        results = [JobRow(row.number, row.content, await self._judged(row)) for row in rows]
        place = rows[-1].number + 1
        await asyncio.to_thread(jobs.advance, ACTOR, job.job_id, results, place, place)

    async def _judged(self, row: JobRow) -> dict[str, Any]:
        desk, item = self.desk(), BatchItem.model_validate(row.content)
        try:
            content = await content_of(self.services, desk, item.parts, "parts")
            [verdict] = await desk.judge([content], item.region, item.surface)
        except ApiError as error:
            return {"id": item.id, "error": error.body.model_dump()}
        except TextError as error:
            return {"id": item.id, "error": {"code": "bad_text", "message": str(error)}}
        return {"id": item.id, "decision": decision(verdict, desk.moderator)}

    async def _scan(self, job: Job) -> None:
        records = self.services.stores.moderation
        changes = await asyncio.to_thread(self.services.stores.catalogue.changes, job.place, ITEMS)
        if not changes:
            await self._finish(job)
            return
        alive = [stored for stored in changes if not stored.deleted]
        found = {one.item.item_id: hits(await self._looked_over(one)) for one in alive}
        hit = [name for name, of in found.items() if of["rules"] or of["entries"]]
        known = {one.item.item_id: one.sequence for one in alive}
        rows = [JobRow(known[name], {"item_id": name}, found[name]) for name in hit]
        await asyncio.to_thread(records.checks.again, ACTOR, hit)
        place, done = changes[-1].sequence, job.done + len(alive)
        await asyncio.to_thread(records.jobs.advance, ACTOR, job.job_id, rows, place, done)

    async def _looked_over(self, stored: Stored) -> Found:
        desk, item = self.desk(), stored.item
        pictures = []
        for file in item.media:
            if file.mime.startswith("image/"):
                try:
                    path = path_of(self.services.media, file.sha256)
                    pictures.append(await desk.picture(await asyncio.to_thread(path.read_bytes)))
                except (OSError, MediaError) as error:
                    log.error("item %s: a picture is not scanned: %s", item.item_id, error)
        content = Content(tuple(texts_of(item).values()), tuple(pictures))
        found = Found()
        for region in item.regions or (desk.moderator.policies.default.region,):
            work = partial(looked_over, desk.moderator, content, region)
            found = found.joined(await desk.aside(work))
        return found

    async def _finish(self, job: Job) -> None:
        jobs = self.services.stores.moderation.jobs
        await asyncio.to_thread(jobs.finish, ACTOR, job.job_id, "webhook" in job.asked)

    async def _tell(self, job: Job) -> None:
        jobs = self.services.stores.moderation.jobs
        webhook = job.asked["webhook"]
        facts = ("job_id", "kind", "state", "total", "done", "created_at_ms", "ended_at_ms")
        body = orjson.dumps({name: getattr(job, name) for name in facts})
        try:
            await asyncio.to_thread(self.poster.post, webhook["url"], body, webhook["secret"])
            outcome, delay_ms = DELIVERED, 0
        except PostError as error:
            log.error(
                "%s: its webhook is not told, attempt %d: %s", job.job_id, job.attempts, error
            )
            left = job.attempts < len(DELAYS_MS)
            outcome, delay_ms = (WAITING, DELAYS_MS[job.attempts]) if left else (GAVE_UP, 0)
        await asyncio.to_thread(jobs.delivered, ACTOR, job.job_id, outcome, delay_ms)
