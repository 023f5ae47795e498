"""What the controller answers: commands to send, alarms that changed, when to ask again; and a view for people."""

import enum
from dataclasses import dataclass
from datetime import datetime

from loadmgr.control.alarm import Alarm
from loadmgr.control.battery_facts import BatteryView, SetBatteryPower
from loadmgr.control.command import Command
from loadmgr.control.observation import EvseState, VehicleKnown
from loadmgr.control.outside.outside import OverrideSet
from loadmgr.control.outside.told import Evidence
from loadmgr.model.ids import CircuitId, EvseId, StationId, TransactionId
from loadmgr.model.topology import PhaseAmps, PhaseLimits


class Standing(enum.StrEnum):
    """How far an EVSE can be relied on, which decides what draw has to be assumed of it."""

    UNKNOWN = "unknown"
    OFFLINE = "offline"
    SETTING_UP = "setting up"
    OBEYING = "obeying"
    DISOBEYING = "disobeying"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSession:
    """Whose session runs where, and since when."""

    evse: EvseId
    transaction: TransactionId
    id_token: str | None
    started: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A session as it stands.

    Parameters
    ----------
    wanted_wh : float, optional
        What it is to get [Wh]; ``None`` when nobody said.
    expected_wh : float
        What it will have at departure by the plan [Wh].
    full_by : datetime, optional
        When it will have what it wants by the plan.
    source : str
        Who said so, ``default`` when nobody did.
    """

    evse: EvseId
    transaction: TransactionId
    id_token: str | None
    started: datetime
    ended: datetime | None
    departure: datetime | None
    wanted_wh: float | None
    delivered_wh: float
    expected_wh: float
    full_by: datetime | None
    priority: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseView:
    """An EVSE as it stands.

    Parameters
    ----------
    setpoint_a : float, optional
        What it is to be limited to now [A per phase]; ``None`` without a transaction.
    held_a : float
        The highest limit that it may hold now [A per phase].
    assumed_a, measured_a : (L1, L2, L3)
        Draw on the grid's phases that is assumed, and that was last measured [A].
    phases : int, optional
        Phases that the vehicle was seen to use.
    reason : str
        Why it gets what it gets, in plain words.
    plan_a : tuple of float
        Setpoint [A per phase] in each step of the plan, below 0 where its vehicle is to feed back; empty without one.
    discharge_a : float
        What its vehicle is to feed back now [A per phase].
    export_a : (L1, L2, L3)
        What was last measured that it feeds back [A].
    known : VehicleKnown, optional
        What was found out about its session, for a controller that goes on with it.
    override : OverrideSet, optional
        What a person ordered.
    """

    evse: EvseId
    station: StationId
    number: int
    standing: Standing
    state: EvseState | None
    session: SessionView | None
    setpoint_a: float | None
    held_a: float
    assumed_a: PhaseAmps
    measured_a: PhaseAmps | None
    power_w: float | None
    state_of_charge_ratio: float | None
    phases: int | None
    reason: str
    plan_a: tuple[float, ...]
    discharge_a: float = 0.0
    export_a: PhaseAmps = (0.0, 0.0, 0.0)
    known: VehicleKnown | None = None
    override: OverrideSet | None = None

    @property
    def net_a(self) -> float | None:
        """Current of the busiest phase as measured [A], below 0 where the vehicle feeds back."""
        if self.measured_a is None:
            return None
        return max((drawn - back for drawn, back in zip(self.measured_a, self.export_a, strict=True)), key=abs)

    @property
    def target_a(self) -> float | None:
        """What it is to draw at most now [A per phase], below 0 where it is to feed back."""
        return -self.discharge_a if self.discharge_a > 0.0 else self.setpoint_a


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitView:
    """A circuit as it stands, per phase [A].

    Parameters
    ----------
    limit_a : (L1, L2, L3)
        The limit in force, external ones included.
    building_a : (L1, L2, L3)
        Draw of side loads below it that is assumed.
    assumed_a : (L1, L2, L3)
        Draw of EVSEs below it that has to be assumed, and of side loads.
    measured_a : (L1, L2, L3), optional
        What its meter last said; without a meter what EVSEs and batteries below it last measured, and side loads.
    """

    circuit: CircuitId
    limit_a: PhaseLimits
    building_a: PhaseAmps
    assumed_a: PhaseAmps
    measured_a: PhaseAmps | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObedienceView:
    """How an EVSE follows its limits.

    Parameters
    ----------
    proven : bool
        It was seen to follow a reduction that mattered, and never disobeyed since.
    disobeying_since : datetime, optional
    offences : int
        How often it was found to disobey.
    escalation : str, optional
        What was last tried on it, ending "it was tried ...".
    limited_by : str
        The purpose of the profiles that its limits are sent in.
    """

    evse: EvseId
    proven: bool
    disobeying_since: datetime | None
    offences: int
    escalation: str | None
    limited_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WritesView:
    """Charging profiles written during the last day, and how many are meant to be enough; stations keep them in flash.

    Parameters
    ----------
    evse : EvseId, optional
        ``None`` is the station maximum.
    """

    evse: EvseId | None
    written: int
    budget: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StationView:
    """A station as it stands; what it never said is ``None``."""

    station: StationId
    connected: bool
    seen: bool
    since: datetime | None
    version: str | None
    vendor: str | None
    model: str | None
    firmware: str | None
    keeps_profiles: str
    zero_ok: str
    evses: tuple[ObedienceView, ...]
    writes: tuple[WritesView, ...]
    clock_offset_s: float | None = None
    clock_drift_s_per_day: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideView:
    """A limit from outside in force.

    Parameters
    ----------
    silent : bool
        Its source has not repeated itself as it promised: the limit is the one for its silence.
    obeyed_at : datetime, optional
        When a meter first showed that it is obeyed.
    """

    circuit: CircuitId
    source: str
    told_at: datetime
    until: datetime | None
    silent: bool
    limit_a: PhaseLimits | None
    limit_w: float | None
    vehicles_only: bool
    obeyed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """The site as the controller sees it.

    Parameters
    ----------
    plan_times : tuple of datetime
        Where the steps of the plan in force begin.
    """

    at: datetime
    evses: tuple[EvseView, ...]
    circuits: tuple[CircuitView, ...]
    alarms: tuple[Alarm, ...]
    stations: tuple[StationView, ...] = ()
    limits: tuple[OutsideView, ...] = ()
    batteries: tuple[BatteryView, ...] = ()
    plan_times: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done now.

    Parameters
    ----------
    commands : tuple of Command
        To be sent in this order, each to be answered by one ``CommandAnswered``.
    alarms : tuple of Alarm
        Raised or cleared since the last decision.
    next_due : datetime
        When to ask again if nothing is observed before.
    planned : str, optional
        Why a new plan was made; ``None`` where the plan in force was kept.
    ended : tuple of SessionView
        Sessions that ended since the last decision; one that is told again, with more, counts as told last.
    evidence : tuple of Evidence
        Limits from outside that came, were seen to be obeyed, or ended since the last decision.
    batteries : tuple of SetBatteryPower
        What batteries are to be told.
    """

    at: datetime
    commands: tuple[Command, ...]
    alarms: tuple[Alarm, ...]
    next_due: datetime
    planned: str | None
    ended: tuple[SessionView, ...]
    evidence: tuple[Evidence, ...] = ()
    batteries: tuple[SetBatteryPower, ...] = ()
