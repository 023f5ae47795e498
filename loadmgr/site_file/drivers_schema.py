"""The vocabulary of what is known of drivers before they say anything."""

from datetime import time
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from loadmgr.site_file.quantities import (
    Amps,
    SecondsAboveZero,
    StrictPart,
    Text,
    WattHours,
    fault,
)


def _parse_time(value: Any) -> time:
    # YAML 1.1 reads 07:30 without quotes as a number in base sixty.
    written = f"{value // 60:02d}:{value % 60:02d}" if isinstance(value, int) and not isinstance(value, bool) else value
    try:
        if isinstance(written, str):
            parsed = time.fromisoformat(written)
            if parsed.tzinfo is None:
                return parsed
    except ValueError:
        pass
    raise fault(f"{value!r} is not a time of day", 'write hours and minutes of the site\'s clock, such as "07:30"')


TimeOfDay = Annotated[
    time,
    BeforeValidator(_parse_time),
    WithJsonSchema({"type": "string", "pattern": r"^\d\d:\d\d(:\d\d)?$", "description": 'local time, such as "07:30"'}),
]


class DriverRulePart(StrictPart):
    """What drivers of some id tokens usually want; the first rule that fits counts."""

    id_tokens: list[Text] = Field(min_length=1, description="Tokens, or patterns such as FLEET-*.")
    leaves: TimeOfDay | None = Field(default=None, description="Local time of the departure, the next one.")
    stays: SecondsAboveZero | None = Field(default=None, description="How long they stay, instead of `leaves`.")
    energy: WattHours | None = Field(default=None, description="Energy wanted by then.")
    must: WattHours | None = Field(default=None, description="The part of it that comes before what others want.")
    priority: int | None = Field(default=None, ge=-10, le=10, strict=True, description="Higher goes first; 0 is usual.")
    phases: int | None = Field(default=None, ge=1, le=3, strict=True, description="Phases that the vehicle uses.")
    max: Amps | None = Field(default=None, description="The most that the vehicle takes per phase.")


class DriversPart(StrictPart):
    """What is known of drivers before they say anything; a driver's own word, and the vehicle's, come first."""

    habits: bool = Field(
        default=False, strict=True, description="Expect what the same driver did before, or others at such a time."
    )
    calendar: Text | None = Field(
        default=None,
        description="CSV file of departures (evse or id_token, departure; energy_requested_wh, must_wh, priority, "
        "arrival), read again when it changes.",
    )
    rules: list[DriverRulePart] = Field(default_factory=list)
