"""Two stations behind one fuse, explored state by state: every interleaving of what can happen to messages.

What is explored is the controller's own code and two stations with profile stores of their own. One step is one event:
the next command of a link arrives, arrives twice or is lost; an answer arrives, in any order, twice, or never; time
passes until a vehicle has settled, until calls are given up, or until leases run out; the setpoints swing; a meter
reading arrives; a link is cut or comes back; a station restarts; the controller dies and starts again, with its memory
or without. Messages to one station keep their order, because one connection is a stream; a command that was lost for
the controller may still arrive later.

``python -m tests.loadmgr.control.two_stations DEPTH`` explores every sequence of so many events and prints the states.
"""

import dataclasses
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from loadmgr.allocation import Allocator
from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.store import ProfileStore
from loadmgr.control.alarm import AlarmBook
from loadmgr.control.command import Command
from loadmgr.control.controller import SiteController
from loadmgr.control.decision import Standing
from loadmgr.control.memory import remember, restored, slept, woken
from loadmgr.control.observation import (
    CommandAnswered,
    EvseState,
    EvseStatus,
    Observation,
    Outcome,
    StationBooted,
    StationConnected,
    StationDisconnected,
    TransactionStarted,
)
from loadmgr.control.planning.plan import Plan
from loadmgr.control.safety.assumption import assumed_of, standing_of
from loadmgr.control.safety.holding import FailSafeStage
from loadmgr.control.settings import ControlSettings
from loadmgr.model.ids import EvseId
from loadmgr.model.profile import RateUnit
from loadmgr.model.series import TimeGrid
from loadmgr.model.topology import Site
from tests.control_world import FakeStation, World, small_site

LIMIT_A = 32.0
SETTLE_S = 10
CALL_S = 20
LEASE_S = 300
SKEW_S = 30
SWINGS = ((26.0, 6.0), (6.0, 26.0), (16.0, 16.0), (0.0, 32.0))
"""Setpoints of the two that are asked for in turn; each fits the fuse."""

TICKS_S = (SETTLE_S + 1, CALL_S + 1, 2 * LEASE_S + 4 * SKEW_S)
OUTLOOK_S = 2 * LEASE_S + 6 * SKEW_S

Event = tuple[str, int]


class Steered(SiteController):
    """The controller with setpoints from outside instead of a plan; everything else is its own."""

    def steer(self, wanted_a: Sequence[float], now: datetime) -> None:
        """Ask for setpoints of E1, E2 and so on [A]."""
        records = self._state.evses
        sessions = {e: r.charging.transaction for e, r in records.items() if r.charging is not None}
        self._plan = Plan(
            made_at=now,
            why="steered",
            grid=TimeGrid(now, (10_000_000,)),
            currents_a={EvseId(f"E{i}"): np.array([amps]) for i, amps in enumerate(wanted_a, start=1)},
            transactions=sessions,
            method="steered",
        )
        self._state.stirred = True

    def _why_plan(self, now: datetime) -> None:
        self._state.triggers = []


@dataclass
class Two:
    """A state: the controller, two stations, what is on the wire."""

    now: datetime
    controller: Steered
    stations: tuple[FakeStation, FakeStation]
    wires: tuple[list[tuple[Command, bool]], list[tuple[Command, bool]]] = field(default_factory=lambda: ([], []))
    answers: list[tuple[int, Observation, bool]] = field(default_factory=list)
    sent: dict[int, tuple[int, datetime]] = field(default_factory=dict)
    recent: tuple[list[tuple[datetime, float]], list[tuple[datetime, float]]] = field(default_factory=lambda: ([], []))
    swing: int = 0


def site_of_two(*, fallback_a: float) -> Site:
    """Return the site: nothing but two EVSEs and a fuse."""
    site = small_site(evses=2, limit_a=LIMIT_A, fallback_a=fallback_a, lease_s=LEASE_S, clock_skew_s=float(SKEW_S))
    return dataclasses.replace(site, circuits=(dataclasses.replace(site.root, side_loads=()),), meters=())


