"""What charging has cost since the process began, against the same vehicles charged at once when they came.

Both are energy at its price at the time; nothing else of a bill is known before the month is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from loadmgr.control.decision import EvseView, SessionView, SiteView
from loadmgr.control.feedback.market import with_told
from loadmgr.model.ids import EvseId
from loadmgr.model.series import StepFunction, TimeGrid
from loadmgr.model.tariff import Tariff, prices
from loadmgr.model.topology import Site

STEP_S = 300
LONGEST_S = 2 * 86_400
"""A vehicle that would take longer at full power is not compared [s]."""


@dataclass(slots=True)
class _Seen:
    delivered_wh: float
    at: datetime
    cost: float = 0.0
    phases: int | None = None


@dataclass(slots=True)
class RunningBill:
    """The bill so far.

    Parameters
    ----------
    tariff : Tariff, optional
        Set before each ``take``, for it may change.
    told : StepFunction, optional
        Prices that hold instead of the tariff's own as far as they reach; set before each ``take``.
    """

    tariff: Tariff | None = None
    told: StepFunction | None = None
    since: datetime | None = None
    energy_wh: float = 0.0
    cost: float = 0.0
    ended: int = 0
    ended_cost: float = 0.0
    at_once_cost: float = 0.0
    _seen: dict[EvseId, _Seen] = field(default_factory=dict)

    def take(self, view: SiteView, ended: Sequence[SessionView], *, site: Site) -> None:
        """Add what was delivered since the last view, and compare the sessions that ended; the site as it is now."""
        if self.tariff is None:
            return
        self.since = self.since or view.at
        for session in ended:
            self._close(session, site)
        for evse in view.evses:
            if evse.session is not None:
                self._add(evse, evse.session, view.at)

    def as_row(self) -> dict[str, object] | None:
        """Return the bill as JSON values; ``None`` without a tariff."""
        if self.tariff is None or self.since is None:
            return None
        return {
            "since": self.since.timestamp(),
            "energy_wh": self.energy_wh,
            "cost": self.cost,
            "sessions_ended": self.ended,
            "ended_cost": self.ended_cost,
            "at_once_cost": self.at_once_cost,
        }

    def _add(self, evse: EvseView, session: SessionView, at: datetime) -> None:
        seen = self._seen.setdefault(evse.evse, _Seen(session.delivered_wh, at))
        seen.phases = evse.phases or seen.phases
        self._count(seen, session.delivered_wh, at)

    def _count(self, seen: _Seen, delivered_wh: float, at: datetime) -> None:
        added_wh = delivered_wh - seen.delivered_wh
        if added_wh > 0.0 and at > seen.at:
            cost = added_wh / 1000.0 * self._mean_price(seen.at, at)
            self.energy_wh, self.cost, seen.cost = self.energy_wh + added_wh, self.cost + cost, seen.cost + cost
        seen.delivered_wh, seen.at = delivered_wh, at

    def _close(self, session: SessionView, site: Site) -> None:
        seen = self._seen.pop(session.evse, None)
        if seen is None or session.ended is None:
            return
        self._count(seen, session.delivered_wh, session.ended)
        evse = site.evse_by_id.get(session.evse)
        if evse is None:
            return  # it left the site with its session
        power_w = evse.max_a * site.voltage_v * (seen.phases or len(evse.phases))
        hours = session.delivered_wh / power_w if power_w > 0.0 else 0.0
        if not 0.0 < hours * 3600.0 < LONGEST_S:
            return
        self.ended += 1
        self.ended_cost += seen.cost
        until = session.started + timedelta(hours=hours)
        self.at_once_cost += session.delivered_wh / 1000.0 * self._mean_price(session.started, until)

    def _mean_price(self, start: datetime, end: datetime) -> float:
        """Return the mean price between two instants; 0 where none is known."""
        assert self.tariff is not None  # checked where the bill begins
        steps = max(1, round((end - start).total_seconds() / STEP_S))
        step_s = max(1, int((end - start).total_seconds() / steps))
        try:
            grid = TimeGrid.uniform(start, step_s=step_s, steps=steps)
            found = with_told(prices(self.tariff, grid), self.told, grid)
        except ValueError:
            return 0.0
        return sum(found) / len(found)
