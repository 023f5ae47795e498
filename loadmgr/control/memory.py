"""What a controller has to know to go on where it stood: taken from one controller, given to another.

Rules
-----
1. Everything that a decision can depend on is memory, but for what the site file says and what follows from the rest
   (``DERIVED``). A field that is neither makes ``remember`` fail, so that nothing new is forgotten in silence.
2. Memory refers to the controller's own records: write it down before anything else is observed.
3. A controller that wakes knows that its links are gone and that nobody will answer its calls: these are observations
   like any other, so that a journal holds them and a replay repeats them.
4. Trust is not slept through: whatever a station held is read back when it returns. Where commands may have been sent
   of which the memory knows nothing, what stations hold is forgotten, and they are cleared and set up anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, get_type_hints

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.battery_record import BatteryRecord
from loadmgr.control.command import Command, ReadCapabilities, SetProfile
from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Decision
from loadmgr.control.observation import CommandAnswered, Observation, Outcome, StationDisconnected
from loadmgr.control.planning.plan import Plan
from loadmgr.control.safety.assumption import w_per_a_at_worst
from loadmgr.control.safety.circuits import Limits
from loadmgr.control.safety.holding import FailSafeStage
from loadmgr.control.sending.form import moved_station, take_own_form
from loadmgr.control.sending.installed import installed_a, installed_w
from loadmgr.control.sending.pending import Pending, Purpose
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import (
    ENDED_REMEMBERED,
    TAIL_REMEMBERED,
    EvseRecord,
    SiteState,
    StationRecord,
)
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.profile import ProfilePurpose, RateUnit
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Site

OF_THE_SITE = frozenset({"site", "tariff", "windows", "evse_of"})
"""Fields of the state that the site file says."""

CONTROLLER: dict[str, Any] = {
    "_plan": Plan | None,
    "_next_id": int,
    "_targets": dict[EvseId, float],
    "_discharges": dict[EvseId, float],
    "_decided_at": datetime | None,
    "_due": datetime | None,
    "_planned_limits": dict[CircuitId, Limits],
}
"""What a controller knows beside its state, with types."""

DERIVED = frozenset({"_settings", "_allocator", "_state", "_situation", "_viewed", "_heard"})
"""What a controller finds anew: a solver that starts cold gives the same answer, and every decision looks first."""

MOST_REMEMBERED_S = 4 * 3600.0
"""What a battery was told longer ago than its watchdog can last does not matter any more [s]."""

LOST_BECAUSE = "the controller was restarted"


def state_types() -> dict[str, Any]:
    """Return the fields of the state that are memory, with their types."""
    return {name: kind for name, kind in get_type_hints(SiteState).items() if name not in OF_THE_SITE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a controller knew: values by name of the field, of ``state_types()`` and of ``CONTROLLER``."""

    state: Mapping[str, Any]
    controller: Mapping[str, Any]


def remember(controller: SiteController) -> Memory:
    """Return what a controller knows; its own records, not copies.

    Raises
    ------
    TypeError
        If the controller has a field of which nobody said whether it is memory.
    """
    unknown = set(vars(controller)) - set(CONTROLLER) - DERIVED
    if unknown:
        raise TypeError(f"{', '.join(sorted(unknown))} must be named in CONTROLLER or DERIVED")
    state = controller._state
    return Memory(
        state={f.name: getattr(state, f.name) for f in fields(state) if f.name not in OF_THE_SITE},
        controller={name: getattr(controller, name) for name in CONTROLLER},
    )


def restored(
    memory: Memory, site: Site, tariff: Tariff | None, *, settings: ControlSettings | None = None
) -> SiteController:
    """Return a controller that knows what another one knew about the same site.

    Fields that are missing, because an older loadmgr wrote the memory, keep what a new controller has.
    """
    controller = SiteController(site, tariff, settings=settings)
    state = controller._state
    for name in state_types():
        if name in memory.state:
            setattr(state, name, memory.state[name])
    if (state.habits is not None) != controller._settings.habits:
        state.habits = {} if controller._settings.habits else None
    for station in state.stations.values():
        station.ended = type(station.ended)(station.ended, maxlen=ENDED_REMEMBERED)
    for record in state.evses.values():
        record.tail = type(record.tail)(record.tail, maxlen=TAIL_REMEMBERED)
    for name in CONTROLLER:
        if name in memory.controller:
            setattr(controller, name, memory.controller[name])
    return controller


