"""A plan: setpoints of every session over the grid, and how they were found."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from loadmgr.allocation import Allocation
from loadmgr.control.assumption import standing_of
from loadmgr.control.decision import Standing
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
    """

    made_at: datetime
    why: str
    grid: TimeGrid
    currents_a: dict[EvseId, Floats]
    transactions: dict[EvseId, TransactionId]
    method: str

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
        offsets_s = np.array(self.grid.offsets_s, dtype=float)
        low_s = (after - self.grid.start).total_seconds()
        high_s = offsets_s[-1] if until is None else (until - self.grid.start).total_seconds()
        length_s = np.minimum(offsets_s[1:], high_s) - np.maximum(offsets_s[:-1], low_s)
        return np.asarray(np.cumsum(self.currents_a[evse] * np.maximum(length_s, 0.0)) / 3600.0)

    def resampled_a(self, evse: EvseId, transaction: TransactionId, grid: TimeGrid) -> Floats | None:
        """Return the setpoints of a session on another grid [A]; ``None`` where it was not planned."""
        if self.transactions.get(evse) != transaction:
            return None
        shift_s = (grid.start - self.grid.start).total_seconds()
        starts_s = np.array(grid.offsets_s[:-1]) + shift_s
        steps = np.searchsorted(np.array(self.grid.offsets_s), starts_s, side="right") - 1
        return np.asarray(self.currents_a[evse][np.clip(steps, 0, len(self.grid) - 1)])


def plan_of(allocation: Allocation, state: SiteState, *, why: str, now: datetime) -> Plan:
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
    )


def empty_plan(grid: TimeGrid, *, why: str, now: datetime) -> Plan:
    """Return the plan of a site where nobody can be given anything."""
    return Plan(made_at=now, why=why, grid=grid, currents_a={}, transactions={}, method="filled")


def targets_a(plan: Plan, state: SiteState, now: datetime) -> dict[EvseId, float]:
    """Return the setpoints of now [A per phase]: of every obeying EVSE whose session is the one that was planned."""
    step = plan.grid.index(now) or 0
    out = {}
    for evse_id, currents in plan.currents_a.items():
        record = state.evses[evse_id]
        if record.charging is None or record.charging.transaction != plan.transactions.get(evse_id):
            continue
        if standing_of(state, record) is Standing.OBEYING:
            out[evse_id] = round(float(currents[step]), 1)
    return out