def settled_pair(*, fallback_a: float = 6.0, skew_s: tuple[int, int] = (SKEW_S, -SKEW_S), proven: bool = False) -> Two:
    """Return two stations at 26 A and 6 A with everything acknowledged, clocks as far off as they may be."""
    world = World(site_of_two(fallback_a=fallback_a))
    world.building_a = (0.0, 0.0, 0.0)
    for fake, seconds in zip(world.stations.values(), skew_s, strict=True):
        fake.clock_off_s = float(seconds)
    steered = Steered(world.site, None, settings=ControlSettings())
    world.controller = steered
    world.connect()
    world.run(30)
    for evse in ("E1", "E2"):
        world.plug(evse)
    world.run(2)
    for wanted_a in ((16.0, 16.0), SWINGS[0]):
        steered.steer(wanted_a, world.now)
        world._due = world.now
        world.run(60)
    for record in steered._state.evses.values():
        record.obedience.proven = proven
    first_station, second_station = world.stations.values()
    return Two(now=world.now, controller=steered, stations=(first_station, second_station))


# What can happen.


def events(two: Two) -> Iterator[Event]:
    """Yield everything that can happen next."""
    for side in (0, 1):
        if two.wires[side]:
            yield "arrives", side
            yield "lost", side
            if not two.wires[side][0][1]:
                yield "arrives twice", side
        if two.stations[side].connected:
            yield "reading", side
            yield "cut", side
            yield "restart", side
        else:
            yield "back", side
    for index, (_, _, repeated) in enumerate(two.answers):
        yield "answered", index
        yield "answer lost", index
        if not repeated:
            yield "answered twice", index
    for index in range(len(TICKS_S)):
        yield "time", index
    yield "swing", 0
    yield "controller restarts", 0
    yield "controller forgets", 0


def after(two: Two, event: Event) -> Two:  # noqa: C901 - one branch for each kind of event
    """Return the state after an event."""
    new = copied(two)
    what, index = event
    before = [truth_a(new, side) for side in (0, 1)]
    match what:
        case "arrives" | "arrives twice":
            _arrive(new, index, again=what == "arrives twice")
        case "lost":
            new.wires[index].pop(0)
        case "answered" | "answered twice":
            side, seen, _ = new.answers[index]
            if what == "answered":
                del new.answers[index]
            else:
                new.answers[index] = (side, seen, True)
            _tell(new, dataclasses.replace(seen, at=new.now))
        case "answer lost":
            del new.answers[index]
        case "time":
            _pass(new, TICKS_S[index])
        case "swing":
            new.swing = (new.swing + 1) % len(SWINGS)
            new.controller.steer(SWINGS[new.swing], new.now)
            _tell(new)
        case "reading":
            _tell(new, _reading(new, index))
        case "cut":
            _cut(new, index)
        case "back":
            _come_back(new, index)
        case "restart":
            _cut(new, index)
            _come_back(new, index, boots=True)
        case "controller restarts" | "controller forgets":
            _restart(new, keeps=what == "controller restarts")
    if what != "time":
        for side in (0, 1):
            if truth_a(new, side) < before[side]:
                new.recent[side].append((new.now + timedelta(seconds=SETTLE_S), before[side]))
    return new


def _tell(two: Two, *seen: Observation) -> None:
    """Tell the controller something and let it act, as its shell does."""
    for observation in seen:
        two.controller.observe(observation)
    for command in two.controller.decide(two.now).commands:
        side = 0 if command.station == two.stations[0].evse.station else 1
        two.sent[command.id] = (side, two.now)
        if two.stations[side].connected:
            two.wires[side].append((command, False))
        else:
            two.answers.append((side, CommandAnswered(at=two.now, command=command.id, outcome=Outcome.LOST), True))


