"""The linear program as a strategy: over the coming hours again and again, or over a whole run at once."""

import bisect
import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from loadmgr.allocation import (
    AllocationOptions,
    AllocationProblem,
    Allocator,
    ChargingRequest,
    DemandCharge,
    SiteMoney,
    allocate,
    build_money,
    build_problem,
)
from loadmgr.control.planning.deadline import is_urgent, ready_by, with_finish_wh
from loadmgr.control.planning.network import battery_at
from loadmgr.model.carbon import intensity_g_per_kwh
from loadmgr.model.ids import SessionId
from loadmgr.model.series import TimeGrid
from loadmgr.model.session import DischargeTerms
from loadmgr.model.tariff import Tariff, export_prices, prices
from loadmgr.model.topology import Evse
from loadmgr.model.units import CURRENT_TOLERANCE_A, SECONDS_PER_HOUR
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.battery_bank import BatteryBank
from loadmgr.sim.crowd import Crowd, FloatArray, IntArray
from loadmgr.sim.slot_network import SlotNetwork

BEYOND_WH = 10_000.0
"""What a vehicle that has what was said, and still draws, may take beyond when there is room [Wh]."""


NEVER = DischargeTerms(max_a=0.0)
"""Terms of a vehicle that is never discharged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """How far a program looks, and how early it wants to be ready.

    Parameters
    ----------
    single, groups, group : int
        So many steps of the run one by one, then so many groups of ``group`` steps.
    margin_s, margin_ratio : float
        A plan is ready this long before the departure that was said [s], and earlier by this share of the time that is
        yet to be charged (:mod:`loadmgr.control.planning.deadline`). Two steps, so that one can still be lost; half of
        the time, because nobody says how a battery tapers (measured on the sample depot, whose buses take less and less
        from half full: 337 of 338 promises instead of 331 with a quarter, for 2 % less money).
    urgent_s : float
        Who has less time to spare than this goes first [s]: what the others miss now they can still get later.
    """

    single: int = 16
    groups: int = 20
    group: int = 4
    margin_s: float = 1800.0
    margin_ratio: float = 0.5
    urgent_s: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """What is known before of the steps of a run.

    Parameters
    ----------
    price_per_kwh, export_per_kwh : (n_step,)
        All-in price of import, and what export earns.
    background_w : (n_step,)
        Mean load beside vehicles [W].
    demand : tuple of (price_per_kw, window_s)
        Charges on the highest mean of a window, tax included.
    carbon_per_kwh : (n_step,)
        What the carbon dioxide of imported energy counts in plans beside its price.
    """

    price_per_kwh: FloatArray
    export_per_kwh: FloatArray
    background_w: FloatArray
    demand: tuple[tuple[float, int], ...]
    carbon_per_kwh: FloatArray


def outlook(tariff: Tariff, grid: TimeGrid, *, background_w: tuple[float, ...]) -> Outlook:
    """Return what a tariff and the background mean for the steps of a run.

    Raises
    ------
    ValueError
        If the tariff has no price for a part of the run.
    """
    return Outlook(
        price_per_kwh=np.array(prices(tariff, grid)),
        export_per_kwh=np.array(export_prices(tariff, grid)),
        background_w=np.array(background_w),
        demand=tuple((d.price_per_kw * (1.0 + tariff.tax_ratio), d.window_s) for d in tariff.demand),
        carbon_per_kwh=_carbon_per_kwh(tariff, grid),
    )


def _carbon_per_kwh(tariff: Tariff, grid: TimeGrid) -> FloatArray:
    if tariff.carbon is None:
        return np.zeros(len(grid))
    return np.array(intensity_g_per_kwh(tariff.carbon, grid)) / 1000.0 * tariff.carbon.price_per_kg


class Program:
    """Plans the coming hours at each decision and does the first step of the plan.

    Parameters
    ----------
    network : SlotNetwork
    grid : TimeGrid
        The steps of the run.
    known : Outlook
    horizon : Horizon
    bank : BatteryBank
        Stationary batteries, told what to do with every plan.
    """

    def __init__(
        self, network: SlotNetwork, grid: TimeGrid, known: Outlook, *, horizon: Horizon, bank: BatteryBank
    ) -> None:
        self._bank = bank
        self._network = network
        self._grid = grid
        self._offsets_s = grid.offsets_s
        self._known = known
        self._horizon = horizon
        self._allocator = Allocator(AllocationOptions(policy="least_missing", command_steps=1, milp_evses=0))
        self._energy_wh: FloatArray | None = None
        self._battery_wh: FloatArray = np.zeros(len(grid))
        evses = network.site.evses
        self._step_a = np.array([evse.step_a for evse in evses])
        self._offered: tuple[FloatArray, tuple[Visit | None, ...]] = (np.zeros(len(evses)), (None,) * len(evses))
        self._per_day = max(1, round(86_400 / grid.durations_s[0]))

    def watch(self, energy_wh: FloatArray, battery_wh: FloatArray) -> None:
        """Know what vehicles ``(n_step, n_evse)`` and batteries ``(n_step,)`` take, as it is booked."""
        self._energy_wh, self._battery_wh = energy_wh, battery_wh

    def currents_a(self, crowd: Crowd, *, now_s: float, seconds: float, room: FloatArray) -> FloatArray:
        """Return the first step of a fresh plan."""
        out = np.zeros(len(crowd.present))
        rows = np.flatnonzero(crowd.worth_asking)
        if not rows.size and not len(self._bank):
            return out
        step = bisect.bisect_right(self._offsets_s, now_s) - 1
        now = self._grid.start + timedelta(seconds=now_s)
        grid, spans = self._look_ahead(step, now, now_s)
        steps = np.concatenate([np.arange(first, last) for first, last in spans])
        starts = np.cumsum([0, *(last - first for first, last in spans[:-1])])
        wrapped = self._wrapped(steps)
        side_load_a = {
            circuit: np.maximum.reduceat(side[:, wrapped], starts, axis=1)
            for circuit, side in self._network.side_load_a.items()
        }
        most_a = self._most_a(crowd)
        requests = [self._request(crowd, row, now=now, now_s=now_s, most_a=float(most_a[row])) for row in rows.tolist()]
        problem = build_problem(
            grid,
            circuits=self._network.circuits(side_load_a),
            requests=requests,
            money=self._money(grid, wrapped, starts, charges=self._charges(step, now_s)),
            batteries=[battery_at(battery) for battery in self._bank.now()],
        )
        plan = self._allocator.allocate(problem)
        out[rows] = plan.current_a[:, 0]
        self._bank.wanted_w = plan.battery_w[:, 0]
        self._offered = (out, tuple(crowd.visits))
        return out

    def _look_ahead(self, step: int, now: datetime, now_s: float) -> tuple[TimeGrid, list[tuple[int, int]]]:
        """Return the grid of a plan, and for each of its steps the first and one past the last step of the run."""
        spans = [(step, step + 1)]
        for _ in range(self._horizon.single):
            spans.append((spans[-1][1], spans[-1][1] + 1))
        for _ in range(self._horizon.groups):
            spans.append((spans[-1][1], spans[-1][1] + self._horizon.group))
        step_s = self._grid.durations_s[0]
        first_s = max(round(self._offsets_s[step + 1] - now_s), 1)
        durations = [first_s, *((last - first) * step_s for first, last in spans[1:])]
        return TimeGrid(now, tuple(durations)), spans

    def _wrapped(self, steps: IntArray) -> IntArray:
        """Return steps of the run; those beyond its end as on its last day."""
        last = len(self._offsets_s) - 1
        beyond = steps >= last
        days = (steps - last) // self._per_day + 1
        return np.asarray(np.clip(np.where(beyond, steps - days * self._per_day, steps), 0, last - 1))

    def _money(self, grid: TimeGrid, wrapped: IntArray, starts: IntArray, *, charges: list[DemandCharge]) -> SiteMoney:
        sizes = np.diff([*starts, len(wrapped)])
        known = self._known
        means = [
            np.add.reduceat(values[wrapped], starts) / sizes
            for values in (known.price_per_kwh, known.export_per_kwh, known.background_w, known.carbon_per_kwh)
        ]
        return build_money(
            grid,
            import_price_per_kwh=means[0],
            export_price_per_kwh=means[1],
            site_load_w=means[2],
            carbon_g_per_kwh=means[3] * 1000.0,
            carbon_price_per_kg=1.0 if known.carbon_per_kwh.any() else 0.0,
            demand_charges=charges,
        )

    def _charges(self, step: int, now_s: float) -> list[DemandCharge]:
        """Return the demand charges with the peak so far, and the energy of the window that is running."""
        known, offsets_s = self._known, self._offsets_s
        if not known.demand or self._energy_wh is None:
            return []
        lengths_h = np.diff(offsets_s[: step + 2]) / SECONDS_PER_HOUR
        taken_wh = self._energy_wh[: step + 1].sum(axis=1) + self._battery_wh[: step + 1]
        drawn_wh = taken_wh + known.background_w[: step + 1] * lengths_h
        running_wh = float(taken_wh[step] + known.background_w[step] * (now_s - offsets_s[step]) / SECONDS_PER_HOUR)
        charges = []
        for price, window_s in known.demand:
            per_window = max(1, round(window_s / self._grid.durations_s[0]))
            begun = step - step % per_window
            whole = drawn_wh[:begun].reshape(-1, per_window).sum(axis=1) if begun else np.zeros(1)
            charges.append(
                DemandCharge(
                    price_per_kw=price,
                    window_s=window_s,
                    peak_so_far_w=max(float(whole.max()) * SECONDS_PER_HOUR / window_s, 0.0),
                    running_energy_wh=float(drawn_wh[begun:step].sum()) + running_wh,
                )
            )
        return charges

    def _most_a(self, crowd: Crowd) -> FloatArray:
        """Return the most that each is worth offering [A]: little more than it took of what it was last offered."""
        offered_a, before = self._offered
        drawn_a = crowd.power_w(offered_a) / crowd.w_per_a
        same = np.array([now is then for now, then in zip(crowd.visits, before, strict=True)])
        seen = same & (offered_a > 0.0) & (drawn_a < offered_a - CURRENT_TOLERANCE_A)
        taken_a = np.floor(drawn_a / self._step_a) * self._step_a + self._step_a
        return np.where(seen, np.minimum(np.maximum(taken_a, crowd.min_a), crowd.max_a), crowd.max_a)

    def _request(self, crowd: Crowd, row: int, *, now: datetime, now_s: float, most_a: float) -> ChargingRequest:
        visit, evse = crowd.visits[row], crowd.evses[row]
        assert visit is not None
        delivered_wh, left_s = float(crowd.energy_wh[row]), float(crowd.said_departure_s[row]) - now_s
        wanted_wh = with_finish_wh(float(crowd.said_wh[row]), delivered_wh=delivered_wh)
        most_w = most_a * float(crowd.w_per_a[row])
        departure = now + timedelta(seconds=left_s)
        urgent = is_urgent(departure, now=now, wanted_wh=wanted_wh, most_w=most_w, urgent_s=self._horizon.urgent_s)
        ask = _Ask(
            wanted_wh=wanted_wh,
            delivered_wh=delivered_wh,
            departure=ready_by(
                departure,
                now=now,
                wanted_wh=wanted_wh,
                most_w=most_w,
                margin_s=self._horizon.margin_s,
                margin_ratio=self._horizon.margin_ratio,
                late_s=float(self._grid.durations_s[0]),
            ),
            full_wh=None if wanted_wh > 0.0 else BEYOND_WH,
            most_a=most_a,
            priority=int(urgent),
        )
        return _request(visit, evse, ask, voltage_v=self._network.site.voltage_v)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """What is asked for a vehicle now, beside what it is; ``most_a`` is the most worth offering [A per phase]."""

    wanted_wh: float
    departure: datetime
    delivered_wh: float = 0.0
    full_wh: float | None = None
    most_a: float = math.inf
    priority: int = 0


def _request(visit: Visit, evse: Evse, ask: _Ask, *, voltage_v: float) -> ChargingRequest:
    vehicle, terms = visit.vehicle, None if visit.said is None else visit.said.discharge
    if terms is None or evse.discharge_a <= 0.0:
        terms = NEVER
    phases = evse.phases[: min(vehicle.phases, len(evse.phases))]
    max_a = min(vehicle.max_a, evse.max_a)
    if vehicle.max_w is not None:
        max_a = min(max_a, vehicle.max_w / (voltage_v * len(phases)))
    return ChargingRequest(
        id=evse.id,
        session_id=visit.session_id,
        circuit=evse.circuit,
        phases=tuple(int(phase) + 1 for phase in phases),
        voltage_v=voltage_v,
        min_a=min(vehicle.min_a, max_a),
        max_a=max_a if math.isinf(ask.most_a) else ask.most_a,
        step_a=evse.step_a,
        departure=ask.departure,
        wanted_wh=ask.wanted_wh,
        delivered_wh=max(0.0, ask.delivered_wh),
        full_wh=ask.full_wh,
        priority=ask.priority,
        discharge_max_a=min(terms.max_a, evse.discharge_a),
        discharge_room_wh=terms.room_left_wh(ask.delivered_wh, state_of_charge_ratio=None),
        discharge_efficiency_ratio=terms.efficiency_ratio,
        discharge_price_per_kwh=terms.price_per_kwh,
    )


def whole_run_problem(
    network: SlotNetwork, grid: TimeGrid, known: Outlook, *, visits: tuple[Visit, ...], bank: BatteryBank
) -> AllocationProblem:
    """Return the problem of a whole run with every arrival, departure and energy known; see :class:`Optimum`."""
    requests = [
        replace(
            _request(
                visit,
                network.site.evse_by_id[visit.evse.id],
                _Ask(
                    wanted_wh=visit.asked_wh,
                    departure=grid.start + timedelta(seconds=min(visit.departure_s, visit.promised_s)),
                ),
                voltage_v=network.site.voltage_v,
            ),
            id=visit.session_id,
            arrival=grid.start + timedelta(seconds=visit.arrival_s),
            min_a=0.0,
        )
        for visit in visits
    ]
    charges = [DemandCharge(price_per_kw=price, window_s=window_s) for price, window_s in known.demand]
    money = build_money(
        grid,
        import_price_per_kwh=known.price_per_kwh,
        export_price_per_kwh=known.export_per_kwh,
        site_load_w=known.background_w,
        carbon_g_per_kwh=known.carbon_per_kwh * 1000.0,
        carbon_price_per_kg=1.0 if known.carbon_per_kwh.any() else 0.0,
        demand_charges=charges,
    )
    return build_problem(
        grid,
        circuits=network.circuits(network.side_load_a),
        requests=requests,
        money=money,
        batteries=[battery_at(battery) for battery in bank.batteries],
    )


class Optimum:
    """One plan for the whole run, with every arrival, departure and energy known before.

    Minimum currents, steps of stations and tapers are left out: it is the bound that no strategy can pass.

    Parameters
    ----------
    network : SlotNetwork
    grid : TimeGrid
    known : Outlook
    visits : tuple of Visit
    bank : BatteryBank
        Stationary batteries, told what to do in every step.
    """

    def __init__(
        self, network: SlotNetwork, grid: TimeGrid, known: Outlook, *, visits: tuple[Visit, ...], bank: BatteryBank
    ) -> None:
        self._bank = bank
        self._offsets_s = grid.offsets_s
        problem = whole_run_problem(network, grid, known, visits=visits, bank=bank)
        best = allocate(problem, options=AllocationOptions(command_steps=1, milp_evses=0))
        self._planned_a, self._battery_w = best.planned_a, best.battery_w
        self._row_of: dict[SessionId, int] = {visit.session_id: row for row, visit in enumerate(visits)}

    def currents_a(self, crowd: Crowd, *, now_s: float, seconds: float, room: FloatArray) -> FloatArray:
        """Return what the plan has for each vehicle now."""
        step = bisect.bisect_right(self._offsets_s, now_s) - 1
        self._bank.wanted_w = self._battery_w[:, step]
        return np.array([0.0 if v is None else self._planned_a[self._row_of[v.session_id], step] for v in crowd.visits])