def woken(controller: SiteController, *, knows_all: bool) -> None:
    """Prepare a restored controller for what it slept through.

    Parameters
    ----------
    knows_all : bool
        Every command that was ever sent is in the memory. Where some may be missing, nothing that a station is thought
        to hold counts any more: until it is set up anew it counts with its installed maximum.
    """
    state = controller._state
    controller._due, controller._plan = None, None
    state.started, state.helpless_since = None, {}
    state.stirred = True
    for record in state.evses.values():
        if not knows_all:
            record.holding.forgotten()
        elif record.holding.stage is not FailSafeStage.MISSING:
            record.holding.recheck = True
    if not knows_all:
        for station in state.stations.values():
            station.clear_first = station.seen


def slept(controller: SiteController, now: datetime) -> tuple[Observation, ...]:
    """Return what is to be observed first after a restart: unanswered calls are lost, and every link is gone."""
    state = controller._state
    lost = [
        CommandAnswered(at=now, command=number, outcome=Outcome.LOST, reason=LOST_BECAUSE)
        for number in sorted(state.pending)
    ]
    gone = [
        StationDisconnected(at=now, station=station.station.id, reason=LOST_BECAUSE)
        for station in state.stations.values()
        if station.connected
    ]
    return (*lost, *gone)


def under_way(controller: SiteController, command: Command) -> Pending | None:
    """Return what a command of the last decision is for; ``None`` when it was answered already."""
    return controller._state.pending.get(command.id)


def enact(controller: SiteController, decision: Decision, pending: tuple[Pending, ...]) -> None:
    """Take a decision as it was made, without making it again: what it sent counts as sent.

    For a journal of another version of loadmgr, whose decisions this one would not make in the same way.
    """
    state = controller._state
    state.triggers, state.ended, state.stirred = [], [], False
    state.alarms.take_changed()
    for each in pending:
        state.pending[each.command.id] = each
        controller._next_id = max(controller._next_id, each.command.id + 1)
        _note(state, each)
    for told in decision.batteries:
        record = state.batteries.setdefault(told.battery, BatteryRecord())
        record.tell(told.power_w, now=decision.at, keep_s=MOST_REMEMBERED_S)
    controller._decided_at, controller._due = decision.at, decision.next_due


def _note(state: SiteState, pending: Pending) -> None:
    command, station = pending.command, state.stations[pending.station]
    if isinstance(command, ReadCapabilities):
        station.capabilities_asked = True
    if pending.purpose is Purpose.FOREIGN:
        station.foreign_request = command.id
    if pending.purpose is Purpose.MAXIMUM:
        station.maximum_asked = True
    if not isinstance(command, SetProfile):
        return
    evses = state.site.evses_of(pending.station) if pending.evse is None else (state.site.evse_by_id[pending.evse],)
    for evse in evses:
        record = state.evses[evse.id]
        record.holding.sent(command.id, InstalledProfile(evse_id=command.number, profile=command.profile))
        record.changed_at = pending.sent_at
        if command.profile.purpose is ProfilePurpose.TX:
            record.writes.append(pending.sent_at)
            record.discharge_a = _discharge_a(state, record, command)
            phases = command.profile.schedules[0].periods[0].phases
            if phases is not None:
                record.phases_lease, record.phases_seen = phases, (0,) if phases == 1 else None


def _discharge_a(state: SiteState, record: EvseRecord, command: SetProfile) -> float:
    """Return what a lease asks an EVSE to feed back [A per phase]."""
    schedule = command.profile.schedules[0]
    setpoint = schedule.periods[0].setpoint or 0.0
    return max(0.0, -setpoint) / (1.0 if schedule.unit is RateUnit.A else w_per_a_at_worst(state, record))


