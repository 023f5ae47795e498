"""The vocabulary of limits from outside, and of the rules that a site falls under."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from loadmgr.model.compliance import UK_DELAY_MOST_S, UK_DELAY_S
from loadmgr.site_file.phase_schema import PerPhase
from loadmgr.site_file.quantities import Seconds, SecondsAboveZero, StrictPart, Text, Watts
from loadmgr.site_file.source_schema import HttpPart, OpenAdrPart, Pointer


def _as_text(value: Any) -> Any:
    """Return the state of a contact as the text that is read: 1 and "1" are the same there."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


State = Annotated[Text, BeforeValidator(_as_text), WithJsonSchema({"type": ["string", "integer"]})]


class CapPart(StrictPart):
    """A limit: a current on each phase, a power over all phases, or both."""

    current: PerPhase | None = None
    power: Watts | None = None


class RelayPart(StrictPart):
    """A contact that puts a limit in force: a value file such as a GPIO's in sysfs, or a command that prints it."""

    value_file: Text | None = None
    command: Text | None = Field(default=None, description="Run without a shell; its first line is the state.")
    active: State = Field(default="1", description="What is read while the limit is in force.")
    idle: State = Field(default="0", description="What is read while it is not.")
    limit: CapPart | None = Field(default=None, description="The limit; that of `compliance` if this is its signal.")


class LimitsInJson(StrictPart):
    """Where limits are in a JSON document: in the form of a limit file, or as one number."""

    at: Pointer = Field(default="", description="JSON pointer, such as /grid/limit; the whole document if not given.")
    number_is: Literal["limit_a", "limit_w", "limit_kw"] | None = Field(
        default=None, description="What is there is one number: A on each phase, W or kW; null is no limit."
    )


class LimitsHttpPart(HttpPart, LimitsInJson):
    """Limits that are fetched."""


class LimitsMqttPart(LimitsInJson):
    """Limits that are published on the broker of `loadmgr run --mqtt`."""

    topic: Text


class SimpleLevelsPart(StrictPart):
    """What the levels of OpenADR's SIMPLE events mean here; a level that is not named is as the one below it."""

    level_1: CapPart | None = Field(default=None, description="Moderate.")
    level_2: CapPart | None = Field(default=None, description="High.")
    level_3: CapPart | None = Field(default=None, description="Emergency.")


class LimitsOpenAdrPart(OpenAdrPart):
    """Limits that an OpenADR 3 server tells: events IMPORT_CAPACITY_LIMIT, and SIMPLE where levels are named."""

    simple: SimpleLevelsPart | None = None


class ExternalLimitPart(StrictPart):
    """A source of limits from outside."""

    id: Text
    circuit: Text | None = Field(default=None, description="What it limits; the grid connection if not given.")
    file: Text | None = Field(default=None, description="JSON or CSV file of limits that another program replaces.")
    relay: RelayPart | None = None
    http: LimitsHttpPart | None = None
    mqtt: LimitsMqttPart | None = None
    openadr: LimitsOpenAdrPart | None = None
    every: SecondsAboveZero | None = Field(
        default=None, description="How often it is asked; 1s for files and relays, 10s over HTTP, 30s over OpenADR."
    )
    heartbeat: SecondsAboveZero | None = Field(
        default=None, description="It repeats itself at least this often; silent for longer, `when_silent` holds."
    )
    when_silent: CapPart | None = None
    vehicles_only: bool = Field(default=False, strict=True, description="Limits in W are of vehicles alone.")


class CompliancePart(StrictPart):
    """Rules that a site falls under."""

    pack: Literal["de_14a", "uk"] = Field(
        description="de_14a: dimming of section 14a EnWG. uk: Smart Charge Points Regulations 2021."
    )
    signal: Text | None = Field(default=None, description="de_14a: id of the external limit that is the signal.")
    charge_points: int | None = Field(
        default=None, ge=1, strict=True, description="de_14a: controllable ones; all EVSEs above 4.2 kW if not given."
    )
    delay: Seconds = Field(
        default=float(UK_DELAY_S),
        le=UK_DELAY_MOST_S,
        description="uk: longest randomised delay of a start, and of every rise.",
    )
    peak_hours: bool = Field(
        default=True, strict=True, description="uk: no charging in peak hours for sessions that nobody said otherwise."
    )
