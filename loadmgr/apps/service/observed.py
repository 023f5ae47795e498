"""What is sent to a site under control: messages of stations, readings, transactions, wishes, limits, orders."""

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from loadmgr.apps.service.answers import Answer
from loadmgr.apps.service.snapshot import (
    Amps,
    DischargeFact,
    EvseReadingFact,
    Identity,
    MeterReadingFact,
    PricesFact,
    SessionFact,
    Strict,
    VehicleFact,
    Version,
    WattHours,
    Watts,
)

MOST_MESSAGES = 1000


class MessageFact(Strict):
    """A call of a station, as it is on the wire."""

    station: Identity
    ocpp_version: Version
    action: Annotated[str, Field(pattern="^[A-Za-z]{1,60}$")]
    payload: dict[str, Any]
    transaction_id: int | None = Field(
        default=None, ge=0, lt=2**63, description="What a StartTransaction of OCPP 1.6 was answered with."
    )


class MessagesRequest(Strict):
    """Calls of stations, in the order in which they came."""

    messages: list[MessageFact] = Field(min_length=1, max_length=MOST_MESSAGES)
    dry_run: bool = False


class ConnectionFact(Strict):
    """A station that came or went."""

    station: Identity
    ocpp_version: Version
    connected: bool = True


class ConnectionsRequest(Strict):
    """Stations that came or went."""

    stations: list[ConnectionFact] = Field(min_length=1, max_length=MOST_MESSAGES)
    dry_run: bool = False


class BatteryReadingFact(Strict):
    """What a battery does now, and how full it is."""

    battery: Identity
    power_w: float = Field(ge=-1e9, le=1e9, description="At its circuit: above 0 it charges.")
    state_of_charge_ratio: float | None = Field(
        default=None, ge=0.0, le=1.0, description="Of its usable energy. Left out, it is told to rest."
    )


class ReadingsRequest(Strict):
    """What was measured."""

    evse_readings: list[EvseReadingFact] = Field(default_factory=list, max_length=MOST_MESSAGES)
    meter_readings: list[MeterReadingFact] = Field(default_factory=list, max_length=MOST_MESSAGES)
    battery_readings: list[BatteryReadingFact] = Field(default_factory=list, max_length=MOST_MESSAGES)
    dry_run: bool = False


class EndFact(Strict):
    """A transaction that is over."""

    evse: Identity
    transaction_id: Annotated[int, Field(ge=0, lt=2**63)] | Identity
    meter_wh: WattHours | None = None


class TransactionsRequest(Strict):
    """Transactions that began or ended."""

    started: list[SessionFact] = Field(default_factory=list, max_length=MOST_MESSAGES)
    ended: list[EndFact] = Field(default_factory=list, max_length=MOST_MESSAGES)
    dry_run: bool = False


class WishRequest(Strict):
    """What a driver wishes of the session at an EVSE, or of the next one there; what is left out stays."""

    departure: AwareDatetime | None = None
    wanted_wh: WattHours | None = None
    must_wh: WattHours = 0.0
    must_by: AwareDatetime | None = Field(default=None, description="When `must_wh` has to be there, if sooner.")
    full_wh: WattHours | None = None
    priority: int | None = Field(default=None, ge=-1000, le=1000)
    vehicle: VehicleFact | None = None
    discharge: DischargeFact | None = None
    dry_run: bool = False


class LimitRequest(Strict):
    """A limit of a source on a circuit. With a heartbeat it is to be repeated, else the silent limit holds."""

    limit_a: Amps | tuple[Amps | None, Amps | None, Amps | None] | None = None
    limit_w: Watts | None = None
    until: AwareDatetime | None = None
    heartbeat_s: float | None = Field(default=None, ge=1.0, le=86_400.0)
    silent_limit_a: Amps | None = None
    silent_limit_w: Watts | None = None
    vehicles_only: bool = False
    dry_run: bool = False


class OrderRequest(Strict):
    """An order about an EVSE: one of a limit, a pause, a boost."""

    limit_a: Amps | None = None
    pause: bool = False
    boost: bool = False
    for_s: float | None = Field(default=None, gt=0.0, le=366 * 86_400.0)
    dry_run: bool = False


class OverrideRequest(OrderRequest):
    """An order about an EVSE, or its end."""

    evse: Identity
    clear: bool = False


class PricesRequest(Strict):
    """Prices of import, instead of the tariff's own."""

    prices: PricesFact
    dry_run: bool = False


class ReplyFact(Strict):
    """How a command ended: the station's answer, or the error that came."""

    id: int = Field(ge=0, lt=2**63)
    result: dict[str, Any] | None = Field(default=None, description="The payload of the station's CALLRESULT.")
    error: Identity | None = Field(default=None, description="The code of a CALLERROR, or what hindered the CSMS.")
    description: str = Field(default="", max_length=1000)


class RepliesRequest(Strict):
    """How commands ended."""

    answers: list[ReplyFact] = Field(min_length=1, max_length=MOST_MESSAGES)


class Taken(Answer):
    """What was taken in."""

    taken: int
    dry_run: bool = False


class Outgoing(Answer):
    """A command that is to be sent to a station."""

    id: int
    station: str
    ocpp_version: str
    action: str
    payload: dict[str, Any]
    urgency: str
    expires_in_s: float


class BatteryOrdered(Answer):
    """What a battery is to do; no answer is expected but its readings."""

    id: int
    battery: str
    power_w: int = Field(description="Above 0 it charges.")
    expires_in_s: float = Field(description="Afterwards it must not be passed on: a newer order is on its way.")


class OutgoingList(Answer):
    """Commands, the most urgent first, the newest order of each battery, and where to ask on."""

    commands: list[Outgoing]
    batteries: list[BatteryOrdered]
    after: int
    fence: int | None = Field(description="Rises with every takeover of the site; refuse what has a lower one.")


class RepliesTaken(Answer):
    """What was taken in, and ids that wait for no answer any more."""

    taken: int
    unknown: list[int]


class SiteListed(Answer):
    """A site that the caller may see."""

    name: str
    title: str
    evses: int
    controlled: bool
    streams: int


class JournalListed(Answer):
    """An entry of a site's journal."""

    number: int
    at: str
    kind: str
    body: dict[str, Any]