def _arrive(two: Two, side: int, *, again: bool) -> None:
    command, _ = two.wires[side][0]
    if again:
        two.wires[side][0] = (command, True)
    else:
        two.wires[side].pop(0)
    carrier = World.__new__(World)  # its stations' side alone
    carrier.now, carrier._answers, carrier._queue = two.now, [], []
    fake = two.stations[side]
    outcome = carrier._take(fake, command, Outcome.ACCEPTED, two.now)
    extra = [seen for _, _, seen in carrier._answers]
    for seen in (*extra, CommandAnswered(at=two.now, command=command.id, outcome=outcome)):
        two.answers.append((side, seen, False))


def _pass(two: Two, seconds: int) -> None:
    two.now += timedelta(seconds=seconds)
    late = [c for c, (_, at) in two.sent.items() if two.now - at >= timedelta(seconds=CALL_S)]
    for command in late:
        del two.sent[command]
    pending = two.controller._state.pending
    _tell(
        two,
        *(
            CommandAnswered(at=two.now, command=c, outcome=Outcome.TIMED_OUT, reason="late")
            for c in late
            if c in pending
        ),
    )
    for recent in two.recent:
        recent[:] = [(until, amps) for until, amps in recent if until > two.now]


def _reading(two: Two, side: int) -> Observation:
    fake = two.stations[side]
    fake.offered = [max([truth_a(two, side), *(a for _, a in two.recent[side])])]
    return World._reading(World.__new__(World), fake, two.now)


def _cut(two: Two, side: int) -> None:
    fake = two.stations[side]
    two.wires[side].clear()
    two.answers = [a for a in two.answers if a[0] != side]
    if not fake.connected:
        return
    fake.connected = False
    lost = [c for c, (s, _) in two.sent.items() if s == side and c in two.controller._state.pending]
    two.sent = {c: s for c, s in two.sent.items() if s[0] != side}
    gone = StationDisconnected(at=two.now, station=fake.evse.station, reason="cut")
    _tell(two, gone, *(CommandAnswered(at=two.now, command=c, outcome=Outcome.LOST) for c in lost))


def _come_back(two: Two, side: int, *, boots: bool = False) -> None:
    fake = two.stations[side]
    fake.connected = True
    where = fake.evse.station
    seen: list[Observation] = [StationConnected(at=two.now, station=where, version=fake.version)]
    if boots:
        seen.append(StationBooted(at=two.now, station=where))
    _tell(two, *seen, *_still_charging(two, side))


def _still_charging(two: Two, side: int) -> tuple[Observation, ...]:
    fake = two.stations[side]
    where = {"station": fake.evse.station, "number": fake.evse.number}
    if fake.transaction is None:
        return (EvseStatus(at=two.now, state=EvseState.AVAILABLE, **where),)
    return (
        EvseStatus(at=two.now, state=EvseState.CHARGING, **where),
        TransactionStarted(at=two.now, transaction=fake.transaction, meter_wh=None, started_at=None, **where),
    )


def _restart(two: Two, *, keeps: bool) -> None:
    """Let the controller die and start again: with what its journal holds, or with nothing at all."""
    old = two.controller
    site = old._state.site
    two.answers, two.sent = [], {}
    for wire in two.wires:
        wire.clear()
    first: tuple[Observation, ...] = ()
    if keeps:
        two.controller = _steered(restored(remember(old), site, None, settings=ControlSettings()))
        first = slept(two.controller, two.now)
        woken(two.controller, knows_all=True)
    else:
        two.controller = Steered(site, None, settings=ControlSettings())
    for observation in first:
        two.controller.observe(observation)
    for fake in two.stations:
        fake.connected = False
    for side in (0, 1):
        _come_back(two, side)
    two.controller.steer(SWINGS[two.swing], two.now)
    _tell(two)


def _steered(controller: SiteController) -> Steered:
    out = Steered.__new__(Steered)
    out.__dict__.update(controller.__dict__)
    return out


# What must hold.


def truth_a(two: Two, side: int, when: datetime | None = None) -> float:
    """Return what a station lets its vehicle draw at an instant [A], a vehicle that is slow to follow not counted."""
    return two.stations[side].limit_a(when or two.now)


