"""Build a problem from one value per circuit and one per EVSE, the way a site is thought of.

Scalars, values per phase and series are spread to arrays here; ``None`` means no limit and 0.0 a limit of zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

import numpy as np
from numpy.typing import ArrayLike

from loadmgr.allocation.arrays import BoolArray, FloatArray, require_range, spread
from loadmgr.allocation.door import MOST_A, require_sound, require_stay
from loadmgr.allocation.money import DemandCharge, SiteMoney, StationaryBattery
from loadmgr.allocation.problem import (
    EVSE_NUMBERS,
    NOMINAL_VOLTAGE_V,
    PHASES,
    AllocationProblem,
    CircuitArrays,
    EvseArrays,
    presence_ratio,
)
from loadmgr.model.series import TimeGrid
from loadmgr.model.units import MINIMUM_CURRENT_A, require_utc


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CircuitLimits:
    """One circuit: its limits and what it carries beside EVSEs.

    Parameters
    ----------
    id : str
    parent : str, optional
        The circuit that feeds it; ``None`` for the top.
    limit_a : scalar, (3,) or (3, n_step), optional
        Limit per phase [A]; ``None`` for no limit.
    limit_w : scalar or (n_step,), optional
        Limit of the total power [W]; a series may hold NaN nowhere: where it does not apply see ``limit_w_applies``.
    limit_w_applies : (n_step,) bool, optional
        Steps in which ``limit_w`` is a limit (a grid operator's cap); ``None`` for all.
    side_load_a : scalar, (3,) or (3, n_step)
        Draw that hangs on this very circuit beside EVSEs and child circuits [A].
    lasting_a : (3,) of (float or None), optional
        Limit per phase that has to hold with nobody in control [A], where vehicles that take the place of others draw
        their ``kept_a``.
    lasting_w : float, optional
        The same of the total power [W].
    unbalance_a : float, optional
        Largest difference between two phases [A].
    neutral_limit_a : float, optional
        Largest current in the neutral [A].
    transformer_ratio : float, optional
        A delta-wye transformer hangs below this circuit's limit; see ``CircuitArrays``.
    scarce : bool
        It tends to be full (it was in the last days, say): vehicles to come will want its room, so energy now goes
        before cheap energy later.
    """

    id: str
    parent: str | None = None
    limit_a: ArrayLike | None = None
    limit_w: ArrayLike | None = None
    limit_w_applies: BoolArray | None = None
    side_load_a: ArrayLike = 0.0
    lasting_a: tuple[float | None, float | None, float | None] = (None, None, None)
    lasting_w: float | None = None
    unbalance_a: float | None = None
    neutral_limit_a: float | None = None
    transformer_ratio: float | None = None
    scarce: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChargingRequest:
    """One EVSE with what is plugged in there, or is expected to be.

    Parameters
    ----------
    id : str
        Label of the EVSE, distinct within a problem.
    circuit : str
        The circuit that feeds it.
    session_id : str, optional
        Label of the session, by which ties are broken; ``None`` takes the EVSE's.
    phases : tuple of int
        Phases of the site (1 to 3) that the vehicle draws on, the rotation of the EVSE applied.
    line_to_line : bool
        The load hangs between the two named phases; ``voltage_v`` is then the voltage between lines.
    voltage_v : float
        Voltage between phase and neutral [V].
    min_a : float
        Less than this is a pause [A].
    max_a : scalar or (n_step,)
        Most that may be drawn [A] while plugged in; the stay is cut out here.
    step_a : float
        Setpoints are multiples of this [A].
    pilots_a : tuple of float, optional
        Where given, the only setpoints above 0 [A].
    arrival, departure : datetime, optional
        The stay; ``None`` means already here, and departure unknown.
    wanted_wh : float, optional
        Energy asked for and still to deliver [Wh]; ``None`` means unknown: whatever can be had.
    must_wh : float
        Part of it that comes before everything else [Wh].
    must_by : datetime, optional
        When that part has to be there; ``None`` for at departure.
    full_wh : float, optional
        What the vehicle could take at most [Wh]; ``None`` takes ``wanted_wh``.
    delivered_wh : float
        Energy delivered in the session so far [Wh].
    efficiency_ratio : float
        Energy counted towards the need over energy drawn.
    priority : int
        Class: higher goes first, 0 is the usual.
    guaranteed_w : float
        Power it should have in every step while it needs energy [W].
    pause_ok : bool
        Whether it wakes up again after 0 A; if not it is kept at the minimum while it needs energy.
    previous_a : (n_step,), optional
        Setpoints of the plan in force, on this grid [A].
    keep_on_s, keep_off_s : float
        How long it must still stay on, or off [s].
    taper_wh : float
        Over the last so many Wh before full, the current falls in a straight line; 0 for no taper.
    discharge_max_a : scalar or (n_step,)
        Most it may feed back [A]; 0 where it cannot.
    discharge_room_wh : float
        How far below its present state it may be discharged [Wh].
    discharge_efficiency_ratio, discharge_price_per_kwh : float
        Losses and wear of feeding back.
    kept_a : float
        What the vehicle that takes the place of this one may draw unheard [A]; see ``CircuitLimits.lasting_a``.
    """

    id: str
    circuit: str
    session_id: str | None = None
    phases: tuple[int, ...] = (1, 2, 3)
    line_to_line: bool = False
    voltage_v: float = NOMINAL_VOLTAGE_V
    min_a: float = MINIMUM_CURRENT_A
    max_a: ArrayLike = 32.0
    step_a: float = 1.0
    pilots_a: tuple[float, ...] | None = None
    arrival: datetime | None = None
    departure: datetime | None = None
    wanted_wh: float | None = None
    must_wh: float = 0.0
    must_by: datetime | None = None
    full_wh: float | None = None
    delivered_wh: float = 0.0
    efficiency_ratio: float = 1.0
    priority: int = 0
    guaranteed_w: float = 0.0
    pause_ok: bool = True
    previous_a: ArrayLike | None = None
    keep_on_s: float = 0.0
    keep_off_s: float = 0.0
    taper_wh: float = 0.0
    discharge_max_a: ArrayLike = 0.0
    discharge_room_wh: float = 0.0
    discharge_efficiency_ratio: float = 0.95
    discharge_price_per_kwh: float = 0.0
    kept_a: float = 0.0

    @property
    def w_per_a(self) -> float:
        """Power [W] of 1 A per phase."""
        return self.voltage_v * (1 if self.line_to_line else len(self.phases))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatteryAt:
    """A stationary battery and the label of the circuit it hangs on; see ``StationaryBattery`` for the rest."""

    id: str
    circuit: str
    max_charge_w: float
    max_discharge_w: float
    stored_wh: float
    capacity_wh: float
    min_wh: float = 0.0
    charge_efficiency_ratio: float = 0.95
    discharge_efficiency_ratio: float = 0.95
    end_value_per_kwh: float | None = None


def build_problem(
    grid: TimeGrid,
    *,
    circuits: Sequence[CircuitLimits],
    requests: Sequence[ChargingRequest],
    money: SiteMoney | None = None,
    batteries: Sequence[BatteryAt] = (),
) -> AllocationProblem:
    """Return the problem of a site.

    Parameters
    ----------
    grid : TimeGrid
    circuits : sequence of CircuitLimits
    requests : sequence of ChargingRequest
    money : SiteMoney, optional
        ``None`` means that energy costs nothing here (``build_money`` makes one from scalars and series).
    batteries : sequence of BatteryAt

    Raises
    ------
    ValueError
        If a label is unknown or double, a shape does not fit the grid, or a number lies outside its range.
    """
    circuit_arrays = _circuit_arrays(grid, circuits)
    index = {label: i for i, label in enumerate(circuit_arrays.ids)}
    return AllocationProblem(
        grid=grid,
        circuits=circuit_arrays,
        evses=_evse_arrays(grid, requests, index),
        money=money if money is not None else build_money(grid, side_load_a=circuit_arrays.side_load_a),
        batteries=tuple(_battery(item, index) for item in batteries),
    )


def build_money(  # noqa: PLR0913 - keywords with defaults, one per term of a tariff
    grid: TimeGrid,
    *,
    import_price_per_kwh: ArrayLike = 0.0,
    export_price_per_kwh: ArrayLike = 0.0,
    site_load_w: ArrayLike | None = None,
    side_load_a: FloatArray | None = None,
    curtailable_w: ArrayLike = 0.0,
    export_limit_w: ArrayLike | None = None,
    carbon_g_per_kwh: ArrayLike | None = None,
    carbon_price_per_kg: float = 0.0,
    demand_charges: Iterable[DemandCharge] = (),
) -> SiteMoney:
    """Return prices and loads spread over the grid; ``site_load_w`` falls back to ``side_load_a`` at 230 V."""
    steps = len(grid)
    if site_load_w is None:
        total_a = np.zeros(steps) if side_load_a is None else side_load_a.sum(axis=(0, 1))
        site_load_w = total_a * NOMINAL_VOLTAGE_V
    return SiteMoney(
        import_price_per_kwh=spread(import_price_per_kwh, (steps,), "import_price_per_kwh"),
        export_price_per_kwh=spread(export_price_per_kwh, (steps,), "export_price_per_kwh"),
        site_load_w=spread(site_load_w, (steps,), "site_load_w"),
        curtailable_w=spread(curtailable_w, (steps,), "curtailable_w"),
        export_limit_w=None if export_limit_w is None else spread(export_limit_w, (steps,), "export_limit_w"),
        carbon_g_per_kwh=None if carbon_g_per_kwh is None else spread(carbon_g_per_kwh, (steps,), "carbon_g_per_kwh"),
        carbon_price_per_kg=carbon_price_per_kg,
        demand_charges=tuple(demand_charges),
    )


def _circuit_arrays(grid: TimeGrid, circuits: Sequence[CircuitLimits]) -> CircuitArrays:
    steps, count = len(grid), len(circuits)
    index = {item.id: i for i, item in enumerate(circuits)}
    limit_a, side_load_a = np.zeros((count, PHASES, steps)), np.zeros((count, PHASES, steps))
    limit_w, w_applies = np.zeros((count, steps)), np.zeros((count, steps), dtype=bool)
    a_applies = np.zeros((count, PHASES, steps), dtype=bool)
    lasting_a = np.array([item.lasting_a for item in circuits], dtype=np.float64).reshape(count, PHASES)
    lasting_w = np.array([item.lasting_w for item in circuits], dtype=np.float64)
    for i, item in enumerate(circuits):
        if item.parent is not None and item.parent not in index:
            raise ValueError(f"parent of circuit {item.id} must be one of the circuits, got {item.parent!r}")
        side_load_a[i] = spread(item.side_load_a, (PHASES, steps), f"side_load_a of {item.id}")
        if item.limit_a is not None:
            limit_a[i] = spread(item.limit_a, (PHASES, steps), f"limit_a of {item.id}")
            a_applies[i] = True
        if item.limit_w is not None:
            limit_w[i] = spread(item.limit_w, (steps,), f"limit_w of {item.id}")
            w_applies[i] = True if item.limit_w_applies is None else item.limit_w_applies
    return CircuitArrays(
        ids=tuple(item.id for item in circuits),
        parents=tuple(None if item.parent is None else index[item.parent] for item in circuits),
        limit_a=limit_a,
        limit_a_applies=a_applies,
        limit_w=limit_w,
        limit_w_applies=w_applies,
        side_load_a=side_load_a,
        lasting_a=np.nan_to_num(lasting_a),
        lasting_a_applies=~np.isnan(lasting_a),
        lasting_w=np.nan_to_num(lasting_w),
        lasting_w_applies=~np.isnan(lasting_w),
        unbalance_a=tuple(item.unbalance_a for item in circuits),
        neutral_limit_a=tuple(item.neutral_limit_a for item in circuits),
        transformer_ratio=tuple(item.transformer_ratio for item in circuits),
        scarce=tuple(item.scarce for item in circuits),
    )


_NUMBERS = attrgetter(*EVSE_NUMBERS)


def _evse_arrays(grid: TimeGrid, requests: Sequence[ChargingRequest], index: dict[str, int]) -> EvseArrays:
    steps, count, ids = len(grid), len(requests), tuple(r.id for r in requests)
    for item in requests:
        require_sound(item)
    offsets_s = np.array(grid.offsets_s, dtype=np.float64)
    stays = [_stay_s(grid, item) for item in requests]
    presence = presence_ratio(offsets_s, np.array(stays, dtype=np.float64).reshape(count, 2))
    max_a = np.array([spread(r.max_a, (steps,), f"max_a of {r.id}") for r in requests]).reshape(count, steps)
    discharge_max_a = np.array([spread(r.discharge_max_a, (steps,), f"discharge_max_a of {r.id}") for r in requests])
    discharge_max_a = discharge_max_a.reshape(count, steps)
    previous = [
        spread(0.0 if r.previous_a is None else r.previous_a, (steps,), f"previous_a of {r.id}") for r in requests
    ]
    for name, amps in (("max_a", max_a), ("discharge_max_a", discharge_max_a)):
        require_range(name, amps, ids, low=0.0, high=MOST_A)
    max_a[presence <= 0.0] = 0.0
    numbers = np.array([_NUMBERS(r) for r in requests], dtype=np.float64).reshape(count, len(EVSE_NUMBERS)).T
    columns = dict(zip(EVSE_NUMBERS, np.ascontiguousarray(numbers), strict=True))
    w_per_a, efficiency = columns["w_per_a"], columns["efficiency_ratio"]
    reach_wh = ((w_per_a * efficiency)[:, None] * presence * max_a * np.array(grid.hours)).sum(axis=1)
    return EvseArrays(
        ids=ids,
        session_ids=tuple(r.id if r.session_id is None else r.session_id for r in requests),
        circuit=np.array([_known_circuit(r.id, r.circuit, index) for r in requests], dtype=np.int64),
        on_phase=np.array([_on_phase(r) for r in requests], dtype=bool).reshape(count, PHASES),
        line_to_line=np.array([r.line_to_line for r in requests], dtype=bool),
        max_a=max_a,
        presence_ratio=presence,
        pilots_a=tuple(r.pilots_a for r in requests),
        need_wh=np.array([_need_wh(r, reach) for r, reach in zip(requests, reach_wh, strict=True)]).reshape(count, 3),
        priority=np.array([r.priority for r in requests], dtype=np.int64),
        pause_ok=np.array([r.pause_ok for r in requests], dtype=bool),
        arrival_s=np.array([stay[0] for stay in stays], dtype=np.float64),
        departure_s=np.array([stay[1] for stay in stays], dtype=np.float64),
        must_by_s=np.array(
            [_must_by_s(grid, r, stay) for r, stay in zip(requests, stays, strict=True)], dtype=np.float64
        ),
        departure_known=np.array([r.departure is not None for r in requests], dtype=bool),
        previous_a=np.array(previous).reshape(count, steps),
        has_previous=np.array([r.previous_a is not None for r in requests], dtype=bool),
        discharge_max_a=discharge_max_a * (presence > 0.0),
        **columns,
    )


def _stay_s(grid: TimeGrid, item: ChargingRequest) -> tuple[float, float]:
    arrival_s, departure_s = 0.0, float(grid.offsets_s[-1])
    arrival, departure = item.arrival, item.departure
    if arrival is not None:
        arrival_s = (require_utc(arrival, name=f"arrival of {item.id}") - grid.start).total_seconds()
    if departure is not None:
        departure_s = (require_utc(departure, name=f"departure of {item.id}") - grid.start).total_seconds()
        require_stay(item.id, start=grid.start, arrival=arrival, departure=departure)
    elif departure_s < arrival_s:
        departure_s = arrival_s
    return arrival_s, departure_s


def _must_by_s(grid: TimeGrid, item: ChargingRequest, stay_s: tuple[float, float]) -> float:
    if item.must_by is None:
        return stay_s[1]
    by = require_utc(item.must_by, name=f"must_by of {item.id}")
    by_s = (by - grid.start).total_seconds()
    if by_s < max(stay_s[0], 0.0):
        raise ValueError(
            f"must_by of {item.id} must not lie before its arrival or the plan's start, got {by.isoformat()}"
        )
    return min(by_s, stay_s[1])


def _on_phase(item: ChargingRequest) -> list[bool]:
    if not item.phases or len(set(item.phases)) != len(item.phases) or not set(item.phases) <= {1, 2, 3}:
        raise ValueError(f"phases of {item.id} must be 1 to 3 different ones of 1, 2, 3, got {item.phases}")
    if item.line_to_line and len(item.phases) != 2:
        raise ValueError(f"phases of {item.id} must be two for a line-to-line load, got {item.phases}")
    return [phase in item.phases for phase in (1, 2, 3)]


def _need_wh(item: ChargingRequest, reach_wh: float) -> tuple[float, float, float]:
    """Return must, wanted and full, each including the one before.

    An unknown need has nothing in ``wanted``: it is served as far as there is power that nobody asked for by name.
    """
    if item.wanted_wh is None:
        full_wh = max(reach_wh, item.must_wh) if item.full_wh is None else item.full_wh
        return item.must_wh, item.must_wh, full_wh
    return item.must_wh, item.wanted_wh, item.wanted_wh if item.full_wh is None else item.full_wh


def _known_circuit(label: str, circuit: str, index: dict[str, int]) -> int:
    if circuit not in index:
        raise ValueError(f"circuit of {label} must be one of the circuits, got {circuit!r}")
    return index[circuit]


def _battery(item: BatteryAt, index: dict[str, int]) -> StationaryBattery:
    values = {name: getattr(item, name) for name in BatteryAt.__dataclass_fields__ if name != "circuit"}
    return StationaryBattery(circuit=_known_circuit(item.id, item.circuit, index), **values)
