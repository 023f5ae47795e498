"""What plans leave of each limit where so many vehicles may plug in at once: the same whoever they find there.

Rules
-----
1. Who is held above the fallback today may be held below it tomorrow, so the largest fallbacks are left out of a plan
   and not what is missing to them: a plan that changed with who is low would lower others in turn.
2. On a limit from outside only those count who come to a free place, or on free phases; on the site's own also those
   who come in the place of others (see ``circuits``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from loadmgr.control.planning.network import Floats
from loadmgr.control.safety.circuits import POWER, LoadBook, build_rows
from loadmgr.control.safety.envelope import constant
from loadmgr.control.situation import Situation
from loadmgr.control.state import SiteState
from loadmgr.model.ids import CircuitId
from loadmgr.model.topology import Circuit, Phase


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept on each row, by circuit, column and whether the row lasts [A or W]."""

    by_row: Mapping[tuple[CircuitId, int, bool], float]

    def left_of(
        self, circuit: Circuit, limit_a: Floats | None, limit_w: float | None
    ) -> tuple[Floats | None, float | None]:
        """Return what limits in force on a circuit and its own leave beside what is kept."""
        if limit_a is not None:
            limit_a = limit_a.copy()
            for phase in Phase:
                left = self._left(circuit, int(phase), float(limit_a[phase]), circuit.limit_a[phase])
                limit_a[phase] = max(0.0, left)
        return limit_a, None if limit_w is None else max(0.0, self._left(circuit, POWER, limit_w, circuit.limit_w))

    def _left(self, circuit: Circuit, column: int, held: float, own: float | None) -> float:
        left = held - self.by_row.get((circuit.id, column, False), 0.0)
        return left if own is None else min(left, own - self.by_row.get((circuit.id, column, True), 0.0))


def kept_for_starts(state: SiteState, situation: Situation, now: datetime) -> Kept:
    """Return what is kept at a site where no more than so many vehicles plug in at once."""
    anybody = {e: replace(a, envelope=constant(0.0)) for e, a in situation.assumed.items()}
    rows = build_rows(state.site, situation.limits, {})
    until_s = now.timestamp() + state.site.failsafe.lease_s
    kept = LoadBook(state.site, rows, anybody, now=now, until_s=until_s).kept
    keys = zip(rows.circuits, rows.columns, rows.lasting.tolist(), strict=True)
    return Kept(dict(zip(keys, kept.tolist(), strict=True)))
