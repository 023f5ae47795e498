"""What the service answers: as JSON, and the shapes of it for the OpenAPI document."""

from typing import Any

import orjson
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

Triple = tuple[float, float, float]


def json_answer(body: Any, *, status: int = 200) -> Response:
    """Return plain values as an answer; instants in UTC end with Z."""
    return Response(orjson.dumps(body, option=orjson.OPT_UTC_Z), status, media_type="application/json")


class Answer(BaseModel):
    """Nothing but what it names."""

    model_config = ConfigDict(extra="forbid")


class CommandAnswer(Answer):
    """A message that is to be sent to a station now."""

    id: int
    station: str
    evse: str | None
    ocpp_version: str
    action: str
    payload: dict[str, Any] = Field(description="As it goes on the wire.")
    urgency: str = Field(description="`safety` goes before `ordinary`, and that before `background`.")
    reason: str


class SetpointAnswer(Answer):
    """A step of the plan."""

    start: str
    current_a: float


class SessionAnswer(Answer):
    """A session as it stands."""

    transaction_id: str
    departure: str | None
    wanted_wh: float | None
    delivered_wh: float
    expected_wh: float = Field(description="What it will have at departure by the plan.")
    shortfall_wh: float | None
    full_by: str | None


class MemoryAnswer(Answer):
    """What was found out about a session: send it back with the next request."""

    phases: list[int] | None
    accepts_a: float | None
    accepts_since: str | None
    told: bool
    on_since: str | None
    off_since: str | None


class EvseAnswer(Answer):
    """An EVSE as it stands, and what it is to get."""

    id: str
    station: str
    number: int
    ocpp_version: str | None
    standing: str
    setpoint_a: float | None
    held_a: float
    assumed_a: Triple
    reason: str
    set_charging_profile: dict[str, Any] | None = Field(
        description="Payload of the SetChargingProfile to send now; null where nothing is to be changed, or a raise "
        "waits until the reductions that pay for it are acknowledged."
    )
    setpoints: list[SetpointAnswer]
    session: SessionAnswer | None
    memory: MemoryAnswer | None


class CircuitAnswer(Answer):
    """A circuit as it stands, per phase."""

    id: str
    limit_a: tuple[float | None, float | None, float | None]
    building_a: Triple
    assumed_a: Triple
    measured_a: Triple | None


class AlarmAnswer(Answer):
    """Something that a person should know."""

    kind: str
    subject: str
    severity: str
    cause: str
    advice: str
    since: str


class ScheduleAnswer(Answer):
    """What a site is to do now, and its plan."""

    site: str
    at: str
    next_call_at: str = Field(description="When to ask again if nothing happens before.")
    method: str
    budget_exceeded: bool
    dry_run: bool
    commands: list[CommandAnswer] = Field(description="To be sent in this order.")
    evses: list[EvseAnswer]
    circuits: list[CircuitAnswer]
    alarms: list[AlarmAnswer]


class CompositeAnswer(Answer):
    """One result for each operation."""

    results: list[dict[str, Any]]


class HealthAnswer(Answer):
    """How the service is, and why."""

    status: str
    checks: dict[str, str]
