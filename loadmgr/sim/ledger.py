"""What every circuit really carried, instant by instant, and a ledger of every time it was too much.

Rules kept here
---------------
1. The ledger knows true currents, not what anybody reported. A current holds from the instant it was entered to the
   next entry; vehicles only fall between two entries (their taper), so what is booked is never less than the truth.
2. States that last no time (several changes at one instant) are not excursions.
3. An excursion that comes back within ``settle_s`` is the same one: nobody earns a fresh reaction time by blinking.
4. ``seconds_above_limit`` counts each excursion beyond its first ``reaction_time_s``, the raw figure counts all of it.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from loadmgr.model.ids import CircuitId
from loadmgr.model.topology import Circuit, Phase, PhaseAmps, Site
from loadmgr.model.units import CURRENT_TOLERANCE_A, POWER_TOLERANCE_W

_PHASES = (Phase.L1, Phase.L2, Phase.L3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excursion:
    """A circuit above its limit for a while.

    Parameters
    ----------
    phase : Phase, optional
        ``None`` where the limit of power was exceeded.
    over_s : float
        Seconds above the limit; less than from ``start`` to ``end`` where it blinked.
    peak, limit : float
        Highest load and the limit, in A, or in W where there is no phase.
    rated_a : float, optional
        Rated current of the fuse.
    cause : str
        What drew too much, in words.
    """

    circuit: CircuitId
    phase: Phase | None
    start: datetime
    end: datetime
    over_s: float
    peak: float
    limit: float
    rated_a: float | None
    cause: str

    @property
    def overload_a(self) -> float:
        """Current above the limit at the peak [A]; 0 for a limit of power."""
        return 0.0 if self.phase is None else self.peak - self.limit

    @property
    def overload_ratio(self) -> float:
        """Peak over rated current, or over the limit where no rating is known."""
        rated = self.limit if self.rated_a is None or self.phase is None else self.rated_a
        return self.peak / rated if rated > 0.0 else math.inf

    def seconds_beyond(self, reaction_time_s: float) -> float:
        """Return the seconds above the limit beyond the first ``reaction_time_s``."""
        return max(0.0, self.over_s - reaction_time_s)

    def row(self) -> dict[str, object]:
        """Return the excursion as a row of a report."""
        unit = "w" if self.phase is None else "a"
        return {
            "circuit": self.circuit,
            "phase": None if self.phase is None else self.phase.name,
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "seconds": round(self.over_s, 3),
            f"peak_{unit}": round(self.peak, 3),
            f"limit_{unit}": self.limit,
            "cause": self.cause,
        }


class LoadLedger:
    """True currents of a site's circuits over time.

    Parameters
    ----------
    site : Site
    start : datetime
        Instant of second 0.
    cause : callable
        Asked once, when an excursion begins, for its cause in words: of the circuit and the phase.
    """

    def __init__(
        self, site: Site, *, start: datetime, cause: Callable[[CircuitId, Phase | None], str] | None = None
    ) -> None:
        self._site = site
        self._start = start
        self._cause = cause or (lambda circuit, phase: "")
        self._now_s = 0.0
        self._sources: dict[CircuitId, dict[str, PhaseAmps]] = {c.id: {} for c in site.circuits}
        self._loads: dict[CircuitId, PhaseAmps] = {c.id: (0.0, 0.0, 0.0) for c in site.circuits}
        self._paths = {c.id: tuple(above.id for above in site.path(c.id)) for c in site.circuits}
        self._dirty: set[CircuitId] = set()
        self._open: dict[tuple[CircuitId, Phase | None], _Open] = {}
        self._ended: dict[tuple[CircuitId, Phase | None], tuple[int, float]] = {}
        self._excursions: list[Excursion] = []
        self.peak_a: dict[CircuitId, PhaseAmps] = dict(self._loads)

    def enter(self, now_s: float, *, source: str, circuit: CircuitId, currents_a: PhaseAmps) -> None:
        """Enter what a source (an EVSE, a building, a plant) draws from ``now_s`` on, import positive [A]."""
        self.advance(now_s)
        if self._sources[circuit].get(source) == currents_a:
            return
        for above in self._paths[circuit]:
            self._sources[above][source] = currents_a
            self._dirty.add(above)

    def advance(self, now_s: float) -> None:
        """Book everything up to ``now_s``."""
        if now_s <= self._now_s:
            return
        self._judge()
        for record in self._open.values():
            record.over_s += now_s - self._now_s
        self._now_s = now_s

    def currents_a(self, circuit: CircuitId) -> PhaseAmps:
        """Return what a circuit carries now [A on L1, L2, L3]."""
        if circuit in self._dirty:
            parts = self._sources[circuit].values()
            self._loads[circuit] = (
                math.fsum(p[0] for p in parts),
                math.fsum(p[1] for p in parts),
                math.fsum(p[2] for p in parts),
            )
        return self._loads[circuit]

    def excursions(self) -> tuple[Excursion, ...]:
        """Return every excursion so far in order of its end, those still open last."""
        still_open = [o.excursion(self._when(self._now_s)) for o in self._open.values()]
        return (*self._excursions, *still_open)

    def _judge(self) -> None:
        """Open and close excursions by the state that has held since the last instant."""
        for circuit_id in sorted(self._dirty):
            circuit = self._site.circuit_by_id[circuit_id]
            loads = self.currents_a(circuit_id)
            peak = self.peak_a[circuit_id]
            self.peak_a[circuit_id] = (max(peak[0], loads[0]), max(peak[1], loads[1]), max(peak[2], loads[2]))
            for phase, limit_a in zip(_PHASES, circuit.limit_a, strict=True):
                if limit_a is not None:
                    self._judge_one(circuit, phase, load=loads[phase], limit=limit_a, tolerance=CURRENT_TOLERANCE_A)
            if circuit.limit_w is not None:
                load_w = math.fsum(loads) * self._site.voltage_v
                self._judge_one(circuit, None, load=load_w, limit=circuit.limit_w, tolerance=POWER_TOLERANCE_W)
        self._dirty.clear()

    def _judge_one(self, circuit: Circuit, phase: Phase | None, *, load: float, limit: float, tolerance: float) -> None:
        key = (circuit.id, phase)
        record = self._open.get(key)
        if load <= limit + tolerance:
            if record is not None:
                del self._open[key]
                self._ended[key] = (len(self._excursions), self._now_s)
                self._excursions.append(record.excursion(self._when(self._now_s)))
            return
        if record is None:
            record = self._open[key] = self._begin(circuit, phase, limit)
        record.peak = max(record.peak, load)

    def _begin(self, circuit: Circuit, phase: Phase | None, limit: float) -> "_Open":
        key = (circuit.id, phase)
        index, ended_s = self._ended.pop(key, (-1, -math.inf))
        if self._now_s - ended_s < self._site.timing.settle_s:
            before = self._excursions.pop(index)
            self._ended = {k: (i - (i > index), s) for k, (i, s) in self._ended.items()}
            return _Open(before, over_s=before.over_s, peak=before.peak)
        now = self._when(self._now_s)
        rated_a = None if phase is None else circuit.rated_a[phase]
        excursion = Excursion(
            circuit=circuit.id,
            phase=phase,
            start=now,
            end=now,
            over_s=0.0,
            peak=0.0,
            limit=limit,
            rated_a=rated_a,
            cause=self._cause(circuit.id, phase),
        )
        return _Open(excursion, over_s=0.0, peak=0.0)

    def _when(self, now_s: float) -> datetime:
        return self._start + timedelta(seconds=now_s)


class _Open:
    """An excursion that goes on."""

    __slots__ = ("_begun", "over_s", "peak")

    def __init__(self, begun: Excursion, *, over_s: float, peak: float) -> None:
        self._begun = begun
        self.over_s = over_s
        self.peak = peak

    def excursion(self, end: datetime) -> Excursion:
        """Return it as it stands at ``end``."""
        return replace(self._begun, end=end, over_s=self.over_s, peak=self.peak)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFigures:
    """The figures of a ledger that a report holds."""

    seconds_above_limit: float
    seconds_above_limit_raw: float
    worst_overload_a: float
    worst_overload_ratio: float


def limit_figures(excursions: Iterable[Excursion], *, reaction_time_s: float) -> LimitFigures:
    """Return the figures of a list of excursions; all are 0 without one."""
    listed = list(excursions)
    return LimitFigures(
        seconds_above_limit=math.fsum(e.seconds_beyond(reaction_time_s) for e in listed),
        seconds_above_limit_raw=math.fsum(e.over_s for e in listed),
        worst_overload_a=max((e.overload_a for e in listed), default=0.0),
        worst_overload_ratio=max((e.overload_ratio for e in listed), default=0.0),
    )
