"""Routes of the operator: pins, boosts, burials and kill switches of the feed."""

import contextlib
from typing import Annotated, Any

from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from serving.api.errors import Detail, invalid, shown
from serving.api.feed import epoch_ms
from serving.api.json_route import JsonRoute
from serving.api.recorded import NONE_SUCH, STORED, UNREACHABLE, actor_of, recorded
from serving.api.request_log import ID
from serving.api.schemas import Asked, Moment, Reason
from serving.api.services import Services
from serving.feed.controls import ANYWHERE, Control, ControlKind, fault_of
from serving.records.errors import RecordsError
from serving.records.items import Identifier, known_region


def region_or_any(code: str) -> str:
    """Return a region's code in capitals, or what stands for all of them.

    Raises:
        ValueError: there is no such region.
    """
    return code if code == ANYWHERE else known_region(code)


RegionOrAny = Annotated[str, AfterValidator(region_or_any)]
Target = Annotated[str, StringConstraints(min_length=1, max_length=310)]


class LiftBody(Asked):
    """Names a control that holds."""

    kind: ControlKind
    target: Target = Field(description="item:ID, creator:ID, category:PATH, or what to switch off")
    surface: Identifier = ANYWHERE
    region: RegionOrAny = ANYWHERE
    reason: Reason


class ControlBody(LiftBody):
    """A pin, boost, burial or kill switch, in place of the one of the same name."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "pin", "target": "item:i-7", "value": 1, "region": "CN", "reason": "gala"},
                {"kind": "boost", "target": "category:tea", "value": 1.5, "reason": "tea week"},
                {"kind": "kill", "target": "source:trending", "reason": "ring of bots"},
            ]
        }
    )
    value: float = Field(0.0, description="of a pin the position from 1, of a boost the factor")
    until: Moment | None = None


class ControlAnswer(BaseModel):
    """The number of the change; every replica follows it within a second."""

    request_id: str
    sequence: int


class HoldingControl(BaseModel):
    """A control that holds; `until_ms` counts from 1970."""

    kind: ControlKind
    target: str
    surface: str
    region: str
    value: float
    until_ms: int | None


class ControlsAnswer(BaseModel):
    """All controls, oldest first."""

    request_id: str
    controls: list[HoldingControl]


def control_routes(services: Services) -> list[JsonRoute[Any]]:
    """Return the routes of ``/v1/admin/feed/controls``."""
    controls = services.stores.controls

    async def put(body: ControlBody, request: Request) -> dict[str, Any]:
        until_ms = None if body.until is None else epoch_ms(body.until)
        control = _control(body, body.value, until_ms)
        if (fault := fault_of(control, services.clock_ms())) is not None:
            field, limit = fault
            value = shown(getattr(body, field))
            raise invalid([Detail(field=field, value=value, message=f"expected {limit}")])
        number = await recorded(controls.put, actor_of(request), control, body.reason)
        return await answer(number, request)

    async def lift(body: LiftBody, request: Request) -> dict[str, Any]:
        number = await recorded(controls.lift, actor_of(request), _control(body), body.reason)
        return await answer(number, request)

    async def answer(number: int, request: Request) -> dict[str, Any]:
        with contextlib.suppress(RecordsError):  # it is looked for again in a moment
            await services.controls.refresh()
        return {"request_id": request.scope[ID], "sequence": number}

    async def listed(_: None, request: Request) -> dict[str, Any]:
        found = (await recorded(controls.listed))[1]
        return {"request_id": request.scope[ID], "controls": [vars(one) for one in found]}

    path = "/v1/admin/feed/controls"
    return [
        JsonRoute(
            path,
            "admin",
            "Steer the feed",
            ControlBody,
            ControlAnswer,
            put,
            errors=((409, "a control that holds says the contrary; lift it first"), *STORED),
        ),
        JsonRoute(
            f"{path}/lift",
            "admin",
            "Take a control off the feed",
            LiftBody,
            ControlAnswer,
            lift,
            errors=(NONE_SUCH, *STORED),
        ),
        JsonRoute(
            path,
            "admin",
            "What operators have laid upon the feed",
            None,
            ControlsAnswer,
            listed,
            errors=(UNREACHABLE,),
            method="GET",
        ),
    ]


def _control(body: LiftBody, value: float = 0.0, until_ms: int | None = None) -> Control:
    return Control(body.kind, body.target, body.surface, body.region, value, until_ms)
