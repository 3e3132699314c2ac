"""Routes of the operator: which bundles there are, which serves, and making another one serve."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel

from models.bundle import BundleError, Manifest
from serving.api.errors import ApiError, Detail, ErrorAnswer
from serving.api.recorded import actor_of
from serving.api.request_log import ID
from serving.api.services import Services
from serving.bundles.activation import Activator, NotActivatedError
from serving.bundles.board import Report
from serving.live.state import StateUnreachableError
from serving.records.contracts import Pointer
from serving.records.errors import RecordsError

REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorAnswer, "description": "no such bundle"},
    409: {"model": ErrorAnswer, "description": "not activated; what serves goes on serving"},
    503: {"model": ErrorAnswer, "description": "state or records cannot be reached"},
}


class PointerAnswer(BaseModel):
    """The bundle that serves from a flip on; `at_ms` counts from 1970."""

    version: str
    sequence: int
    at_ms: int


class VersionAnswer(BaseModel):
    """A published bundle."""

    version: str
    parent: str | None
    created_at: AwareDatetime


class ReplicaAnswer(BaseModel):
    """Where one live replica stands.

    `fault` is why its last staging failed, `staging_s` how long the last that did not fail took.
    """

    replica: str
    serving: str
    staged: str | None
    fault: str | None
    staging_s: float | None


class KindAnswer(BaseModel):
    """All bundles of one kind, newest first, and its live replicas."""

    kind: str
    pointer: PointerAnswer | None
    versions: list[VersionAnswer]
    replicas: list[ReplicaAnswer]


class BundlesAnswer(BaseModel):
    """Every kind of bundle."""

    request_id: str
    bundles: list[KindAnswer]


class ActivatedAnswer(BaseModel):
    """The pointer after an activation."""

    request_id: str
    kind: str
    pointer: PointerAnswer


def bundle_routes(services: Services) -> APIRouter:
    """Return ``/v1/admin/bundles`` and its activations."""
    router = APIRouter(prefix="/v1/admin/bundles", tags=["admin"], responses=REFUSALS)

    @router.get("")
    async def bundles(request: Request) -> BundlesAnswer:
        kinds = [await kind_answer(activator) for activator in services.activators.values()]
        return BundlesAnswer(request_id=request.scope[ID], bundles=kinds)

    @router.post("/{kind}/{version}/activate")
    async def activate(kind: str, version: str, request: Request) -> ActivatedAnswer:
        activator = await known(services, kind, version)
        pointer = await activated(activator, actor_of(request), version)
        return ActivatedAnswer(
            request_id=request.scope[ID], kind=kind, pointer=pointer_answer(pointer)
        )

    return router


async def kind_answer(activator: Activator) -> KindAnswer:
    """Describe one kind.

    Raises:
        ApiError: state, records or the folder of bundles cannot be read.
    """
    try:
        reports = await activator.board.reports()
        pointer = await asyncio.to_thread(activator.pointers.current, activator.kind)
    except (StateUnreachableError, RecordsError) as error:
        raise unreachable(error) from error
    return KindAnswer(
        kind=activator.kind,
        pointer=None if pointer is None else pointer_answer(pointer),
        versions=[version_answer(one) for one in await manifests(activator)],
        replicas=[replica_answer(name, report) for name, report in sorted(reports.items())],
    )


async def known(services: Services, kind: str, version: str) -> Activator:
    """Return the activator of a kind that has this version.

    Raises:
        ApiError: there is no such kind or version.
    """
    activator = services.activators.get(kind)
    if activator is None:
        kinds = ", ".join(services.activators) or "none"
        raise unknown("kind", kind, f"bundles that serve here: {kinds}")
    versions = [manifest.version for manifest in await manifests(activator)]
    if version not in versions:
        raise unknown("version", version, f"not published under {kind}")
    return activator


async def activated(activator: Activator, actor: str, version: str) -> Pointer:
    """Activate, and answer refusals.

    Raises:
        ApiError: a replica cannot stage it, another activation is going on, or state or records
            cannot be reached.
    """
    try:
        return await activator.activate(actor, version)
    except NotActivatedError as error:
        details = [
            Detail(field="version", value=version, message=f"{replica}: {fault}")
            for replica, fault in error.faults.items()
        ]
        message = f"{error}; what serves goes on serving"
        raise ApiError(409, "not_activated", message, details) from error
    except (StateUnreachableError, RecordsError) as error:
        raise unreachable(error) from error


async def manifests(activator: Activator) -> list[Manifest]:
    """Return the published manifests.

    Raises:
        ApiError: one cannot be read.
    """
    try:
        return await asyncio.to_thread(activator.published)
    except BundleError as error:
        raise ApiError(409, "bundle_damaged", str(error)) from error


def unknown(field: str, value: str, message: str) -> ApiError:
    """Return the error of a kind or version that is not there."""
    detail = Detail(field=field, value=value, message=message)
    return ApiError(404, "unknown_bundle", f"{value}: {message}", [detail])


def unreachable(error: Exception) -> ApiError:
    """Return the error of a state or records that do not answer."""
    return ApiError(503, "bundles_unreachable", f"nothing was changed: {error}")


def pointer_answer(pointer: Pointer) -> PointerAnswer:
    """Show a pointer."""
    return PointerAnswer(version=pointer.version, sequence=pointer.sequence, at_ms=pointer.at_ms)


def version_answer(manifest: Manifest) -> VersionAnswer:
    """Show a published bundle."""
    return VersionAnswer(
        version=manifest.version, parent=manifest.parent, created_at=manifest.created_at
    )


def replica_answer(name: str, report: Report) -> ReplicaAnswer:
    """Show a replica."""
    return ReplicaAnswer(
        replica=name,
        serving=report.serving,
        staged=report.staged,
        fault=report.fault,
        staging_s=report.staging_s,
    )