def violations(two: Two) -> list[str]:
    """Return what must never be seen in a state, now and at every later instant if no further message arrives."""
    out = []
    slow = [max([truth_a(two, s), *(a for until, a in two.recent[s] if until > two.now)]) for s in (0, 1)]
    if sum(slow) > LIMIT_A + 1e-6:
        out.append(f"{slow[0]:g} A + {slow[1]:g} A may flow now")
    for when in _changes(two):
        lagged = when - timedelta(seconds=SETTLE_S - 1)
        later = [max(truth_a(two, s, when), truth_a(two, s, max(lagged, two.now))) for s in (0, 1)]
        if sum(later) > LIMIT_A + 1e-6:
            out.append(f"{later[0]:g} A + {later[1]:g} A would flow in {(when - two.now).total_seconds():g} s")
    state = two.controller._state
    assumed, known = [], True
    for side, record in enumerate(state.evses.values()):
        proven = record.holding.stage is FailSafeStage.READ_BACK
        known = known and proven and standing_of(state, record) in (Standing.OBEYING, Standing.OFFLINE)
        amps = assumed_of(state, record, two.now).envelope.at(two.now.timestamp())
        assumed.append(amps)
        if amps < slow[side] - 1e-6:
            out.append(f"{record.evse.id} is assumed to draw {amps:g} A and may draw {slow[side]:g} A")
    if known and sum(assumed) > LIMIT_A + 1e-6:
        out.append(f"assumed {assumed[0]:g} A + {assumed[1]:g} A")
    return out


def _changes(two: Two) -> list[datetime]:
    """Return the instants at which a station's own profiles change its limit by its own clock."""
    out = set()
    for fake in two.stations:
        own = fake.own_time(two.now)
        schedule = composite_schedule(
            fake.store, evse_id=fake.evse.number, start=own, duration_s=OUTLOOK_S, unit=RateUnit.A
        )
        out |= {two.now + timedelta(seconds=p.start_s) for p in schedule.periods if p.start_s > 0}
    return sorted(out)


# Copies and keys of states.


def copied(thing: Any) -> Any:
    """Return a copy that shares only what never changes."""
    kind = type(thing)
    if kind in _CONSTANT:
        return thing
    if kind is dict:
        return {k: copied(v) for k, v in thing.items()}
    if kind is list:
        return [copied(v) for v in thing]
    if kind is tuple:
        return tuple(copied(v) for v in thing)
    if kind is deque:
        return deque((copied(v) for v in thing), maxlen=thing.maxlen)
    names = _changing(kind)
    if names:
        new = object.__new__(kind)
        for name in names:
            setattr(new, name, copied(getattr(thing, name)))
        return new
    if issubclass(kind, SiteController) or kind in (ProfileStore, AlarmBook):
        new = object.__new__(kind)
        for name, value in thing.__dict__.items():
            setattr(new, name, value if isinstance(value, Allocator) else copied(value))
        return new
    _CONSTANT.add(kind)
    return thing


_CONSTANT: set[type] = {str, int, float, bool, datetime, type(None)}


@cache
def _changing(kind: type) -> tuple[str, ...]:
    """Return the fields of a kind of record that changes; none of a value."""
    if not dataclasses.is_dataclass(kind) or kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return ()
    return tuple(f.name for f in dataclasses.fields(kind))


_LEFT_OUT = {"alarms", "cache", "told", "maxima", "_situation", "heard_at", "triggers", "_layers", "_kept"}
_LEFT_OUT |= {"_allocator", "register_wh", "ledger"}
"""What follows from the rest, or decides nothing here: energy is not planned."""

_VALUES: dict[int, tuple[Any, int]] = {}
"""Hashes of values, with the values themselves, so that nothing else takes their place in memory."""

MOST_VALUES = 500_000


def key_of(two: Two) -> int:
    """Return what tells states apart; answers that wait come in any order, whenever they were given."""
    answers = sorted((side, key(dataclasses.replace(seen, at=two.now)), again) for side, seen, again in two.answers)
    return hash((key(dataclasses.replace(two, answers=[])), tuple(answers)))


