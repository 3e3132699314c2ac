"""Routes of certificates and of the audits that they rest on."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from serving.api.errors import Detail, invalid
from serving.api.json_route import JsonRoute
from serving.api.moderation import desk_of
from serving.api.recorded import BARRED, NONE_SUCH, STORED, UNREACHABLE, actor_of, recorded
from serving.api.request_log import ID
from serving.api.schemas import Asked, Reason
from serving.api.services import Services
from serving.moderation.auditing import certified, spoken_against
from serving.moderation.certificates import Certificate, Judge
from serving.records.items import Identifier, Region
from serving.records.moderation import Audit

log = logging.getLogger("tidegate.moderation")

AUDITS_LISTED = 100
RECENT_DAYS = 30
_DAY_MS = 86_400_000
DRIFT = "audited decisions since it was issued speak against it"


class AuditAnswer(BaseModel):
    """A decision to look at again; `violations` is null until somebody has."""

    audit_id: str
    item_id: str
    content_version: int
    region: str
    model: str
    policy: str
    margin: float
    scores: dict[str, float]
    drawn_at_ms: int
    answered_at_ms: int | None
    violations: list[str] | None


class AuditsAnswer(BaseModel):
    """Decisions that wait, oldest first."""

    request_id: str
    audits: list[AuditAnswer]


class Violations(Asked):
    """Every enforced label that the item violates; none if it is clean."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"violations": ["hate"]}]})
    violations: Annotated[list[Identifier], Field(max_length=64)]


class AnsweredAudit(AuditAnswer):
    """The answer is kept; `revoked` are certificates that it, with those before, speaks against."""

    request_id: str
    revoked: list[str]


class CertificateAnswer(BaseModel):
    """A bound on the error of decisions of one kind."""

    certificate_id: str
    side: str
    label: str
    model: str
    policy: str
    region: str
    threshold: float
    risk: float
    delta: float
    sample: int
    errors: int
    bound: float
    created_at_ms: int
    revoked_at_ms: int | None
    revoked_because: str | None


class CertificatesAnswer(BaseModel):
    """Certificates, newest first; `lacking` says what those that were not issued need."""

    request_id: str
    certificates: list[CertificateAnswer]
    lacking: dict[str, str] = {}


class Certify(Asked):
    """Certify what the audits of a region support, by the model and policy in force.

    Audits drawn within `recent_days` are a sample of what comes now; older ones count under a bound
    on how much larger the share of errors may be now.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"region": "CN"}]})
    region: Region
    recent_days: Annotated[int, Field(ge=1, le=3_650)] = RECENT_DAYS


class Revocation(Asked):
    """Why a certificate ends."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "a new kind of fraud"}]})
    reason: Reason


def certificate_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return ``/v1/admin/audits`` and ``/v1/admin/certificates``."""
    return [*_audit_routes(services), *_certificate_routes(services)]


def _audit_routes(services: Services) -> list[JsonRoute[Any]]:
    audits = services.stores.moderation.audits

    async def waiting(_: None, request: Request) -> dict[str, Any]:
        found = await recorded(audits.waiting, AUDITS_LISTED)
        return {"request_id": request.scope[ID], "audits": [asdict(one) for one in found]}

    async def answer(body: Violations, request: Request) -> dict[str, Any]:
        labels = desk_of(services).moderator.labels.labels
        if unknown := [name for name in body.violations if name not in labels]:
            message = "no such label"
            raise invalid([Detail(field="violations", value=unknown[0], message=message)])
        actor, audit_id = actor_of(request), request.path_params["audit_id"]
        done = await recorded(audits.answer, actor, audit_id, body.violations)
        revoked = await revoke_drifted(services, done)
        return asdict(done) | {"request_id": request.scope[ID], "revoked": revoked}

    path, tag = "/v1/admin/audits", "admin"
    return [
        JsonRoute(
            path,
            tag,
            "List decisions to look at again",
            None,
            AuditsAnswer,
            waiting,
            errors=(UNREACHABLE,),
            method="GET",
        ),
        JsonRoute(
            f"{path}/{{audit_id}}",
            tag,
            "Say what a person found",
            Violations,
            AnsweredAudit,
            answer,
            errors=(NONE_SUCH, BARRED, *STORED),
        ),
    ]


def _certificate_routes(services: Services) -> list[JsonRoute[Any]]:
    records = services.stores.moderation

    async def listed(_: None, request: Request) -> dict[str, Any]:
        found = await recorded(records.certificates.listed)
        return certificates_answer(found, request)

    async def certify(body: Certify, request: Request) -> dict[str, Any]:
        moderator = desk_of(services).moderator
        judge = moderator.judge_in(body.region)
        audits = await recorded(records.audits.answered, judge)
        recent_from_ms = services.clock_ms() - body.recent_days * _DAY_MS
        ruling = moderator.policies.of(body.region)
        found = await asyncio.to_thread(certified, audits, judge, ruling, recent_from_ms)
        issued = await recorded(records.certificates.issue, actor_of(request), found.certificates)
        await follow(services)
        return certificates_answer(issued, request) | {"lacking": dict(found.lacking)}

    async def revoke(body: Revocation, request: Request) -> dict[str, Any]:
        name = request.path_params["certificate_id"]
        done = await recorded(records.certificates.revoke, actor_of(request), name, body.reason)
        await follow(services)
        return certificates_answer([done], request)

    path, tag = "/v1/admin/certificates", "admin"
    return [
        JsonRoute(
            path,
            tag,
            "List certificates",
            None,
            CertificatesAnswer,
            listed,
            errors=(UNREACHABLE,),
            method="GET",
        ),
        JsonRoute(
            path,
            tag,
            "Certify what the audits support",
            Certify,
            CertificatesAnswer,
            certify,
            errors=STORED,
        ),
        JsonRoute(
            f"{path}/{{certificate_id}}/revoke",
            tag,
            "End a certificate",
            Revocation,
            CertificatesAnswer,
            revoke,
            errors=(NONE_SUCH, BARRED, *STORED),
        ),
    ]


async def revoke_drifted(services: Services, answered: Audit) -> list[str]:
    """Revoke the certificates that the audits of one judge speak against; their ids."""
    records = services.stores.moderation
    judge = Judge(answered.model, answered.policy, answered.region)
    audits = await recorded(records.audits.answered, judge)
    certificates = await recorded(records.certificates.listed)
    drifting = await asyncio.to_thread(_drifting, certificates, audits, judge)
    for name in drifting:
        await recorded(records.certificates.revoke, "audits", name, DRIFT)
        services.metrics.certificates_revoked.inc()
        log.error("certificate %s is revoked: %s; its decisions go to review", name, DRIFT)
    if drifting:
        await follow(services)
    return drifting


def _drifting(
    certificates: Sequence[Certificate], audits: Sequence[Audit], judge: Judge
) -> list[str]:
    return [
        one.certificate_id
        for one in certificates
        if one.speaks_about(judge) and spoken_against(one, audits)
    ]


async def follow(services: Services) -> None:
    """Let this process act on a change at once; the others follow within their interval."""
    certificates = await recorded(services.stores.moderation.certificates.listed)
    desk_of(services).moderator.certificates.replace(certificates)


def certificates_answer(found: Sequence[Certificate], request: Request) -> dict[str, Any]:
    """Certificates as they are answered."""
    return {
        "request_id": request.scope[ID],
        "certificates": [*map(certificate_answer, found)],
    }


def certificate_answer(one: Certificate) -> dict[str, Any]:
    """A certificate as it is answered."""
    values = asdict(one)
    judge: dict[str, Any] = values.pop("judge")
    return values | judge
