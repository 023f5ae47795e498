"""What the page shows of a running site: the present, the plan ahead, the last day, and what it cost.

Rules
-----
1. A document is made at most once a second, only while somebody looks, and once for everybody.
2. The past is kept in slots of five minutes, for a day: what a slot ended with.
3. Money counts imported energy only: a demand charge is known when the month is over.
4. What feeds back is below 0: of EVSEs, of batteries, and of a circuit as a whole.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.apps.page.page_bill import RunningBill
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.process.status import own_alarms, plain, quirks_of
from loadmgr.control.alarm import Alarm, Severity
from loadmgr.control.battery_facts import BatteryView
from loadmgr.control.decision import CircuitView, Decision, EvseView, SessionView, SiteView, StationView
from loadmgr.control.feedback.market import with_told
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.series import StepFunction, TimeGrid
from loadmgr.model.tariff import Tariff, prices
from loadmgr.model.topology import Circuit, Site

SLOT_S = 300
KEPT_SLOTS = 288
PRICED_HOURS = 24
RISK_WH = 100.0
"""A forecast that misses what was wanted by more than this is at risk [Wh]."""

Row = dict[str, Any]
Loads = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(slots=True)
class _Slot:
    start_s: int
    circuits: dict[str, list[float]] = field(default_factory=dict)
    limits: dict[str, float | None] = field(default_factory=dict)
    evses: dict[str, tuple[float, str]] = field(default_factory=dict)
    batteries: dict[str, float] = field(default_factory=dict)

    def as_row(self) -> Row:
        return {
            "at": self.start_s,
            "circuits": dict(self.circuits),
            "limits": dict(self.limits),
            "evses": dict(self.evses),
            "batteries": dict(self.batteries),
        }


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The plans of a view as the page shows them, and what they were made of: they change with decisions only."""

    site: Site
    made_of: tuple[object, ...]
    times: list[int]
    of_evse: dict[EvseId, list[float]]
    of_circuit: dict[CircuitId, Loads]


