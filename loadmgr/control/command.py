"""What the controller asks of stations: values with an id; the bridge makes messages of the station's version of them.

Rules
-----
1. Ids are integers, unique within a controller's life, rising in the order of the decision.
2. Limits inside are already rounded down to what the station takes: the bridge only renames.
3. Every command is answered by exactly one ``CommandAnswered``, whatever happens to the link.
"""

import enum
from dataclasses import dataclass

from loadmgr.model.ids import ProfileId, StationId, TransactionId
from loadmgr.model.profile import ChargingProfile, ProfilePurpose, RateUnit


class Urgency(enum.IntEnum):
    """Which of several commands to one station goes first; a lower value is sent before every higher one."""

    SAFETY = 0
    ORDINARY = 1
    BACKGROUND = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SetProfile:
    """Install a charging profile; ``number`` 0 is the station as a whole."""

    id: int
    station: StationId
    number: int
    profile: ChargingProfile
    urgency: Urgency = Urgency.ORDINARY
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearProfile:
    """Remove charging profiles: one by id, or all that match every given field, or all."""

    id: int
    station: StationId
    profile_id: ProfileId | None = None
    number: int | None = None
    purpose: ProfilePurpose | None = None
    stack_level: int | None = None
    urgency: Urgency = Urgency.ORDINARY
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """Ask for the composite schedule of an EVSE over the next ``duration_s``."""

    id: int
    station: StationId
    number: int
    duration_s: int
    unit: RateUnit = RateUnit.A
    urgency: Urgency = Urgency.ORDINARY
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCapabilities:
    """Ask what the station can do in smart charging.

    And of some EVSEs whether they follow setpoints (2.1), and of some whether they can choose a phase (2.x).
    """

    id: int
    station: StationId
    v2x_evses: tuple[int, ...] = ()
    phase_evses: tuple[int, ...] = ()
    urgency: Urgency = Urgency.ORDINARY
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadForeign:
    """Ask which external constraints are installed (2.x); the station tells them in reports that name this id."""

    id: int
    station: StationId
    urgency: Urgency = Urgency.ORDINARY
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerReading:
    """Ask for meter values of an EVSE now."""

    id: int
    station: StationId
    number: int
    urgency: Urgency = Urgency.BACKGROUND
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTransaction:
    """End a transaction from afar; the cable stays in."""

    id: int
    station: StationId
    transaction: TransactionId
    urgency: Urgency = Urgency.ORDINARY
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAvailability:
    """Take an EVSE out of service, or back into it."""

    id: int
    station: StationId
    number: int
    operative: bool
    urgency: Urgency = Urgency.ORDINARY
    reason: str = ""


Command = (
    SetProfile
    | ClearProfile
    | ReadBack
    | ReadCapabilities
    | ReadForeign
    | TriggerReading
    | StopTransaction
    | SetAvailability
)
"""Everything that a controller can ask for."""
