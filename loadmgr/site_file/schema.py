"""The vocabulary of a site file: every key, its type and what it means.

``loadmgr schema`` prints it as JSON Schema, so the descriptions here are what an editor shows.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema

from loadmgr.model.topology import LimitBy, Trust
from loadmgr.site_file.drivers_schema import DriversPart
from loadmgr.site_file.meter_schema import BatteryModbusPart, MeterPart
from loadmgr.site_file.outside_schema import CompliancePart, ExternalLimitPart
from loadmgr.site_file.phase_schema import PerPhase, Phases
from loadmgr.site_file.quantities import (
    Amps,
    Ratio,
    Seconds,
    SecondsAboveZero,
    StrictPart,
    Text,
    Volts,
    WattHours,
    WattHoursAboveZero,
    Watts,
    WattsAboveZero,
    fault,
)
from loadmgr.site_file.tariff_schema import TariffPart
from loadmgr.site_file.values import Rudeness

SCHEMA_NAME = "loadmgr/v1"
VERSIONS = ("1.6", "2.0.1", "2.1")

IDENTITY = re.compile(r"[A-Za-z0-9*\-_=+|@.]{1,48}")


def _parse_trust(value: Any) -> Any:
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


Known = Annotated[
    Trust,
    BeforeValidator(_parse_trust),
    WithJsonSchema({"enum": ["yes", "no", "unknown", True, False]}),
]


def _parse_version(value: Any) -> Any:
    text = value.removeprefix("ocpp") if isinstance(value, str) else str(value)
    return text if text in VERSIONS else value


Version = Annotated[
    Literal["1.6", "2.0.1", "2.1"],
    BeforeValidator(_parse_version),
    WithJsonSchema({"enum": [*VERSIONS, *(f"ocpp{version}" for version in VERSIONS), 1.6, 2.1]}),
]


def _parse_identity(value: Any) -> Any:
    if isinstance(value, str) and not IDENTITY.fullmatch(value):
        raise fault(
            f"{value!r} cannot be a station id",
            "use 1 to 48 letters, digits and * - _ = + | @ . (it is a part of the address that the station dials)",
        )
    return value


Identity = Annotated[Text, BeforeValidator(_parse_identity)]


class SitePart(StrictPart):
    """What the site is."""

    name: Text = Field(description="Name of the site, as people call it.")
    timezone: Text = Field(description="IANA zone of the site, such as Europe/Berlin.")
    currency: Text = Field(default="EUR", description="Three letters (ISO 4217).")
    voltage: Volts = Field(default=230.0, description="Nominal voltage between phase and neutral.")
    standard: Literal["iec", "nec"] = Field(default="iec", description="nec: circuits are derated for continuous load.")
    continuous: Ratio | None = Field(
        default=None, description="Share of a fuse that may be used for hours; needed with `standard: nec` (0.8)."
    )


class SideLoadPart(StrictPart):
    """A load on the circuit that nobody here controls, such as the building."""

    id: Text
    worst_case: PerPhase = Field(description="What it may draw on each phase; used when no fresh reading says better.")
    profile: Text | None = Field(
        default=None, description="CSV file (start, l1_a, l2_a, l3_a) of whole weeks: forecast and simulation."
    )


class CircuitPart(StrictPart):
    """A part of the installation behind one fuse."""

    id: Text
    parent: Text | None = Field(default=None, description="The circuit that feeds it; none for the grid connection.")
    fuse: PerPhase | None = Field(default=None, description="Rated current per phase: 63A, or {L1: 63A, L2: 50A}.")
    phases: Phases | None = Field(
        default=None, description="Phases that the circuit has; all of its parent's if not given."
    )
    margin: Ratio = Field(default=0.0, description="Share of the fuse that is never planned.")
    max_power: Watts | None = Field(default=None, description="Limit of the power over all phases, such as a contract.")
    meter: MeterPart | None = None
    side_loads: list[SideLoadPart] = Field(default_factory=list)
    evses: list[Text] = Field(default_factory=list, description="EVSEs on it: A1, or a range A1..A7.")


class EvseDefaultsPart(StrictPart):
    """What holds for every EVSE that does not say otherwise."""

    phases: Phases = ("L1", "L2", "L3")
    max: Amps = Field(default=32.0, description="Installed maximum per phase.")
    min: Amps = Field(default=6.0, description="Smallest current that charges.")
    step: Amps = Field(default=1.0, description="Step that the station follows.")
    fallback: Amps | None = Field(default=None, description="What it may draw when nobody controls it.")
    discharge: Amps = Field(
        default=0.0, description="Most per phase that a vehicle may feed back (V2G); only OCPP 2.1 can ask for it."
    )
    switches_phases: StrictBool = Field(
        default=False, description="It may be switched between one phase and three while a vehicle is plugged in."
    )


class EvsePart(StrictPart):
    """One place where one vehicle charges."""

    id: Text
    station: Identity | None = Field(default=None, description="The station it belongs to; its own id if not given.")
    number: int = Field(
        default=1, ge=1, strict=True, description="Its EVSE id (OCPP 2.x) or connector id (OCPP 1.6) on the station."
    )
    phases: Phases | None = None
    max: Amps | None = None
    min: Amps | None = None
    step: Amps | None = None
    fallback: Amps | None = None
    dc_power: Watts | None = Field(default=None, description="Largest power of a DC output; AC if not given.")
    efficiency: Ratio = Field(default=1.0, gt=0.0, description="Energy into the vehicle per energy from the grid.")
    discharge: Amps | None = Field(
        default=None, description="Most per phase that a vehicle may feed back (V2G); only OCPP 2.1 can ask for it."
    )
    switches_phases: StrictBool | None = None
    discharge_power: Watts | None = Field(
        default=None, description="The same as a power over all its phases, such as what a DC converter feeds back."
    )


class StationDefaultsPart(StrictPart):
    """What holds for every station that does not say otherwise."""

    version: Version | None = Field(default=None, description="OCPP version; a real station negotiates it.")
    limit_by: LimitBy = Field(
        default=LimitBy.TRANSACTION,
        description="Which profiles limit it. `station_maximum` leaves default and transaction profiles to a CSMS above"
        " (`run --upstream` passes them through) or to another backend; for stations with one EVSE.",
    )
    keeps_profiles: Known = Field(
        default=Trust.UNKNOWN, description="Charging profiles survive a reboot and power loss."
    )
    zero_ok: Known = Field(default=Trust.UNKNOWN, description="A limit of 0 A pauses without ending the transaction.")
    keeps_clock: Known = Field(default=Trust.UNKNOWN, description="The clock is right after a power loss.")
    recurring_ok: Known = Field(default=Trust.UNKNOWN, description="Schedules that recur daily are followed.")
    starts_offline: Known = Field(default=Trust.UNKNOWN, description="Transactions start without a link.")


class StationPart(StrictPart):
    """What is known of one station."""

    id: Identity
    fuse: PerPhase | None = Field(
        default=None, description="Rated current of its own supply, where that carries less than its EVSEs together."
    )
    version: Version | None = None
    limit_by: LimitBy | None = None
    keeps_profiles: Known | None = None
    zero_ok: Known | None = None
    keeps_clock: Known | None = None
    recurring_ok: Known | None = None
    starts_offline: Known | None = None


class FailSafePart(StrictPart):
    """What holds when the controller is gone."""

    strategy: Literal["static", "zero", "time_division"] = "static"
    per_evse: Amps | None = Field(
        default=None, description="Current per EVSE with `strategy: static`; its minimum if not given."
    )
    lease: SecondsAboveZero = Field(default=900.0, description="How long a pushed limit holds without renewal.")
    reserve_starts: Literal["all"] | Annotated[int, Field(ge=1, strict=True)] = Field(
        default="all", description="For how many vehicles that plug in at once their fallback is kept free."
    )


class TimingPart(StrictPart):
    """How fast the site reacts."""

    reaction_time: SecondsAboveZero = Field(default=45.0, description="From an excursion to its end; at most 60s.")
    settle: Seconds = Field(default=10.0, description="Time a vehicle may take to follow a new limit.")
    meter_interval: SecondsAboveZero = Field(default=10.0, description="How often stations report what they draw.")
    call_timeout: SecondsAboveZero = Field(default=20.0, description="How long a station may take to answer.")
    clock_skew: Seconds = Field(default=60.0, description="How far a station's clock may be off.")


class SessionDefaultsPart(StrictPart):
    """What is assumed of a vehicle that says nothing."""

    energy: WattHours = Field(default=12_000.0)
    stay: SecondsAboveZero = Field(default=9 * 3600.0)


class ListenPart(StrictPart):
    """Where stations dial in: ws://HOST:PORT/ocpp/<station id>."""

    host: Text = "127.0.0.1"
    port: int = Field(default=9000, ge=0, le=65535, strict=True)


