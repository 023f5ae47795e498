"""The site as an electrician draws it: a tree of circuits with limits per phase, and the EVSEs at its leaves.

Rules kept here
---------------
1. There is one root circuit, the grid connection; every other circuit names its parent.
2. A limit is in A per phase and already reduced for continuous load and margin; ``rated_a`` is what is printed on the
   fuse. ``None`` is no limit, ``0.0`` is a limit of zero.
3. The children of a circuit may together exceed it: that is what load management is for.
4. Phase rotation is spelt out: ``Evse.phases`` names the grid phase behind the EVSE's own L1, L2, L3, in that order.
"""

import enum
from dataclasses import dataclass, field
from functools import cached_property

from loadmgr.model.equipment import Battery, Cabinet, PvPlant
from loadmgr.model.failsafe import FailSafe, Timing
from loadmgr.model.ids import CircuitId, EvseId, MeterId, StationId
from loadmgr.model.units import MINIMUM_CURRENT_A

PhaseAmps = tuple[float, float, float]
"""Currents [A] on L1, L2, L3 of the grid."""

PhaseLimits = tuple[float | None, float | None, float | None]
"""Limits [A] on L1, L2, L3 of the grid; ``None`` is no limit."""


class Phase(enum.IntEnum):
    """A grid phase; its value is its index in arrays."""

    L1 = 0
    L2 = 1
    L3 = 2


class CurrentType(enum.StrEnum):
    """What an EVSE delivers."""

    AC = "AC"
    DC = "DC"


class Trust(enum.StrEnum):
    """What is known of a capability; ``UNKNOWN`` counts as ``NO`` wherever current depends on it."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideLoad:
    """A load on a circuit that nobody here controls, such as the building.

    Parameters
    ----------
    worst_case_a : (L1, L2, L3)
        What it may draw on each phase [A]; used whenever no fresh reading says better.
    meter : MeterId, optional
        The meter of the circuit it hangs on; the load is the reading minus what the EVSEs draw.
    """

    id: str
    worst_case_a: PhaseAmps
    meter: MeterId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A meter on a circuit, its reading interval [s], and the age [s] from which a reading is not believed."""

    id: MeterId
    circuit: CircuitId
    interval_s: float
    stale_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A part of the installation behind one fuse.

    Parameters
    ----------
    parent : CircuitId, optional
        The circuit that feeds it; ``None`` for the grid connection.
    limit_a : (L1, L2, L3)
        Limits [A] that hold at every instant; ``None`` is no limit.
    rated_a : (L1, L2, L3)
        Rated currents [A] of the fuse, from which excursions are judged (IEC 60898-1).
    limit_w : float, optional
        Limit of the power over all phases [W], such as a contract.
    """

    id: CircuitId
    parent: CircuitId | None = None
    limit_a: PhaseLimits = (None, None, None)
    rated_a: PhaseLimits = (None, None, None)
    limit_w: float | None = None
    side_loads: tuple[SideLoad, ...] = ()

    def __post_init__(self) -> None:
        for name, limits in (("limit_a", self.limit_a), ("rated_a", self.rated_a)):
            if any(limit is not None and limit < 0.0 for limit in limits):
                raise ValueError(f"{name} of circuit {self.id} must be 0 or above on every phase, got {limits}")
        if self.limit_w is not None and self.limit_w < 0.0:
            raise ValueError(f"limit_w of circuit {self.id} must be 0 or above, got {self.limit_w}")


class LimitBy(enum.StrEnum):
    """Which charging profiles of this controller limit a station."""

    TRANSACTION = "transaction"
    STATION_MAXIMUM = "station_maximum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """How far a station is trusted in each of the ways that count when nobody controls it; see ``Station``."""

    keeps_profiles: Trust = Trust.UNKNOWN
    zero_ok: Trust = Trust.UNKNOWN
    keeps_clock: Trust = Trust.UNKNOWN
    recurring_ok: Trust = Trust.UNKNOWN
    starts_offline: Trust = Trust.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A charging station as it connects: one identity on the link, one or more EVSEs.

    Parameters
    ----------
    limit_by : LimitBy
        ``STATION_MAXIMUM`` leaves default and transaction profiles to somebody else, whom our maximum bounds; for a
        station with one EVSE, because a maximum bounds nothing but the sum.
    keeps_profiles : Trust
        Whether charging profiles survive a reboot and a power loss.
    zero_ok : Trust
        Whether a limit of 0 A pauses without ending or locking the transaction.
    keeps_clock : Trust
        Whether its clock is right after a power loss, before anybody tells it the time.
    recurring_ok : Trust
        Whether it follows schedules that recur daily.
    starts_offline : Trust
        Whether transactions start without a link; they begin at the default profile.
    grounds : str
        When and on what firmware that was proved; empty where the site file alone says so.
    proved_firmware : str
        That firmware; empty where nothing was proved, or the station did not name it.
    unproved : Trusted, optional
        What is left of all that on another firmware; ``None`` where nothing was proved.
    """

    id: StationId
    version: str | None = None
    limit_by: LimitBy = LimitBy.TRANSACTION
    keeps_profiles: Trust = Trust.UNKNOWN
    zero_ok: Trust = Trust.UNKNOWN
    keeps_clock: Trust = Trust.UNKNOWN
    recurring_ok: Trust = Trust.UNKNOWN
    starts_offline: Trust = Trust.UNKNOWN
    grounds: str = ""
    proved_firmware: str = ""
    unproved: Trusted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evse:
    """One place where one vehicle charges.

    Parameters
    ----------
    number : int
        The EVSE id (OCPP 2.x) or connector id (OCPP 1.6) on its station, from 1.
    phases : tuple of Phase
        Grid phase behind the EVSE's own L1, L2, L3; its length is the number of phases it can use.
        For DC the phases of the converter's infeed.
    min_a, max_a, step_a : float
        Smallest current that charges, installed maximum, and the step that the station follows [A per phase].
    fallback_a : float
        What it may draw when nobody controls it [A per phase]; 0.0 needs a station that takes 0 A.
    max_w : float, optional
        Largest power into the vehicle [W]; needed for DC.
    efficiency_ratio : float
        Energy into the vehicle per energy from the grid.
    discharge_a : float
        Most that a vehicle may feed back through it [A per phase of the infeed]; 0 where it cannot.
    switches_phases : bool
        Whether it may be switched between one phase and three within a session.
    """

    id: EvseId
    station: StationId
    circuit: CircuitId
    number: int = 1
    current_type: CurrentType = CurrentType.AC
    phases: tuple[Phase, ...] = (Phase.L1, Phase.L2, Phase.L3)
    min_a: float = MINIMUM_CURRENT_A
    max_a: float = 32.0
    step_a: float = 1.0
    fallback_a: float = 0.0
    max_w: float | None = None
    efficiency_ratio: float = 1.0
    discharge_a: float = 0.0
    switches_phases: bool = False

    def __post_init__(self) -> None:
        if not self.phases or len(set(self.phases)) != len(self.phases):
            raise ValueError(f"phases of EVSE {self.id} must be 1 to 3 different phases, got {self.phases}")
        if not 0.0 < self.min_a <= self.max_a:
            raise ValueError(
                f"min_a of EVSE {self.id} must be above 0 and at most max_a {self.max_a}, got {self.min_a}"
            )
        if self.step_a <= 0.0:
            raise ValueError(f"step_a of EVSE {self.id} must be above 0, got {self.step_a}")
        if not 0.0 <= self.discharge_a <= self.max_a:
            raise ValueError(
                f"discharge_a of EVSE {self.id} must lie in [0, {self.max_a}], its max_a, got {self.discharge_a}"
            )
        if self.number < 1:
            raise ValueError(f"number of EVSE {self.id} must be 1 or above, got {self.number}")
        if self.current_type is CurrentType.DC and self.max_w is None:
            raise ValueError(f"max_w of EVSE {self.id} is needed for DC")
        if not 0.0 < self.efficiency_ratio <= 1.0:
            raise ValueError(f"efficiency_ratio of EVSE {self.id} must lie in (0, 1], got {self.efficiency_ratio}")

    def max_infeed_a(self, voltage_v: float, *, phases_used: int | None = None) -> float:
        """Return the most it can draw [A per phase]: its installed maximum, and what its largest power needs."""
        if self.max_w is None:
            return self.max_a
        phases = phases_used or len(self.phases)
        return min(self.max_a, self.max_w / self.efficiency_ratio / (voltage_v * phases))


