"""What is posted to ``/v1/schedule``: a site as it stands, in values with their units in the names.

Rules
-----
1. What is left out is not known, and counts as the worst that can be: see the description of each field.
2. No field is passed over in silence: one that is not known is a fault.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from loadmgr.allocation.options import Policy
from loadmgr.model.session import DischargeTerms

Version = Literal["1.6", "2.0.1", "2.1"]
Identity = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
Amps = Annotated[float, Field(ge=0.0, le=10_000.0, allow_inf_nan=False)]
Watts = Annotated[float, Field(ge=0.0, le=1e9, allow_inf_nan=False)]
WattHours = Annotated[float, Field(ge=0.0, le=1e9, allow_inf_nan=False)]
Price = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]

MOST_EVSES = 2000
MOST_READINGS = 20_000


class Strict(BaseModel):
    """Takes nothing but what it names."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class InstalledFact(Strict):
    """A charging profile on a station."""

    evse_id: int = Field(ge=0, le=MOST_EVSES, description="EVSE (OCPP 1.6: connector) it was set on; 0: the station.")
    profile: dict[str, Any] = Field(
        description="The profile as it is on the wire: `csChargingProfiles` of OCPP 1.6, `chargingProfile` of 2.x."
    )


class StationFact(Strict):
    """A station and what it holds."""

    id: Identity
    ocpp_version: Version | None = Field(default=None, description="Default: the request's, else the site's, else 1.6.")
    connected: bool = True
    installed_profiles: list[InstalledFact] | None = Field(
        default=None,
        max_length=1000,
        description="Every charging profile on it, also those that others set. Left out: nobody knows, so each EVSE of "
        "it counts with its installed maximum, and the answer begins with setting its fail-safe.",
    )
    max_stack_level: int | None = Field(default=None, ge=0, le=1_000_000)
    rate_units: list[Literal["A", "W"]] | None = Field(default=None, min_length=1, max_length=2)
    max_periods: int | None = Field(default=None, ge=1, le=100_000)
    max_profiles: int | None = Field(default=None, ge=1, le=100_000)
    setpoint_evses: list[Annotated[int, Field(ge=0, le=MOST_EVSES)]] = Field(
        default_factory=list,
        max_length=MOST_EVSES,
        description="EVSEs that follow CentralSetpoint (OCPP 2.1, V2XChargingCtrlr) and so may be asked to feed back.",
    )


class VehicleFact(Strict):
    """What a vehicle can take."""

    phases: int | None = Field(default=None, ge=1, le=3)
    min_a: Amps | None = None
    max_a: Amps | None = None
    max_w: Watts | None = None


class DischargeFact(Strict):
    """What a vehicle may feed back (V2G), where its EVSE and its station can."""

    max_a: Amps = Field(description="Most per phase; 0 takes an earlier permission back.")
    room_wh: WattHours = Field(default=0.0, description="How far below its state at plug-in it may be taken.")
    min_state_of_charge_ratio: float | None = Field(default=None, ge=0.0, le=1.0)
    capacity_wh: float | None = Field(default=None, ge=1.0, le=1e9, description="Needed beside a lowest state.")
    efficiency_ratio: float = Field(default=0.75, ge=0.1, le=1.0, description="Energy out per energy in, both ways.")
    price_per_kwh: float = Field(default=0.0, ge=0.0, le=1e6, description="Wear, per kWh that is fed back.")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.min_state_of_charge_ratio is None) != (self.capacity_wh is None):
            raise ValueError("min_state_of_charge_ratio and capacity_wh must be given together")
        return self

    def terms(self) -> DischargeTerms:
        """Return the same as the controller knows it."""
        return DischargeTerms(**self.model_dump())


class MemoryFact(Strict):
    """What was found out about a session, as the last answer gave it back."""

    phases: list[Annotated[int, Field(ge=0, le=2)]] | None = Field(default=None, min_length=1, max_length=3)
    accepts_a: Amps | None = None
    accepts_since: AwareDatetime | None = None
    told: bool = False
    on_since: AwareDatetime | None = None
    off_since: AwareDatetime | None = None


