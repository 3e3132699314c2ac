"""Routes of jobs: batches, scans of the catalogue, their progress and results."""

from typing import Any

from fastapi import Request

from serving.api.errors import Detail, invalid
from serving.api.job_schemas import (
    BatchBody,
    JobAnswer,
    ResultsAnswer,
    ScanBody,
    Webhook,
)
from serving.api.json_route import JsonRoute
from serving.api.moderation import CHARACTERS_LIMIT, desk_of, refuse_unknown_surface
from serving.api.moderation_schemas import Part, TextPart, TranscriptPart
from serving.api.recorded import NONE_SUCH, STORED, UNREACHABLE, actor_of, recorded
from serving.api.request_log import ID
from serving.api.services import Services
from serving.moderation.desk import ModerationDesk
from serving.moderation.posting import PostError
from serving.records.moderation import Job, JobRow, NewJob

RESULTS = 200  # of one answer
BATCH_PATH = "/v1/moderate/batch"
SCAN_PATH = "/v1/admin/scans"


def job_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``/v1/moderate/batch`` and ``/v1/admin/scans``."""
    jobs = services.stores.moderation.jobs

    async def batch(body: BatchBody, request: Request) -> dict[str, Any]:
        check_batch(desk_of(services), body)
        rows = [item.model_dump(mode="json", exclude_none=True) for item in body.items]
        return await kept(NewJob("batch", asked(services, body.webhook), rows), request)

    async def scan(body: ScanBody, request: Request) -> dict[str, Any]:
        desk_of(services)
        return await kept(NewJob("scan", asked(services, body.webhook)), request)

    async def kept(new: NewJob, request: Request) -> dict[str, Any]:
        job = await recorded(jobs.create, actor_of(request), new)
        return job_answer(job) | {"request_id": request.scope[ID]}

    async def progress(_: None, request: Request) -> dict[str, Any]:
        job = await recorded(jobs.get, request.path_params["job_id"])
        return job_answer(job) | {"request_id": request.scope[ID]}

    async def results(_: None, request: Request) -> dict[str, Any]:
        return await results_of(services, request)

    tag = "moderation"
    routes: list[JsonRoute[Any]] = [
        JsonRoute(BATCH_PATH, tag, "Judge many", BatchBody, JobAnswer, batch, 202, errors=STORED),
        JsonRoute(
            SCAN_PATH, "admin", "Scan the catalogue", ScanBody, JobAnswer, scan, 202, errors=STORED
        ),
    ]
    gone = (NONE_SUCH, UNREACHABLE)
    for path, of in ((BATCH_PATH, tag), (SCAN_PATH, "admin")):
        one = f"{path}/{{job_id}}"
        routes.append(
            JsonRoute(one, of, "Progress", None, JobAnswer, progress, errors=gone, method="GET")
        )
        routes.append(
            JsonRoute(
                f"{one}/results",
                of,
                "Results",
                None,
                ResultsAnswer,
                results,
                errors=gone,
                method="GET",
            )
        )
    return routes


async def results_of(services: Services, request: Request) -> dict[str, Any]:
    """Return a page of a job's results, in their order."""
    jobs = services.stores.moderation.jobs
    job = await recorded(jobs.get, request.path_params["job_id"])
    rows = await recorded(jobs.rows, job.job_id, place_of(request), RESULTS)
    done = [row for row in rows if row.result is not None]
    return {
        "request_id": request.scope[ID],
        "results": [row_answer(row) for row in done],
        "next": done[-1].number if len(done) == RESULTS else None,
    }


def check_batch(desk: ModerationDesk, body: BatchBody) -> None:
    """Refuse what could not be judged in a request either.

    Raises:
        ApiError: 422; ids stand twice, the texts of an item are too long together, or there is no
            such surface.
    """
    for n, item in enumerate(body.items):
        refuse_unknown_surface(desk, item.surface, f"items.{n}.surface")
    first: dict[str, int] = {}
    details = []
    for n, item in enumerate(body.items):
        if first.setdefault(item.id, n) != n:
            message = f"also of item {first[item.id]}"
            details.append(Detail(field=f"items.{n}.id", value=item.id, message=message))
        count = sum(map(length_of, item.parts))
        if count > CHARACTERS_LIMIT:
            message, limit = "characters in all texts of the item", CHARACTERS_LIMIT
            detail = Detail(field=f"items.{n}.parts", value=count, message=message, limit=limit)
            details.append(detail)
    if details:
        raise invalid(details)


def length_of(part: Part) -> int:
    """Characters of a part; none of a picture."""
    if isinstance(part, TranscriptPart):
        return sum(len(chunk.text) for chunk in part.chunks)
    return len(part.text) if isinstance(part, TextPart) else 0


def asked(services: Services, webhook: Webhook | None) -> dict[str, Any]:
    """What a job keeps of how it was asked.

    Raises:
        ApiError: 422; the webhook's host is not allowed.
    """
    if webhook is None:
        return {}
    try:
        services.poster.checked(webhook.url)
    except PostError as error:
        raise invalid(
            [Detail(field="webhook.url", value=webhook.url, message=str(error))]
        ) from error
    return {"webhook": webhook.model_dump()}


def place_of(request: Request) -> int:
    """The number after which results are asked for.

    Raises:
        ApiError: 422; it is no number.
    """
    given = request.query_params.get("after", "-1")
    if given.removeprefix("-").isdecimal() and len(given) < 19:
        return int(given)
    raise invalid([Detail(field="after", value=given[:80], message="must be a whole number")])


def row_answer(row: JobRow) -> dict[str, Any]:
    """A row that is done; of a scan with the item that was hit."""
    item = {name: value for name, value in row.content.items() if name == "item_id"}
    return {"number": row.number} | item | dict(row.result or {})


def job_answer(job: Job) -> dict[str, Any]:
    """A job as it is answered; never its secret."""
    return {name: getattr(job, name) for name in JobAnswer.model_fields if name != "request_id"}