@dataclass(frozen=True, kw_only=True)
class Site:
    """Everything that is fixed about a site.

    Raises
    ------
    ValueError
        If ids repeat, a parent or circuit is missing, there is not exactly one root, or the tree has a loop.
    """

    name: str
    time_zone: str
    currency: str = "EUR"
    voltage_v: float = 230.0
    circuits: tuple[Circuit, ...]
    evses: tuple[Evse, ...]
    stations: tuple[Station, ...]
    meters: tuple[Meter, ...] = ()
    failsafe: FailSafe = field(default_factory=FailSafe)
    timing: Timing = field(default_factory=Timing)
    pv: tuple[PvPlant, ...] = ()
    batteries: tuple[Battery, ...] = ()
    cabinets: tuple[Cabinet, ...] = ()

    def __post_init__(self) -> None:
        named: dict[str, list[str]] = {
            "circuit": [c.id for c in self.circuits],
            "EVSE": [e.id for e in self.evses],
            "station": [s.id for s in self.stations],
            "meter": [m.id for m in self.meters],
            "battery": [b.id for b in self.batteries],
            "cabinet": [c.id for c in self.cabinets],
        }
        for kind, ids in named.items():
            twice = sorted({i for i in ids if ids.count(i) > 1})
            if twice:
                raise ValueError(f"{kind} ids must be unique, {twice[0]} occurs twice")
        roots = [c.id for c in self.circuits if c.parent is None]
        if len(roots) != 1:
            raise ValueError(f"circuits must have exactly one root, got {roots}")
        self._check_references()
        self._check_equipment()

    def _check_references(self) -> None:
        for circuit in self.circuits:
            if circuit.parent is not None and circuit.parent not in self.circuit_by_id:
                raise ValueError(f"parent of circuit {circuit.id} must be a circuit, got {circuit.parent}")
        for circuit in self.circuits:
            seen = {circuit.id}
            above = circuit.parent
            while above is not None:
                if above in seen:
                    raise ValueError(f"circuit {circuit.id} is its own ancestor")
                seen.add(above)
                above = self.circuit_by_id[above].parent
        known = {s.id for s in self.stations}
        for evse in self.evses:
            if evse.circuit not in self.circuit_by_id:
                raise ValueError(f"circuit of EVSE {evse.id} must be a circuit, got {evse.circuit}")
            if evse.station not in known:
                raise ValueError(f"station of EVSE {evse.id} must be a station, got {evse.station}")

    def _check_equipment(self) -> None:
        for battery in self.batteries:
            if battery.circuit not in self.circuit_by_id:
                raise ValueError(f"circuit of battery {battery.id} must be a circuit, got {battery.circuit}")
        fed: dict[EvseId, str] = {}
        for cabinet in self.cabinets:
            for name in cabinet.evses:
                evse = self.evse_by_id.get(name)
                if evse is None or evse.current_type is not CurrentType.DC:
                    raise ValueError(f"evses of cabinet {cabinet.id} must be DC EVSEs of the site, got {name}")
                if name in fed:
                    raise ValueError(f"EVSE {name} must have one cabinet, got {fed[name]} and {cabinet.id}")
                fed[name] = cabinet.id
            circuits = {self.evse_by_id[name].circuit for name in cabinet.evses}
            if len(circuits) > 1:
                raise ValueError(f"evses of cabinet {cabinet.id} must be on one circuit, got {sorted(circuits)}")

    @cached_property
    def circuit_by_id(self) -> dict[CircuitId, Circuit]:
        """Circuits by id."""
        return {c.id: c for c in self.circuits}

    @cached_property
    def evse_by_id(self) -> dict[EvseId, Evse]:
        """EVSEs by id."""
        return {e.id: e for e in self.evses}

    @cached_property
    def station_by_id(self) -> dict[StationId, Station]:
        """Stations by id."""
        return {s.id: s for s in self.stations}

    @cached_property
    def root(self) -> Circuit:
        """The grid connection."""
        return next(c for c in self.circuits if c.parent is None)

    def path(self, circuit: CircuitId) -> tuple[Circuit, ...]:
        """Return the circuit and everything that feeds it, up to the grid connection."""
        return self._path_of[circuit]

    def evses_under(self, circuit: CircuitId) -> tuple[Evse, ...]:
        """Return the EVSEs that draw through a circuit, in file order."""
        return self._evses_under.get(circuit, ())

    def batteries_under(self, circuit: CircuitId) -> tuple[Battery, ...]:
        """Return the stationary batteries that draw through a circuit, in file order."""
        return tuple(b for b in self.batteries if any(c.id == circuit for c in self.path(b.circuit)))

    def evses_of(self, station: StationId) -> tuple[Evse, ...]:
        """Return the EVSEs of a station, in file order."""
        return self._evses_of.get(station, ())

    # Every decision asks these of every EVSE, so they are found once.

    @cached_property
    def _path_of(self) -> dict[CircuitId, tuple[Circuit, ...]]:
        paths: dict[CircuitId, tuple[Circuit, ...]] = {}
        for circuit in self.circuits:
            path = [circuit]
            while path[-1].parent is not None:
                path.append(self.circuit_by_id[path[-1].parent])
            paths[circuit.id] = tuple(path)
        return paths

    @cached_property
    def _evses_under(self) -> dict[CircuitId, tuple[Evse, ...]]:
        return {c.id: tuple(e for e in self.evses if c in self.path(e.circuit)) for c in self.circuits}

    @cached_property
    def _evses_of(self) -> dict[StationId, tuple[Evse, ...]]:
        at: dict[StationId, list[Evse]] = {}
        for evse in self.evses:
            at.setdefault(evse.station, []).append(evse)
        return {station: tuple(evses) for station, evses in at.items()}


def phase_currents_a(evse: Evse, current_a: float, *, phases_used: int | None = None) -> PhaseAmps:
    """Return the current on each grid phase [A] when an EVSE draws ``current_a`` on each phase it uses.

    A vehicle that uses fewer phases than the EVSE has uses the EVSE's first ones.

    Examples
    --------
    >>> evse = Evse(id="B2", station="B2", circuit="riser", phases=(Phase.L2, Phase.L3, Phase.L1))
    >>> phase_currents_a(evse, 10.0, phases_used=1)
    (0.0, 10.0, 0.0)
    """
    used = evse.phases[: phases_used or len(evse.phases)]
    return (
        current_a if Phase.L1 in used else 0.0,
        current_a if Phase.L2 in used else 0.0,
        current_a if Phase.L3 in used else 0.0,
    )
