"""A plan: setpoints of every session over the grid, and how they were found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np

from loadmgr.allocation import Allocation
from loadmgr.allocation.money import StationaryBattery
from loadmgr.control.decision import Standing
from loadmgr.control.safety.assumption import standing_of
from loadmgr.control.state import SiteState
from loadmgr.model.ids import EvseId, TransactionId
from loadmgr.model.series import TimeGrid

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What was last planned.

    Parameters
    ----------
    made_at : datetime
    why : str
    grid : TimeGrid
    currents_a : dict
        Setpoints of each EVSE [A per phase], one for each step.
    transactions : dict
        The session that was planned at each EVSE.
    method : str
        How it was found: by the linear program, or filled.
    battery_w : dict
        Power of each stationary battery [W], one for each step; above 0 charges.
    """

    made_at: datetime
    why: str
    grid: TimeGrid
    currents_a: dict[EvseId, Floats]
    transactions: dict[EvseId, TransactionId]
    method: str
    battery_w: dict[str, Floats] = field(default_factory=dict)

    @property
    def first_step_ends(self) -> datetime:
        """When the second step begins, by when there should be a new plan."""
        return self.grid.start + timedelta(seconds=self.grid.durations_s[0])

    def charge_ah(self, evse: EvseId, *, after: datetime, until: datetime | None) -> Floats:
        """Return the charge per phase [Ah] that an EVSE is planned to have drawn by the end of each step.

        Parameters
        ----------
        after, until : datetime
            Only what flows between them counts; ``until`` may be open.
        """
        return np.asarray(np.cumsum(self.currents_a[evse] * _lengths_s(self.grid, after, until)) / 3600.0)

    def resampled_a(self, evse: EvseId, transaction: TransactionId, grid: TimeGrid) -> Floats | None:
        """Return the setpoints of a session on another grid [A]; ``None`` where it was not planned."""
        if self.transactions.get(evse) != transaction:
            return None
        shift_s = (grid.start - self.grid.start).total_seconds()
        starts_s = np.array(grid.offsets_s[:-1]) + shift_s
        steps = np.searchsorted(np.array(self.grid.offsets_s), starts_s, side="right") - 1
        return np.asarray(self.currents_a[evse][np.clip(steps, 0, len(self.grid) - 1)])

    def falls_of(self, evse: EvseId, current_a: float, *, now: datetime, within_s: float) -> list[tuple[float, float]]:
        """Return where the setpoints of an EVSE go below all before: seconds from now, and the setpoint [A].

        Parameters
        ----------
        current_a : float
            What it gets now.
        within_s : float
            Only steps that begin so soon count [s].
        """
        currents, falls = self.currents_a.get(evse), list[tuple[float, float]]()
        step = self.grid.index(now)
        if currents is None or step is None:
            return falls
        since_s = (now - self.grid.start).total_seconds()
        for offset_s, setpoint in zip(self.grid.offsets_s[step + 1 : -1], currents[step + 1 :], strict=True):
            if offset_s - since_s >= within_s:
                break
            if round(float(setpoint), 1) < current_a:
                current_a = round(float(setpoint), 1)
                falls.append((offset_s - since_s, current_a))
        return falls

    def rests(self, evse: EvseId, *, now: datetime, after_s: float, for_s: float) -> bool:
        """Return whether the setpoints of an EVSE are 0 from some seconds after now on, for so long [s]."""
        since_s = (now - self.grid.start).total_seconds() + after_s
        steps = zip(self.grid.offsets_s[:-1], self.grid.offsets_s[1:], self.currents_a[evse], strict=True)
        return all(
            setpoint <= 0.0 for start_s, end_s, setpoint in steps if start_s < since_s + for_s and end_s > since_s
        )

    def lowered(self, targets_a: Mapping[EvseId, float], now: datetime) -> "Plan":
        """Return the plan with no more than some setpoints [A] in the step of now."""
        step = self.grid.index(now) or 0
        currents = dict(self.currents_a)
        for evse, target in targets_a.items():
            if evse in currents and currents[evse][step] > target:
                currents[evse] = currents[evse].copy()
                currents[evse][step] = target
        return replace(self, currents_a=currents)


@lru_cache(maxsize=256)
def _lengths_s(grid: TimeGrid, after: datetime, until: datetime | None) -> Floats:
    """Return how much of each step lies between two instants [s]: every EVSE is asked about the same ones."""
    offsets_s = np.array(grid.offsets_s, dtype=float)
    low_s = (after - grid.start).total_seconds()
    high_s = offsets_s[-1] if until is None else (until - grid.start).total_seconds()
    inside_s = np.minimum(offsets_s[1:], high_s) - np.maximum(offsets_s[:-1], low_s)
    length_s: Floats = np.maximum(inside_s, 0.0)
    length_s.setflags(write=False)
    return length_s


def plan_of(
    allocation: Allocation, state: SiteState, *, batteries: Sequence[StationaryBattery] = (), why: str, now: datetime
) -> Plan:
    """Return the plan that an allocation makes."""
    currents = {EvseId(e): allocation.current_of(e) for e in allocation.evse_ids}
    sessions = {e: state.evses[e].charging for e in currents}
    return Plan(
        made_at=now,
        why=why,
        grid=allocation.grid,
        currents_a=currents,
        transactions={e: c.transaction for e, c in sessions.items() if c is not None},
        method=allocation.method,
        battery_w={b.id: powers for b, powers in zip(batteries, allocation.battery_w, strict=True)},
    )


def empty_plan(grid: TimeGrid, *, why: str, now: datetime) -> Plan:
    """Return the plan of a site where nobody can be given anything."""
    return Plan(made_at=now, why=why, grid=grid, currents_a={}, transactions={}, method="filled")


def targets_a(plan: Plan, state: SiteState, now: datetime) -> dict[EvseId, float]:
    """Return the setpoints of now [A per phase]: of every obeying EVSE whose session is the one that was planned.

    One that is to feed back has 0 here: :func:`loadmgr.control.planning.discharge.discharges_a` says how much.
    """
    step = plan.grid.index(now) or 0
    out = {}
    for evse_id, currents in plan.currents_a.items():
        record = state.evses[evse_id]
        if record.charging is None or record.charging.transaction != plan.transactions.get(evse_id):
            continue
        if standing_of(state, record) is Standing.OBEYING:
            out[evse_id] = round(max(0.0, float(currents[step])), 1)
    return out