class PvPart(StrictPart):
    """A photovoltaic plant."""

    id: Text
    circuit: Text
    peak: Watts
    profile: Text | None = Field(
        default=None, description="CSV file (start, ratio) of whole weeks: generation per peak power."
    )


class BatteryCommandPart(StrictPart):
    """How a running controller tells a battery what to do, and hears what it does (MQTT)."""

    every: SecondsAboveZero = Field(default=10.0, description="At least so often it is told, and has to say.")
    watchdog: SecondsAboveZero = Field(
        description="It rests by itself when it hears nothing for so long; a battery that goes on is not for this."
    )
    modbus: BatteryModbusPart | None = Field(
        default=None, description="Over Modbus TCP; else over MQTT, by a CSMS, or by Python."
    )


class BatteryPart(StrictPart):
    """A stationary battery that the plan may charge and discharge.

    Without `command` nobody commands it: what it may draw belongs in `worst_case` of a side load of its circuit.
    """

    id: Text
    circuit: Text = Field(description="The circuit it hangs on.")
    capacity: WattHoursAboveZero = Field(description="Usable energy when full.")
    charge: Watts = Field(description="Largest power into it.")
    discharge: Watts = Field(description="Largest power out of it.")
    reserve: Ratio = Field(default=0.0, description="Share of the capacity that is never taken out.")
    stored: Ratio = Field(default=0.5, description="Share that is stored until a reading says better.")
    efficiency: Ratio = Field(default=0.9, ge=0.1, description="Energy out per energy in, both ways together.")
    command: BatteryCommandPart | None = Field(default=None, description="How a running controller commands it.")