class SessionFact(Strict):
    """A vehicle that is plugged in."""

    evse: Identity
    transaction_id: Annotated[int, Field(ge=0, lt=2**63)] | Identity
    started: AwareDatetime | None = Field(default=None, description="Default: now.")
    id_token: Identity | None = None
    departure: AwareDatetime | None = Field(default=None, description="Left out: the site's usual stay.")
    wanted_wh: WattHours | None = Field(
        default=None,
        description="Energy of the whole session, with what is delivered. Left out: the site's default.",
    )
    must_wh: WattHours = Field(default=0.0, description="Share of it that goes before what anybody else merely wants.")
    must_by: AwareDatetime | None = Field(
        default=None, description="When that share has to be there. Left out: at departure."
    )
    full_wh: WattHours | None = Field(default=None, description="What it can take in all when there is room to spare.")
    delivered_wh: WattHours = 0.0
    priority: int = Field(default=0, ge=-1000, le=1000)
    vehicle: VehicleFact | None = None
    discharge: DischargeFact | None = Field(default=None, description="Left out: it is never discharged.")
    memory: MemoryFact | None = None


class EvseReadingFact(Strict):
    """What an EVSE measured: one of currents per phase, a current, a power."""

    evse: Identity
    at: AwareDatetime | None = Field(default=None, description="Default: now.")
    currents_a: tuple[Amps | None, Amps | None, Amps | None] | None = Field(
        default=None, description="On the station's own L1, L2, L3."
    )
    current_a: Amps | None = Field(default=None, description="The highest of its phases.")
    power_w: Watts | None = None
    state_of_charge_ratio: float | None = Field(default=None, ge=0.0, le=1.0)


class MeterReadingFact(Strict):
    """What a meter of the site measured; import is positive."""

    meter: Identity
    at: AwareDatetime | None = Field(default=None, description="Default: now.")
    currents_a: tuple[
        Annotated[float, Field(ge=-10_000.0, le=10_000.0)],
        Annotated[float, Field(ge=-10_000.0, le=10_000.0)],
        Annotated[float, Field(ge=-10_000.0, le=10_000.0)],
    ]


class LimitFact(Strict):
    """A limit beside those of the site, in force now."""

    circuit: Identity
    source: Identity = "csms"
    limit_a: Amps | tuple[Amps | None, Amps | None, Amps | None] | None = None
    limit_w: Watts | None = None
    until: AwareDatetime | None = None
    vehicles_only: bool = False


class PricesFact(Strict):
    """Prices of import, instead of the tariff's own for as long as they reach."""

    times: list[AwareDatetime] = Field(min_length=1, max_length=10_000)
    per_kwh: list[Price] = Field(min_length=1, max_length=10_000)
    end: AwareDatetime | None = Field(default=None, description="Where the last price ends; left out: never.")


class ScheduleRequest(Strict):
    """A site as it stands."""

    site: dict[str, Any] | Identity = Field(
        description="The content of a site file as JSON (`loadmgr schema` prints its JSON Schema), or the name of a "
        "site that this service was started with."
    )
    at: AwareDatetime | None = Field(default=None, description="Default: the service's clock.")
    ocpp_version: Version | None = Field(default=None, description="Of stations that do not say.")
    stations: list[StationFact] | None = Field(
        default=None,
        max_length=MOST_EVSES,
        description="Left out: every station of the site is connected and nobody knows what it holds. A station that "
        "is missing in the list was never seen.",
    )
    assume_failsafe: bool = Field(
        default=False,
        description="Take it on the caller's word that stations whose profiles are not given hold the fail-safe that "
        "this service sets. Wrong, a vehicle that plugs in may trip a fuse.",
    )
    sessions: list[SessionFact] = Field(default_factory=list, max_length=MOST_EVSES)
    evse_readings: list[EvseReadingFact] = Field(default_factory=list, max_length=MOST_READINGS)
    meter_readings: list[MeterReadingFact] = Field(default_factory=list, max_length=MOST_READINGS)
    limits: list[LimitFact] = Field(default_factory=list, max_length=1000)
    tariff: dict[str, Any] | None = Field(
        default=None, description="The section `tariff` of a site file, in place of the site's own."
    )
    prices: PricesFact | None = None
    policy: Policy | None = None
    budget_ms: int = Field(
        default=5000,
        ge=1,
        le=60_000,
        description="How long may be computed [ms]. What is not ready by then is answered by water-filling, which "
        "keeps every limit and looks at no price.",
    )
    dry_run: bool = Field(
        default=False,
        description="Nothing is remembered of this request: its idempotency key is free afterwards.",
    )
