"""Runs in steps: a strategy decides at each step and at each arrival, and vehicles charge in closed form in between.

Rules kept here
---------------
1. Currents hold from one decision to the next; a vehicle leaves when it leaves, in the middle of a step too.
2. A strategy sees what was said, and what anybody can see; truth decides what is charged.
3. Every decision's draw is booked against the rows of the network: what is too much is an excursion, whoever caused it.
"""

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from loadmgr.model.series import TimeGrid
from loadmgr.model.topology import Phase
from loadmgr.model.units import CURRENT_TOLERANCE_A, POWER_TOLERANCE_W
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.battery_bank import BatteryBank
from loadmgr.sim.crowd import Crowd, FloatArray
from loadmgr.sim.ledger import Excursion
from loadmgr.sim.outcome import Stay
from loadmgr.sim.slot_network import SlotNetwork
from loadmgr.sim.strategies import Strategy
from loadmgr.sim.world_plan import WorldPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotOptions:
    """How a run in steps goes.

    Parameters
    ----------
    step_s : int
        Length of a step [s].
    decide_at_arrivals : bool
        Decide at each arrival besides; else an arriving vehicle waits for the next step.
    stay_s, need_wh : float
        What strategies expect of a vehicle of which nobody said anything [s], [Wh].
    """

    step_s: int = 900
    decide_at_arrivals: bool = True
    stay_s: float = 8 * 3600.0
    need_wh: float = 15_000.0

    def __post_init__(self) -> None:
        if self.step_s <= 0 or 86_400 % self.step_s:
            raise ValueError(f"step_s must divide a day, got {self.step_s}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlotResult:
    """What came of a run.

    Parameters
    ----------
    energy_wh : (n_evse, n_step)
        What each EVSE delivered in each step [Wh].
    battery_wh : (n_step,)
        What all batteries took from the site in each step [Wh], + charges.
    decisions : int
        How often the strategy was asked.
    """

    energy_wh: FloatArray
    battery_wh: FloatArray
    stays: tuple[Stay, ...]
    excursions: tuple[Excursion, ...]
    decisions: int


class SlotRun:
    """One run.

    Parameters
    ----------
    plan : WorldPlan
    grid : TimeGrid
        The steps, all of the same length but for the last.
    network : SlotNetwork
    strategy : Strategy
    options : SlotOptions
    bank : BatteryBank
        The batteries; a strategy that knows of them tells them what to do.
    ideal : bool
        Vehicles take any current until they are full: for bounds.

    Attributes
    ----------
    energy_wh : (n_step, n_evse)
        What each EVSE has delivered in each step so far [Wh].
    battery_wh : (n_step,)
        What all batteries have taken in each step so far [Wh], + charges.
    """

    def __init__(
        self,
        plan: WorldPlan,
        grid: TimeGrid,
        *,
        network: SlotNetwork,
        strategy: Strategy,
        options: SlotOptions,
        bank: BatteryBank,
        ideal: bool = False,
    ) -> None:
        self._plan = plan
        self._offsets_s = grid.offsets_s
        self._network = network
        self._strategy = strategy
        self._options = options
        self._ideal = ideal
        self._bank = bank
        self._crowd = Crowd(plan.site.evses, voltage_v=plan.site.voltage_v)
        self._row_of = {evse.id: row for row, evse in enumerate(plan.site.evses)}
        self.energy_wh: FloatArray = np.zeros((len(grid), len(plan.site.evses)))
        self.battery_wh: FloatArray = np.zeros(len(grid))
        self._stays: list[Stay] = []
        self._by_promise_wh: dict[str, float] = {}
        self._promises: list[tuple[float, int, Visit]] = []
        self._book = RowBook(plan, network)

    def run(self, *, progress: Callable[[float], None] | None = None) -> SlotResult:
        """Run to the end.

        Parameters
        ----------
        progress : callable, optional
            Told the simulated seconds that are over, after each step.
        """
        visits = self._plan.arrivals.visits
        end_s = float(self._offsets_s[-1])
        instants = self._instants(visits)
        upcoming, step = 0, 0
        for index, now_s in enumerate(instants):
            until_s = instants[index + 1] if index + 1 < len(instants) else end_s
            if now_s >= self._offsets_s[step + 1]:
                if progress is not None:
                    progress(now_s)
                step = bisect.bisect_right(self._offsets_s, now_s) - 1
            self._leave(now_s)
            while upcoming < len(visits) and visits[upcoming].arrival_s <= now_s:
                self._arrive(visits[upcoming], now_s)
                upcoming += 1
            self._charge(step, now_s, until_s)
        self._leave(end_s)
        for row in np.flatnonzero(self._crowd.present).tolist():
            self._end_stay(row, over=False)
        return SlotResult(
            energy_wh=np.ascontiguousarray(self.energy_wh.T),
            battery_wh=self.battery_wh,
            stays=tuple(self._stays),
            excursions=self._book.excursions(end_s),
            decisions=len(instants),
        )

    def _instants(self, visits: tuple[Visit, ...]) -> list[float]:
        steps = [float(offset_s) for offset_s in self._offsets_s[:-1]]
        if not self._options.decide_at_arrivals:
            return steps
        return sorted({*steps, *(visit.arrival_s for visit in visits)})

    def _arrive(self, visit: Visit, now_s: float) -> None:
        row = self._row_of[visit.evse.id]
        if visit.departure_s <= now_s:  # came and went between two decisions
            self._stays.append(Stay(visit=visit, energy_wh=0.0, energy_by_promise_wh=0.0, over=True))
            return
        departs_s, wanted_wh = visit.arrival_s + self._options.stay_s, self._options.need_wh
        if visit.said is not None:
            departs_s = visit.promised_s
            wanted_wh = visit.asked_wh if visit.said.need is None else visit.said.need.wanted_wh
        self._crowd.plug(row, visit, said_departure_s=departs_s, said_wh=wanted_wh)
        if self._ideal:
            self._crowd.idealise(row)
        self._network.stand(row, visit.evse, visit.vehicle.phases)
        if visit.promised_s < visit.departure_s:
            bisect.insort(self._promises, (visit.promised_s, row, visit), key=lambda p: (p[0], p[1]))

    def _leave(self, now_s: float) -> None:
        crowd = self._crowd
        if crowd.departure_s.min() <= now_s:
            for row in np.flatnonzero(crowd.departure_s <= now_s).tolist():
                self._end_stay(row, over=True)

    def _end_stay(self, row: int, *, over: bool) -> None:
        visit = self._crowd.visits[row]
        assert visit is not None
        energy_wh = self._crowd.unplug(row)
        by_promise_wh = self._by_promise_wh.pop(visit.session_id, energy_wh)
        self._stays.append(Stay(visit=visit, energy_wh=energy_wh, energy_by_promise_wh=by_promise_wh, over=over))

    def _charge(self, step: int, now_s: float, until_s: float) -> None:
        crowd = self._crowd
        if not self._book.busy and not len(self._bank) and not crowd.worth_asking.any():
            return  # what was promised to those that are full can wait: it does not change any more
        current_a = self._strategy.currents_a(
            crowd, now_s=now_s, seconds=until_s - now_s, room=self._network.room[step]
        )
        drawn_a = crowd.power_w(current_a) / crowd.w_per_a
        if len(self._bank):
            self.battery_wh[step] += float(self._bank.follow(until_s - now_s).sum())
        self._book.enter(now_s, step=step, drawn_a=drawn_a, battery_w=self._bank.wanted_w)
        while self._promises and self._promises[0][0] < until_s:
            due_s, row, visit = self._promises.pop(0)
            if crowd.visits[row] is visit:
                so_far_wh = crowd.taken_wh(current_a, np.full(len(current_a), max(due_s - now_s, 0.0)))[row]
                ratio = visit.vehicle.round_trip_ratio if so_far_wh < 0.0 else 1.0
                self._by_promise_wh[visit.session_id] = float(crowd.energy_wh[row] + so_far_wh / ratio)
        seconds = np.minimum(crowd.departure_s, until_s) - now_s
        self.energy_wh[step] += crowd.charge(current_a, seconds)


class RowBook:
    """Books the load of each row against its limit, decision by decision."""

    def __init__(self, plan: WorldPlan, network: SlotNetwork) -> None:
        self._plan = plan
        self._network = network
        self._open: dict[int, tuple[float, float, float]] = {}  # row: since [s], peak and limit with what else flows
        self._closed: list[Excursion] = []

    @property
    def busy(self) -> bool:
        """Whether an excursion goes on."""
        return bool(self._open)

    def enter(self, now_s: float, *, step: int, drawn_a: FloatArray, battery_w: FloatArray) -> None:
        """Take note of what EVSEs [A per phase] and batteries [W] draw from now on."""
        loads = self._network.loads(drawn_a, battery_w)
        room = self._network.room[step]
        over = loads > room + CURRENT_TOLERANCE_A
        if not self._open and not over.any():
            return
        for row in np.flatnonzero(over).tolist():
            since_s, peak, _ = self._open.get(row, (now_s, -math.inf, 0.0))
            limit = self._limit(row)
            excess = float(loads[row] - room[row])
            if self._network.rows.names[row].kind == "power" and excess <= POWER_TOLERANCE_W:
                continue
            self._open[row] = (since_s, max(peak, limit + excess), limit)
        for row in [row for row in self._open if not over[row]]:
            self._closed.append(self._excursion(row, now_s))
            del self._open[row]

    def excursions(self, now_s: float) -> tuple[Excursion, ...]:
        """Return all of them, those still open up to now."""
        return (*self._closed, *(self._excursion(row, now_s) for row in self._open))

    def _limit(self, row: int) -> float:
        name = self._network.rows.names[row]
        circuit = self._plan.site.circuits[name.circuit]
        limit = circuit.limit_w if name.phase is None else circuit.limit_a[name.phase - 1]
        return math.inf if limit is None else limit

    def _excursion(self, row: int, end_s: float) -> Excursion:
        name = self._network.rows.names[row]
        circuit = self._plan.site.circuits[name.circuit]
        since_s, peak, limit = self._open[row]
        return Excursion(
            circuit=circuit.id,
            phase=None if name.phase is None else Phase(name.phase - 1),
            start=self._when(since_s),
            end=self._when(end_s),
            over_s=end_s - since_s,
            peak=peak,
            limit=limit,
            rated_a=None if name.phase is None else circuit.rated_a[name.phase - 1],
            cause="what vehicles were given came to more than was left",
        )

    def _when(self, now_s: float) -> datetime:
        return self._plan.start + timedelta(seconds=now_s)