def moved(
    controller: SiteController, site: Site, tariff: Tariff | None, *, settings: ControlSettings | None = None
) -> SiteController:
    """Return a controller of a changed site that knows what the old one knew of everything that stayed.

    Sessions, energy, counters and trust go on wherever an EVSE stayed at its station; where what it is or falls back to
    changed, its fail-safe is set and read back anew, and until then it counts with its installed maximum.
    """
    new = SiteController(site, tariff, settings=settings)
    memory = remember(controller)
    state, old = new._state, controller._state
    for name in state_types():
        if name not in ("evses", "stations", "meters", "buildings", "limits", "pending", "batteries"):
            setattr(state, name, memory.state[name])
    new._next_id, new._decided_at = controller._next_id, None
    state.stirred = True
    state.triggers = [*state.triggers, "the site file changed"]
    state.stations = {s.id: _station_of(old, state.stations[s.id], site) for s in site.stations}
    anew = (site.failsafe, site.timing, site.voltage_v) != (old.site.failsafe, old.site.timing, old.site.voltage_v)
    state.evses = {e.id: _evse_of(old, state.evses[e.id], anew=anew) for e in site.evses}
    for evse in site.evses:
        before, station = old.stations.get(evse.station), site.station_by_id[evse.station]
        if before is not None and before.station.limit_by is not station.limit_by:
            take_own_form(state.evses[evse.id], station)
    meters, circuits = {m.id for m in site.meters}, {c.id for c in site.circuits}
    state.meters = {m: r for m, r in old.meters.items() if m in meters}
    loads = {(c.id, load.id) for c in site.circuits for load in c.side_loads}
    state.buildings = {k: b for k, b in old.buildings.items() if k in loads}
    state.batteries = {b.id: old.batteries[b.id] for b in site.batteries if b.link and b.id in old.batteries}
    state.limits = {k: limit for k, limit in old.limits.items() if k[0] in circuits}
    state.pending = {
        i: p for i, p in old.pending.items() if p.station in state.stations and p.evse in (None, *state.evses)
    }
    _drop_alarms(old, new._state)
    return new


def _drop_alarms(old: SiteState, new: SiteState) -> None:
    """Clear the alarms about what the site has no more, and about what it was missing: if it still is, it speaks again.

    They are memory, so that nothing else would ever take them back.
    """
    gone = _names(old.site) - _names(new.site)
    for kind, subject in list(new.alarms.standing):
        if new.last_at is not None and (kind.startswith("unknown ") or subject in gone):
            new.alarms.clear(kind, subject, at=new.last_at)


def _names(site: Site) -> set[str]:
    members = (site.stations, site.evses, site.circuits, site.meters, site.batteries)
    return {str(each.id) for kind in members for each in kind}


def _station_of(old: SiteState, fresh: StationRecord, site: Site) -> StationRecord:
    known, station = old.stations.get(fresh.station.id), fresh.station
    if known is None:
        return fresh
    record = moved_station(known, station, site.evses_of(station.id))
    same = [(installed_a(s, station.id), installed_w(s, station.id)) for s in (old.site, site)]
    return record if same[0] == same[1] else replace(record, maximum_asked=False)


def _evse_of(old: SiteState, fresh: EvseRecord, *, anew: bool) -> EvseRecord:
    known, evse = old.evses.get(fresh.evse.id), fresh.evse
    if known is None or (known.evse.station, known.evse.number) != (evse.station, evse.number):
        return fresh
    record = replace(known, evse=evse)
    if anew or known.evse != evse:
        record.holding.touched()
        record.holding.stage = FailSafeStage.MISSING
        if known.evse.phases != evse.phases:
            record.phases_seen, record.phases_hint = None, None
    return record


def site_of(controller: SiteController) -> Site:
    """Return the site that a controller is of."""
    return controller._state.site
