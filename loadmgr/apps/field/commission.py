"""``loadmgr commission``: one EVSE after the other is stepped against the site's meters, to see how it is really wired.

Rules
-----
1. What a meter shows is compared before, during and after a step, so that a building that drifts is seen as doubt.
2. One phase in use shows which grid phase is behind the EVSE's L1; two show a pair; three show only that all are there.
   Nothing more is claimed: a sheet that says "as the file says" was seen to be so as far as the vehicle shows it.
3. Circuits are told apart only where they have meters. Stations that were swapped show by where the vehicle appears.
4. Each EVSE is left with the site's own fail-safe and without a lease: the next one is tried while it may still charge.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from loadmgr.apps.field.bench import Bench, Operator
from loadmgr.control.observation import EvseReading, Outcome
from loadmgr.control.sending.profiles import fallback_a
from loadmgr.model.ids import CircuitId, MeterId
from loadmgr.model.topology import Evse, Phase, PhaseAmps, Site

STEP_A = 6.0
SEEN_RATIO = 0.5
"""A phase rose where it shows at least this share of what the EVSE drew more."""

SCALE_RATIO = 0.25
"""A meter that is off by more than this share has the wrong transformers, or the wrong scale."""

NOISE_A = 1.5
"""A meter that does not come back to where it was within this has seen something else [A]."""


class Meters(Protocol):
    """The meters of the site."""

    async def read(self, meter: MeterId) -> PhaseAmps | None:
        """Return what a meter shows on L1, L2, L3 now [A]; ``None`` where it shows nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step of an EVSE was seen to do.

    Parameters
    ----------
    own_a : tuple of float
        What it drew more on its own L1, L2, L3 [A].
    rise_a : dict
        What each meter showed more on L1, L2, L3 [A].
    drift_a : dict
        How far each meter was off its first reading when the step was over [A], the worst phase.
    lag_s : float, optional
        From the station's answer to the step on the grid's meter [s].
    """

    own_a: PhaseAmps
    rise_a: Mapping[MeterId, PhaseAmps]
    drift_a: Mapping[MeterId, float]
    lag_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """How an EVSE was found to be wired.

    Parameters
    ----------
    phases : str
        The grid phases on which it was seen, such as ``L2``.
    circuits : tuple of CircuitId
        Metered circuits that rose with it.
    faults : tuple of str
        What is not as the site file says, and what would be right.
    """

    evse: Evse
    phases: str = ""
    circuits: tuple[CircuitId, ...] = ()
    lag_s: float | None = None
    faults: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long is waited for what [s]."""

    vehicle_s: float = 600.0
    settle_s: float = 60.0
    reading_s: float = 60.0
    lag_s: float = 60.0
    elsewhere_s: float = 30.0


