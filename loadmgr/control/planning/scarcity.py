"""Which circuits are scarce: where vehicles left short in the last weeks, energy now goes before cheap energy later.

Rules
-----
1. A circuit is scarce for some weeks after a vehicle left short that it had held back. That it was full is no sign: a
   plan fills the cheap hours on purpose (measured on real sessions: with that sign a garage at three quarters of its
   uncontrolled peak paid up to 60 % more, for nothing).
2. A vehicle is not short if it was full, if it left before it said, or as far as no power of its own could have met it.
"""

from datetime import datetime

import numpy as np

from loadmgr.allocation import Allocation, AllocationProblem
from loadmgr.allocation.constraints import network_rows
from loadmgr.control.safety.assumption import phases_reckoned
from loadmgr.control.state import EvseRecord, SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.units import CURRENT_TOLERANCE_A, SECONDS_PER_HOUR

SHORT_RATIO, SHORT_WH = 0.02, 200.0
"""Who leaves with more than both undelivered has gone short."""

SCARCE_S = 28 * 86_400
"""How long a shortage is remembered [s]."""

EARLY_S = 900
"""Who leaves sooner than it said by more than this went of its own accord [s]."""


def left_short(wanted_wh: float, delivered_wh: float) -> bool:
    """Return whether what is missing at the end is more than meters and minimum currents explain [Wh]."""
    return wanted_wh - delivered_wh > max(SHORT_RATIO * wanted_wh, SHORT_WH)


def scarce_circuits(short_at: dict[str, datetime], now: datetime) -> frozenset[str]:
    """Return the labels of the circuits where somebody left short not long ago."""
    return frozenset(label for label, at in short_at.items() if (now - at).total_seconds() < SCARCE_S)


def note_pressed(state: SiteState, problem: AllocationProblem, allocation: Allocation) -> None:
    """Note in each session which circuits keep it from its next setpoint in the first step of a plan."""
    rows, evses = network_rows(problem), problem.evses
    now_a = np.maximum(allocation.current_a[:, 0], 0.0)
    up_a = np.where(now_a < evses.min_a, evses.min_a - now_a, evses.step_a)
    left = np.where(rows.applies[:, 0], rows.room[:, 0], np.inf) - rows.loads(now_a)
    wants = (now_a + up_a <= evses.max_a[:, 0] + CURRENT_TOLERANCE_A) & (evses.need_wh[:, 1] > 0.0)
    more = rows.added(slice(None), now_a[rows.evse], (now_a + up_a)[rows.evse])
    pressed = wants[rows.evse] & (more > left[rows.row] + CURRENT_TOLERANCE_A)
    for entry in np.flatnonzero(pressed).tolist():
        charging = state.evses[EvseId(evses.ids[rows.evse[entry]])].charging
        label = problem.circuits.ids[rows.names[rows.row[entry]].circuit]
        if charging is not None and label not in charging.pressed_by:
            charging.pressed_by = (*charging.pressed_by, label)


def note_departure(state: SiteState, record: EvseRecord, *, resting: bool, at: datetime) -> None:
    """Remember the circuits that held back a session that ends short."""
    charging = record.charging
    if charging is None or charging.need is None or charging.departure is None or resting:
        return
    if (charging.departure - at).total_seconds() > EARLY_S:
        return
    evse, phases = record.evse, phases_reckoned(record)
    most_a = evse.max_infeed_a(state.site.voltage_v, phases_used=phases)
    if charging.vehicle.max_a is not None:
        most_a = min(most_a, charging.vehicle.max_a)
    hours = max(0.0, (min(at, charging.departure) - charging.started).total_seconds()) / SECONDS_PER_HOUR
    wanted_wh = min(charging.need.wanted_wh, most_a * state.site.voltage_v * phases * hours)
    if left_short(wanted_wh, charging.ledger.delivered_wh):
        state.short_at |= dict.fromkeys(charging.pressed_by, at)
