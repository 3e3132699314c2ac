"""What is asked of jobs and answered."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serving.api.moderation_schemas import Parts, Surface, Url
from serving.api.schemas import Asked
from serving.records.items import Identifier, Region

BATCH_ITEMS = 1_000


class Webhook(Asked):
    """Where the end of the job is told, and the secret that signs the message."""

    url: Url
    secret: Annotated[str, StringConstraints(min_length=16, max_length=200)]


class BatchItem(Asked):
    """One piece of content, named by its sender."""

    id: Identifier
    parts: Parts
    region: Region | None = None
    surface: Surface | None = None


class BatchBody(Asked):
    """Content to be judged behind the request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {"id": "a", "parts": [{"type": "text", "text": "口碑好，全国销量第一"}]}
                    ]
                }
            ]
        }
    )
    items: Annotated[list[BatchItem], Field(min_length=1, max_length=BATCH_ITEMS)]
    webhook: Webhook | None = None


class ScanBody(Asked):
    """The whole catalogue against the rules and banks in force now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})
    webhook: Webhook | None = None


class JobAnswer(BaseModel):
    """How far a job has come; `delivery` of its webhook: none, waiting, delivered or gave_up."""

    request_id: str
    job_id: str
    kind: str
    state: str
    total: int
    done: int
    created_at_ms: int
    ended_at_ms: int | None
    delivery: str
    attempts: int


class ResultAnswer(BaseModel):
    """One row: of a batch the decision or why there is none, of a scan what was hit."""

    number: int
    id: str | None = None
    item_id: str | None = None
    decision: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    rules: list[str] | None = None
    entries: list[str] | None = None


class ResultsAnswer(BaseModel):
    """Rows that are done, in order; ask on with `after` = `next` until that is null."""

    request_id: str
    results: list[ResultAnswer]
    next: int | None