class Commissioner:
    """Steps the EVSEs of a site.

    Parameters
    ----------
    bench : Bench
        With every station of the site.
    operator : Operator
    meters : Meters
    """

    def __init__(
        self, site: Site, bench: Bench, operator: Operator, meters: Meters, *, pace: Pace | None = None
    ) -> None:
        self._site, self._bench, self._operator, self._meters = site, bench, operator, meters
        self._pace = pace or Pace()

    async def run(self, evses: tuple[Evse, ...]) -> tuple[Wiring, ...]:
        """Return how each EVSE was found to be wired."""
        return tuple([await self._one(evse) for evse in evses])

    async def _one(self, evse: Evse) -> Wiring:
        bench, pace = self._bench, self._pace
        asked = await self._operator.do(
            f"plug a vehicle in at {evse.id} (station {evse.station}, EVSE {evse.number}) and let it charge; one that"
            " charges on a single phase shows the rotation best"
        )
        seen, before = bench.seen[evse.station], self._charging()
        here = asked and await bench.until(
            lambda: evse.number in seen.transactions or self._charging() > before, at_most_s=pace.vehicle_s
        )
        here = here and await bench.until(lambda: evse.number in seen.transactions, at_most_s=pace.elsewhere_s)
        if not here:
            elsewhere = sorted(self._charging() - before)
            fault = (
                f"a vehicle began to charge at {', '.join(elsewhere)} instead: stations may be swapped, or their ids"
            )
            return Wiring(evse=evse, faults=(fault,) if elsewhere else (), note="not tried: no vehicle")
        await bench.read_capabilities(evse.station)
        step = await self._step(evse)
        left = await self._leave(evse)
        if isinstance(step, str):
            return Wiring(evse=evse, faults=left, note=f"not tried: {step}")
        found = judge(self._site, evse, step)
        self._operator.tell(f"{evse.id}: {found.phases or 'nothing'} on {', '.join(found.circuits) or 'no meter'}")
        return replace(found, faults=(*found.faults, *left))

    def _charging(self) -> frozenset[str]:
        """Return the EVSEs at which a transaction runs, in words."""
        evses, seen = self._site.evses, self._bench.seen
        return frozenset(f"{e.id} (station {e.station})" for e in evses if e.number in seen[e.station].transactions)

    async def _leave(self, evse: Evse) -> tuple[str, ...]:
        """End the lease of the steps and install the site's own fail-safe; return what was not taken of it."""
        left_a = fallback_a(self._site, evse)
        await self._bench.limit(evse.station, evse.number, left_a, lease_s=1)
        answered = await self._bench.fall_back_to(evse.station, evse.number, left_a)
        if answered.outcome is Outcome.ACCEPTED:
            return ()
        return (f"{evse.id} did not take its fail-safe of {left_a:g} A: {answered.reason or answered.outcome.value}",)

    async def _step(self, evse: Evse) -> Step | str:
        """Step an EVSE up and down; return what was seen, or why it could not be."""
        low_a, high_a = evse.min_a, min(evse.max_a, evse.min_a + STEP_A)
        before = await self._at(evse, low_a)
        if isinstance(before, str):
            return before
        base = await self._read_all()
        answered = await self._bench.limit(evse.station, evse.number, high_a, lease_s=1800)
        if answered.outcome is not Outcome.ACCEPTED:
            return f"it refused {high_a:g} A: {answered.reason or answered.outcome.value}"
        lag_s = await self._lag_s(base, high_a - low_a)
        during = await self._at(evse, high_a)
        if isinstance(during, str):
            return during
        top = await self._read_all()
        after = await self._at(evse, low_a)
        end = await self._read_all()
        rise = {m: _less(top[m], _mean(base[m], end[m])) for m in base if m in top and m in end}
        if isinstance(after, str):
            return after
        return Step(
            own_a=_less(during, _mean(before, after)),
            rise_a=rise,
            drift_a={m: max(abs(a) for a in _less(end[m], base[m])) for m in rise},
            lag_s=lag_s,
        )

    async def _at(self, evse: Evse, current_a: float) -> PhaseAmps | str:
        """Limit an EVSE and return what it draws once it has settled, on its own phases [A]; or why not."""
        bench = self._bench
        answered = await bench.limit(evse.station, evse.number, current_a, lease_s=1800)
        if answered.outcome is not Outcome.ACCEPTED:
            return f"it refused {current_a:g} A: {answered.reason or answered.outcome.value}"
        await bench.rest(self._pace.settle_s)
        asked_at = bench.clock.now()
        amps = await bench.draw_a(evse.station, evse.number, after=asked_at, at_most_s=self._pace.reading_s)
        reading = bench.seen[evse.station].readings.get(evse.number)
        if amps is None or reading is None:
            return "the station sent no reading of its current"
        return _own_a(reading, amps, len(evse.phases))

    async def _read_all(self) -> dict[MeterId, PhaseAmps]:
        out = {}
        for meter in self._site.meters:
            shown = await self._meters.read(meter.id)
            if shown is not None:
                out[meter.id] = shown
        return out

    async def _lag_s(self, base: Mapping[MeterId, PhaseAmps], step_a: float) -> float | None:
        """Return how long the grid's meter takes to show a step [s]; ``None`` where it does not, or there is none."""
        root = next((m.id for m in self._site.meters if m.circuit == self._site.root.id and m.id in base), None)
        if root is None:
            return None
        clock, began_s = self._bench.clock, self._bench.clock.now_s()
        while clock.now_s() < began_s + self._pace.lag_s:
            shown = await self._meters.read(root)
            if shown is not None and max(abs(a) for a in _less(shown, base[root])) >= SEEN_RATIO * step_a:
                return clock.now_s() - began_s
            await self._bench.rest(0.5)
        return None


