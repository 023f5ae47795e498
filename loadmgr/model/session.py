"""Sessions and vehicles: what is asked of an EVSE, by when, and what the vehicle can take."""

import math
from dataclasses import dataclass, field
from datetime import datetime

from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.units import require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Taper:
    """How acceptance falls towards a full battery: full power up to ``start_ratio``, then linearly to ``end_ratio``.

    Parameters
    ----------
    start_ratio : float
        State of charge (0 to 1) from which acceptance falls.
    end_ratio : float
        Share of full power that is left at state of charge 1.
    """

    start_ratio: float = 0.8
    end_ratio: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 <= self.start_ratio <= 1.0:
            raise ValueError(f"start_ratio must lie in 0..1, got {self.start_ratio}")
        if not 0.0 < self.end_ratio <= 1.0:
            raise ValueError(f"end_ratio must lie above 0 and at most at 1, got {self.end_ratio}")

    def acceptance_ratio(self, state_of_charge_ratio: float) -> float:
        """Return the share of full power that the battery takes at a state of charge (0 to 1)."""
        if state_of_charge_ratio >= 1.0:
            return 0.0
        if state_of_charge_ratio <= self.start_ratio:
            return 1.0
        fallen = (state_of_charge_ratio - self.start_ratio) / (1.0 - self.start_ratio)
        return 1.0 - fallen * (1.0 - self.end_ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleLimits:
    """What a vehicle can take; ``None`` where nobody knows.

    Parameters
    ----------
    phases : int, optional
        Phases that its on-board charger uses, 1 to 3.
    min_a, max_a : float, optional
        Smallest and largest current per phase [A].
    """

    phases: int | None = None
    min_a: float | None = None
    max_a: float | None = None
    max_w: float | None = None

    def __post_init__(self) -> None:
        if self.phases is not None and self.phases not in (1, 2, 3):
            raise ValueError(f"phases must be 1, 2 or 3, got {self.phases}")
        for name in ("min_a", "max_a", "max_w"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value < math.inf:
                raise ValueError(f"{name} must be 0 or above and finite, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyNeed:
    """Energy from the grid side [Wh] in tiers, each including the one before, counted from the session's start.

    Parameters
    ----------
    must_wh : float
        What has to be there at departure before anybody gets more.
    wanted_wh : float
        What was asked for.
    full_wh : float, optional
        What the vehicle can still take beyond that when there is room; ``None`` means nothing beyond.
    must_by : datetime, optional
        When ``must_wh`` has to be there, if sooner than the departure: enough for the way home by noon, say.
    """

    must_wh: float = 0.0
    wanted_wh: float
    full_wh: float | None = None
    must_by: datetime | None = None

    def __post_init__(self) -> None:
        if self.must_by is not None:
            object.__setattr__(self, "must_by", require_utc(self.must_by, name="must_by"))
        top = self.wanted_wh if self.full_wh is None else self.full_wh
        if not 0.0 <= self.must_wh <= self.wanted_wh <= top < math.inf:
            raise ValueError(
                f"energy tiers must satisfy 0 <= must_wh <= wanted_wh <= full_wh < infinity, "
                f"got {self.must_wh}, {self.wanted_wh}, {self.full_wh}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DischargeTerms:
    """What a vehicle may feed back (V2G); one without terms is never discharged.

    Parameters
    ----------
    max_a : float
        Most that it may feed back [A per phase].
    room_wh : float
        How far below what it came with it may be taken, on the grid side [Wh]; 0 takes back only what it was charged.
    min_state_of_charge_ratio, capacity_wh : float, optional
        Never below this state of charge, 0 to 1, of a battery of so much; as long as no state is read, nothing is taken
        that was there at plug-in.
    efficiency_ratio : float
        Energy fed back per energy that it takes to charge it again; the default is that of a poor charger, so that no
        promise is broken by one.
    price_per_kwh : float
        What feeding back a kWh costs beside the energy: wear.
    """

    max_a: float
    room_wh: float = 0.0
    min_state_of_charge_ratio: float | None = None
    capacity_wh: float | None = None
    efficiency_ratio: float = 0.75
    price_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("max_a", self.max_a, 0.0, 1e4),
            ("room_wh", self.room_wh, 0.0, 1e9),
            ("min_state_of_charge_ratio", self.min_state_of_charge_ratio, 0.0, 1.0),
            ("capacity_wh", self.capacity_wh, 1.0, 1e9),
            ("efficiency_ratio", self.efficiency_ratio, 0.1, 1.0),
            ("price_per_kwh", self.price_per_kwh, 0.0, 1e6),
        ):
            if value is not None and not low <= value <= high:
                raise ValueError(f"discharge {name} must lie in [{low:g}, {high:g}], got {value}")
        if (self.min_state_of_charge_ratio is None) != (self.capacity_wh is None):
            raise ValueError("discharge min_state_of_charge_ratio and capacity_wh must be given together")

    def room_left_wh(self, net_wh: float, *, state_of_charge_ratio: float | None) -> float:
        """Return how far it may be discharged from here [Wh].

        Parameters
        ----------
        net_wh : float
            Energy charged since plug-in, less what was fed back.
        state_of_charge_ratio : float, optional
            As last read.
        """
        if self.min_state_of_charge_ratio is None or self.capacity_wh is None:
            return max(0.0, self.room_wh + net_wh)
        if state_of_charge_ratio is None:
            return max(0.0, net_wh)
        above_wh = (state_of_charge_ratio - self.min_state_of_charge_ratio) * self.capacity_wh
        return max(0.0, min(above_wh, self.room_wh + net_wh) if self.room_wh else above_wh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A vehicle at an EVSE, as far as the controller knows.

    Parameters
    ----------
    departure : datetime, optional
        When it is expected to leave; ``None`` when nobody said.
    need : EnergyNeed, optional
        ``None`` when nobody said: then it is served as long as it stays, without a promise.
    delivered_wh : float
        Energy delivered so far [Wh].
    discharge : DischargeTerms, optional
        ``None`` is never discharged.
    priority : int
        Class; a higher one is served before every lower one.
    """

    id: SessionId
    evse: EvseId
    arrival: datetime
    departure: datetime | None = None
    need: EnergyNeed | None = None
    delivered_wh: float = 0.0
    vehicle: VehicleLimits = field(default_factory=VehicleLimits)
    discharge: DischargeTerms | None = None
    priority: int = 0
    id_token: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrival", require_utc(self.arrival, name="arrival"))
        if self.departure is not None:
            departure = require_utc(self.departure, name="departure")
            if departure < self.arrival:
                raise ValueError(f"departure must not lie before arrival {self.arrival.isoformat()}, got {departure}")
            object.__setattr__(self, "departure", departure)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One row of a session table: what really happened, or is to happen, at a place to charge.

    Parameters
    ----------
    evse : EvseId, optional
        ``None``: the lowest free EVSE in file order.
    departure : datetime
        When the vehicle really left.
    estimated_departure : datetime, optional
        What the driver said.
    energy_requested_wh, energy_delivered_wh : float
        What the driver asked for, and what was delivered.
    max_a, phases
        What the vehicle could take.
    energy_must_wh : float
        Part of ``energy_requested_wh`` that comes before everything else.
    must_by : datetime, optional
        When that part has to be there, if sooner than the departure.
    discharge_a : float
        Most that the vehicle may feed back [A per phase]; 0 is never discharged.
    discharge_wh : float
        How far below its state at arrival it may be discharged [Wh].
    """

    session_id: SessionId
    evse: EvseId | None = None
    arrival: datetime
    departure: datetime
    estimated_departure: datetime | None = None
    energy_requested_wh: float
    energy_delivered_wh: float | None = None
    max_a: float | None = None
    phases: int | None = None
    energy_must_wh: float = 0.0
    must_by: datetime | None = None
    discharge_a: float = 0.0
    discharge_wh: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrival", require_utc(self.arrival, name="arrival"))
        object.__setattr__(self, "departure", require_utc(self.departure, name="departure"))
        if self.estimated_departure is not None:
            estimated = require_utc(self.estimated_departure, name="estimated_departure")
            object.__setattr__(self, "estimated_departure", estimated)
        if self.departure <= self.arrival:
            raise ValueError(f"departure must lie after arrival {self.arrival.isoformat()}, got {self.departure}")
        if self.energy_requested_wh < 0.0:
            raise ValueError(f"energy_requested_wh must be 0 or above, got {self.energy_requested_wh}")
        if not 0.0 <= self.energy_must_wh <= self.energy_requested_wh:
            raise ValueError(
                f"energy_must_wh must lie in [0, {self.energy_requested_wh:g}], what is asked for, "
                f"got {self.energy_must_wh}"
            )
        if self.must_by is not None:
            object.__setattr__(self, "must_by", require_utc(self.must_by, name="must_by"))

    @property
    def need(self) -> EnergyNeed:
        """What the driver asked for."""
        return EnergyNeed(must_wh=self.energy_must_wh, wanted_wh=self.energy_requested_wh, must_by=self.must_by)

    @property
    def discharge(self) -> DischargeTerms | None:
        """What the vehicle may feed back; ``None`` where it may not."""
        if self.discharge_a <= 0.0:
            return None
        return DischargeTerms(max_a=self.discharge_a, room_wh=self.discharge_wh)