class CabinetPart(StrictPart):
    """A power cabinet that several DC outlets share."""

    id: Text
    dc_power: WattsAboveZero = Field(description="Largest power over all its outlets together.")
    evses: list[Text] = Field(min_length=1, description="Its outlets: D1, or a range D1..D4.")


class RudePart(StrictPart):
    """A simulated station that misbehaves."""

    station: Text
    behaviour: Rudeness
    at: Seconds = Field(description="How long after the start of the demo.")
    duration: SecondsAboveZero = Field(default=300.0, description="How long; a reboot takes this long.")


class DemoPart(StrictPart):
    """The simulated world of `loadmgr demo`."""

    sessions: Text = Field(description="CSV file of sessions.")
    start: Text = Field(description="Local time at which the demo begins, such as 2019-06-04 12:00.")
    rude: list[RudePart] = Field(default_factory=list)


class SiteDocument(StrictPart):
    """A site: its circuits, EVSEs, stations and tariff, as an electrician draws them."""

    schema_name: Literal["loadmgr/v1"] = Field(alias="schema", description="Version of this vocabulary.")
    site: SitePart
    circuits: list[CircuitPart] = Field(min_length=1)
    evse_defaults: EvseDefaultsPart = Field(default_factory=EvseDefaultsPart)
    evses: list[EvsePart] = Field(min_length=1)
    station_defaults: StationDefaultsPart = Field(default_factory=StationDefaultsPart)
    stations: list[StationPart] = Field(default_factory=list)
    failsafe: FailSafePart = Field(default_factory=FailSafePart)
    timing: TimingPart = Field(default_factory=TimingPart)
    session_defaults: SessionDefaultsPart = Field(default_factory=SessionDefaultsPart)
    listen: ListenPart = Field(default_factory=ListenPart)
    tariff: TariffPart
    pv: list[PvPart] = Field(default_factory=list)
    batteries: list[BatteryPart] = Field(default_factory=list)
    cabinets: list[CabinetPart] = Field(default_factory=list)
    external_limits: list[ExternalLimitPart] = Field(default_factory=list)
    compliance: CompliancePart | None = None
    drivers: DriversPart = Field(default_factory=DriversPart)
    demo: DemoPart | None = None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a site file, for editors."""
    schema = SiteDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "loadmgr site file", **schema}