def judge(site: Site, evse: Evse, step: Step) -> Wiring:
    """Return how an EVSE is wired, from what a step of it showed."""
    drawn_a = max(step.own_a)
    if drawn_a < 2.0:
        return Wiring(evse=evse, note=f"its vehicle drew only {drawn_a:.1f} A more: use one that is not full")
    path = {c.id for c in site.path(evse.circuit)}
    rose: dict[CircuitId, tuple[Phase, ...]] = {}
    faults: list[str] = []
    for meter in site.meters:
        rise = step.rise_a.get(meter.id)
        if rise is None:
            faults.append(f"meter {meter.id} shows nothing")
            continue
        fell = [p.name for p in Phase if rise[p] <= -SEEN_RATIO * drawn_a]
        if fell:
            faults.append(f"meter {meter.id} fell on {', '.join(fell)}: its transformer there is mounted the wrong way")
        phases = tuple(p for p in Phase if abs(rise[p]) >= SEEN_RATIO * drawn_a)
        if phases:
            rose[meter.circuit] = phases
            faults += _scale_faults(meter.id, rise, phases, drawn_a)
        if step.drift_a[meter.id] > NOISE_A:
            faults.append(
                f"meter {meter.id} moved by {step.drift_a[meter.id]:.1f} A on its own: repeat when it is calm"
            )
    faults += _circuit_faults(site, evse, rose, path)
    phases = next((rose[c.id] for c in site.path(evse.circuit) if c.id in rose), ())
    phases = phases or next(iter(rose.values()), ())
    faults += _phase_faults(evse, step.own_a, phases) if rose else []
    return Wiring(
        evse=evse,
        phases="".join(p.name for p in phases),
        circuits=tuple(rose),
        lag_s=step.lag_s,
        faults=tuple(faults),
        note=_seen_note(step.own_a),
    )


def _scale_faults(meter: MeterId, rise_a: PhaseAmps, phases: tuple[Phase, ...], drawn_a: float) -> list[str]:
    shown_a = sum(abs(rise_a[p]) for p in phases) / len(phases)
    if abs(shown_a / drawn_a - 1.0) <= SCALE_RATIO:
        return []
    return [f"meter {meter} shows {shown_a:.1f} A of {drawn_a:.1f} A: wrong scale, or wrong current transformers"]


def _circuit_faults(
    site: Site, evse: Evse, rose: Mapping[CircuitId, tuple[Phase, ...]], path: set[CircuitId]
) -> list[str]:
    if not rose:
        return [f"{evse.id} draws and no meter sees it: it hangs elsewhere, or the meters are dead"]
    strangers = [c for c in rose if c not in path]
    out = [f"{evse.id} is seen on circuit {c}, the site file puts it on {evse.circuit}" for c in strangers]
    metered = {m.circuit for m in site.meters}
    out += [
        f"{evse.id} is not seen on circuit {c}, through which the site file feeds it"
        for c in (c.id for c in site.path(evse.circuit))
        if c in metered and c not in rose
    ]
    return out


def _phase_faults(evse: Evse, own_a: PhaseAmps, phases: tuple[Phase, ...]) -> list[str]:
    used = [i for i, a in enumerate(own_a[: len(evse.phases)]) if a >= SEEN_RATIO * max(own_a)]
    if any(a >= SEEN_RATIO * max(own_a) for a in own_a[len(evse.phases) :]):
        return [f"{evse.id} draws on more phases than the {len(evse.phases)} of the site file"]
    expected = {evse.phases[i] for i in used}
    if expected == set(phases):
        return []
    said = "".join(f"L{p + 1}" for p in sorted(expected))
    found = "".join(p.name for p in phases) or "no phase"
    if len(phases) < len(used):
        return [f"{evse.id} draws on {len(used)} phases and {found} rose: a phase is missing or connected twice"]
    advice = f"; write phases: {_cycle(phases[0], len(evse.phases))}" if len(used) == 1 and len(phases) == 1 else ""
    return [f"{evse.id} is on {found} where the site file says {said}{advice}"]


def _cycle(first: Phase, count: int) -> str:
    """Return the phases that follow each other from one on, as electricians rotate them."""
    return "".join(f"L{(first + i) % 3 + 1}" for i in range(count))


def _seen_note(own_a: PhaseAmps) -> str:
    used = sum(1 for a in own_a if a >= SEEN_RATIO * max(own_a))
    if used == 1:
        return "a single phase: its L1 is seen"
    return "two phases: seen as a pair" if used == 2 else "three phases: their order is not seen"


def _own_a(reading: EvseReading, peak_a: float, phases: int) -> PhaseAmps:
    if reading.currents_a is not None and any(a is not None for a in reading.currents_a):
        a, b, c = (amps or 0.0 for amps in reading.currents_a)
        return (a, b, c)
    return (peak_a, peak_a if phases > 1 else 0.0, peak_a if phases > 2 else 0.0)


def _less(a: PhaseAmps, b: PhaseAmps) -> PhaseAmps:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def _mean(a: PhaseAmps, b: PhaseAmps) -> PhaseAmps:
    return ((a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0, (a[2] + b[2]) / 2.0)