def key(thing: Any) -> int:
    """Return what tells a part of states apart."""
    return _way_to_key(type(thing))(thing)


@cache
def _way_to_key(kind: type) -> Callable[[Any], int]:
    if kind is Site or kind is Allocator:
        return lambda thing: 0
    if kind is dict:
        return lambda thing: hash(tuple(sorted([(hash(k), key(v)) for k, v in thing.items()])))
    if kind in (list, tuple, deque):
        return lambda thing: hash(tuple([key(v) for v in thing]))
    if kind is np.ndarray:
        return lambda thing: hash(thing.tobytes())
    if kind is ProfileStore:
        return lambda thing: hash((key(thing.profiles), key(thing._transactions)))
    if issubclass(kind, SiteController):
        return lambda thing: key({n: v for n, v in thing.__dict__.items() if n not in _LEFT_OUT})
    if dataclasses.is_dataclass(kind):
        names = tuple(f.name for f in dataclasses.fields(kind) if f.name not in _LEFT_OUT)
        fields = _FieldsKey(names)
        hashed = not _changing(kind) and kind.__hash__ is not object.__hash__
        return _ValueKey(fields) if hashed else fields
    return hash


@dataclass(frozen=True, slots=True)
class _FieldsKey:
    names: tuple[str, ...]

    def __call__(self, thing: Any) -> int:
        return hash(tuple([key(getattr(thing, name)) for name in self.names]))


@dataclass(frozen=True, slots=True)
class _ValueKey:
    """Of values that never change: reckoned once."""

    fields: _FieldsKey

    def __call__(self, thing: Any) -> int:
        known = _VALUES.get(id(thing))
        if known is None:
            if len(_VALUES) >= MOST_VALUES:
                _VALUES.clear()
            try:
                known = (thing, hash(thing))
            except TypeError:  # it holds a list or a table
                known = (thing, self.fields(thing))
            _VALUES[id(thing)] = known
        return known[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """What an exploration saw."""

    depth: int
    states: int
    steps: int
    found: tuple[tuple[tuple[Event, ...], tuple[str, ...]], ...]


def explore(start: Two, depth: int, *, most_found: int = 1) -> Explored:
    """Go through every sequence of events up to a depth, what follows from a state once."""
    seen = {key_of(start): depth}
    steps, found = 0, list[tuple[tuple[Event, ...], tuple[str, ...]]]()
    stack = [(start, (), iter(tuple(events(start))))]
    while stack and len(found) < most_found:
        two, path, left = stack[-1]
        event = next(left, None)
        if event is None:
            stack.pop()
            continue
        steps += 1
        new = after(two, event)
        name, remaining = key_of(new), depth - len(path) - 1
        known = seen.get(name)
        if known is None:
            wrong = violations(new)
            if wrong:
                found.append(((*path, event), tuple(wrong)))
        if known is None or known < remaining:
            seen[name] = remaining
            if remaining:
                stack.append((new, (*path, event), iter(tuple(events(new)))))
    return Explored(depth=depth, states=len(seen), steps=steps, found=tuple(found))


def main() -> None:
    """Explore to the depth that is named: from each start, or from the one that is numbered 0 to 3."""
    depth, *chosen = (int(a) for a in sys.argv[1:])
    starts = [(6.0, True), (6.0, False), (0.0, True), (0.0, False)]
    for fallback_a, proven in [starts[i] for i in chosen] or starts:
        start = after(settled_pair(fallback_a=fallback_a, proven=proven), ("swing", 0))
        told = explore(start, depth, most_found=3)
        print(
            f"depth {depth}, fallback {fallback_a:g} A, proven {proven}: {told.states} states, {told.steps} steps, "
            f"{len(told.found)} violations",
            flush=True,
        )
        for path, wrong in told.found:
            print(*path, *wrong, sep="\n  ")


if __name__ == "__main__":
    main()