class PageFeed:
    """Gathers what the page shows.

    Parameters
    ----------
    process : callable
        Returns the process that runs the site, or the last that did.
    now : callable
        The time by the site's clock.
    alive : callable
        Whether it runs.
    """

    def __init__(
        self,
        process: Callable[[], SiteProcess],
        *,
        now: Callable[[], datetime],
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        self._process = process
        self._now = now
        self._alive = alive
        self._slots: deque[_Slot] = deque(maxlen=KEPT_SLOTS)
        self._bill = RunningBill()
        self._made = 0
        self._stations: list[Row] = []
        self._prices: tuple[int, StepFunction | None, Tariff | None, list[tuple[int, float]]] = (-1, None, None, [])
        self._alarms: dict[Alarm, Row] = {}
        self._ahead = _Ahead(process().site, (), [], {}, {})

    def take(self, decision: Decision) -> None:
        """Note where the site stands after a decision, once a slot."""
        slot_s = int(decision.at.timestamp()) // SLOT_S * SLOT_S
        if not self._slots or slot_s > self._slots[-1].start_s or decision.ended:
            view = self._process().controller.view()
            self._bill.told = self._process().controller.heard.prices_per_kwh
            self._bill.tariff = self._process().site_file.tariff
            self._bill.take(view, decision.ended, site=self._process().site)
            self._note(slot_s, view)

    def _note(self, slot_s: int, view: SiteView) -> None:
        if not self._slots or slot_s > self._slots[-1].start_s:
            self._slots.append(_Slot(slot_s))
        slot = self._slots[-1]
        for circuit in view.circuits:
            slot.circuits[circuit.circuit] = [round(a, 1) for a in circuit.measured_a or (0.0, 0.0, 0.0)]
            slot.limits[circuit.circuit] = _lowest_a(circuit, self._process().site.circuit_by_id[circuit.circuit])
        for evse in view.evses:
            if evse.session is not None:
                slot.evses[evse.evse] = (round(evse.net_a or 0.0, 1), evse.reason)
        for battery in view.batteries:
            if battery.power_w is not None:
                slot.batteries[battery.battery] = round(battery.power_w)

    def history(self) -> list[Row]:
        """Return the slots of the last day, the oldest first."""
        return [slot.as_row() for slot in self._slots]

    def document(self) -> Row:
        """Return the present and the plan as JSON values; before the first decision hardly more than a name."""
        process = self._process()
        site = process.site
        document: Row = {
            "site": {"name": site.name, "time_zone": site.time_zone, "currency": site.currency},
            "alive": self._alive(),
            "decided": process.decided,
        }
        if not process.decided:
            return document
        view = process.controller.view()
        if self._ahead.site is not site or self._ahead.made_of != _plans(view):
            self._ahead = _ahead(view, site)
        ahead, at = self._ahead, max(view.at, self._now())
        root = next(c for c in view.circuits if site.circuit_by_id[c.circuit].parent is None)
        return document | {
            "at": at.timestamp(),
            "light": _light(view, site.time_zone, alive=self._alive()),
            "power_w": sum(root.measured_a or (0.0, 0.0, 0.0)) * site.voltage_v,
            "circuits": [_circuit(c, site.circuit_by_id[c.circuit], ahead) for c in view.circuits],
            "evses": [_evse(e, site.evse_by_id[e.evse].circuit, ahead.of_evse[e.evse]) for e in view.evses],
            "batteries": [_battery(b) for b in view.batteries],
            "plan_times": ahead.times,
            "prices": self._price_band(at),
            "stations": self._station_rows(view),
            "limits": plain(view.limits),
            "alarms": self._alarm_rows(view),
            "bill": self._bill.as_row(),
            "slot": self._slots[-1].as_row() if self._slots else None,
        }

    def _station_rows(self, view: SiteView) -> list[Row]:
        """Return the stations, one of them looked at anew in each document: what is shown of them changes slowly."""
        listed = [station.station for station in view.stations]
        if listed != [row["station"] for row in self._stations]:
            self._stations = [self._station(station) for station in view.stations]
        elif listed:
            at = self._made % len(listed)
            self._stations = [*self._stations[:at], self._station(view.stations[at]), *self._stations[at + 1 :]]
        self._made += 1
        return self._stations

    def _station(self, station: StationView) -> Row:
        return {**plain(station), "quirks": quirks_of(self._process().models, station.station)}

    def _alarm_rows(self, view: SiteView) -> list[Row]:
        known = self._alarms
        self._alarms = {a: known.get(a) or plain(a) for a in view.alarms if a.cleared is None}
        return [*self._alarms.values(), *own_alarms(self._process())]

    def _price_band(self, at: datetime) -> list[tuple[int, float]]:
        """Return prices from the last full hour on, by the quarter of an hour."""
        tariff = self._process().site_file.tariff
        if tariff is None:
            return []
        hour_s = int(at.timestamp()) // 3600 * 3600
        told = self._process().controller.heard.prices_per_kwh
        if self._prices[0] != hour_s or self._prices[1] is not told or self._prices[2] is not tariff:
            start = datetime.fromtimestamp(hour_s, at.tzinfo)
            grid = TimeGrid.uniform(start, step_s=900, steps=PRICED_HOURS * 4)
            try:
                found = with_told(prices(tariff, grid), told, grid)
            except ValueError:  # a dynamic price that is not known so far ahead: the band is left out
                found = []
            starts = [hour_s + 900 * i for i in range(len(found))]
            self._prices = (hour_s, told, tariff, [(s, round(p, 5)) for s, p in zip(starts, found, strict=True)])
        return self._prices[3]


def _lowest_a(circuit: CircuitView, found: Circuit) -> float | None:
    """Return the lowest limit of the phases that a circuit has [A]; ``None`` where none is limited."""
    limits_a = [a for a in (circuit.limit_a[i] for i in _phases(found)) if a is not None]
    return round(min(limits_a), 1) if limits_a else None


def _phases(found: Circuit) -> list[int]:
    """Return the phases that a circuit has: one that it lacks has a limit of 0 in the site file."""
    return [i for i, limit_a in enumerate(found.limit_a) if limit_a != 0.0]


def _plans(view: SiteView) -> tuple[object, ...]:
    evses = ((evse.plan_a, evse.phases) for evse in view.evses)
    return (view.plan_times, *evses, *(battery.plan_w for battery in view.batteries))


def _ahead(view: SiteView, site: Site) -> _Ahead:
    planned_w = {b.battery: np.array(b.plan_w) for b in view.batteries if b.plan_w}
    times = view.plan_times if planned_w or any(evse.plan_a for evse in view.evses) else ()
    of_evse = {e.evse: [round(current_a, 1) for current_a in e.plan_a] for e in view.evses}
    of_circuit: dict[CircuitId, Loads] = {}
    for circuit in view.circuits:
        planned = np.zeros((3, len(times)))
        below = {e.id: e for e in site.evses_under(CircuitId(circuit.circuit))}
        for evse in view.evses:
            if evse.evse in below and evse.plan_a:
                phases = below[evse.evse].phases
                planned[list(phases[: evse.phases or len(phases)])] += of_evse[evse.evse]
        for battery in site.batteries_under(CircuitId(circuit.circuit)):
            planned += planned_w.get(battery.id, 0.0) / (3.0 * site.voltage_v)
        of_circuit[circuit.circuit] = planned
    return _Ahead(site, _plans(view), [int(at.timestamp()) for at in times], of_evse, of_circuit)


def _circuit(circuit: CircuitView, found: Circuit, ahead: _Ahead) -> Row:
    """Return a circuit; its plan is that of its EVSEs and batteries on each phase [A], and side loads as now."""
    planned = ahead.of_circuit[circuit.circuit] + np.array(circuit.building_a)[:, None]
    return {
        "id": circuit.circuit,
        "parent": found.parent,
        "phases": _phases(found),
        "rated_a": list(found.rated_a),
        "limit_a": list(circuit.limit_a),
        "building_a": list(circuit.building_a),
        "assumed_a": list(circuit.assumed_a),
        "measured_a": None if circuit.measured_a is None else list(circuit.measured_a),
        "plan_a": np.round(planned, 1).tolist(),
    }


def _evse(evse: EvseView, circuit: CircuitId, plan_a: list[float]) -> Row:
    return {
        "id": evse.evse,
        "station": evse.station,
        "circuit": circuit,
        "standing": evse.standing.value,
        "state": None if evse.state is None else evse.state.value,
        "session": None if evse.session is None else _session(evse.session),
        "setpoint_a": evse.target_a,
        "held_a": evse.held_a,
        "measured_a": evse.net_a,
        "power_w": evse.power_w,
        "state_of_charge_ratio": evse.state_of_charge_ratio,
        "phases": evse.phases,
        "reason": evse.reason,
        "override": plain(evse.override),
        "plan_a": plan_a,
    }


def _battery(battery: BatteryView) -> Row:
    return {
        "id": battery.battery,
        "circuit": battery.circuit,
        "power_w": battery.power_w,
        "setpoint_w": battery.setpoint_w,
        "state_of_charge_ratio": battery.state_of_charge_ratio,
        "reason": battery.reason,
        "plan_w": [round(power_w) for power_w in battery.plan_w],
    }


def _session(session: SessionView) -> Row:
    return {
        "token": session.id_token,
        "started": session.started.timestamp(),
        "departure": None if session.departure is None else session.departure.timestamp(),
        "wanted_wh": session.wanted_wh,
        "delivered_wh": session.delivered_wh,
        "expected_wh": session.expected_wh,
        "full_by": None if session.full_by is None else session.full_by.timestamp(),
        "priority": session.priority,
        "source": session.source,
        "promise": _promise(session),
    }


def _promise(session: SessionView) -> str:
    if session.wanted_wh is None or session.departure is None:
        return "none"
    if session.delivered_wh >= session.wanted_wh - RISK_WH:
        return "kept"
    return "on track" if session.expected_wh >= session.wanted_wh - RISK_WH else "at risk"


def _light(view: SiteView, time_zone: str, *, alive: bool) -> Row:
    """Return the state of the whole in one word and one sentence."""
    active = [a for a in view.alarms if a.cleared is None]
    if not alive:
        return {"state": "dead", "text": "the controller is away: stations keep to their own profiles"}
    for severity, state in ((Severity.DANGER, "danger"), (Severity.WARNING, "attention")):
        worst = [a for a in active if a.severity is severity]
        if worst:
            more = f", and {len(worst) - 1} more" if len(worst) > 1 else ""
            return {"state": state, "text": f"{worst[0].cause}{more}"}
    if view.limits:
        limit = view.limits[0]
        until = "" if limit.until is None else f" until {_clock(limit.until, time_zone)}"
        return {"state": "limited", "text": f"limited by {limit.source}{until}"}
    return {"state": "good", "text": "every limit is kept"}


def _clock(at: datetime, time_zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(time_zone)):%H:%M}"
