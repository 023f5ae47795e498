"""The circuits of a site as rows of a table, and the load that has to be assumed on them over time.

Rules
-----
1. A row is one limit: of a circuit and phase [A], or of a circuit's power [W]. Where there is no limit there is no row.
2. A load is the sum of what has to be assumed of every EVSE below, and of the side loads at their worst: profiles
   outlive the controller, and then nobody is left to make room for the building.
3. Loads are looked at from now on, at every instant at which one of them changes: nothing is pushed that would not fit
   later if no further message got through.
4. A limit of the site itself is a second row, one that lasts: on it an EVSE counts with no less than whoever takes the
   place of its vehicle would draw, because a lease ends with its transaction and nobody may be left to hear of it. What
   is told from outside (dimming) is no such row: fail-safes are no answer to it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from loadmgr.control.safety.assumption import Assumed
from loadmgr.control.safety.envelope import Envelope
from loadmgr.model.failsafe import FailSafeStrategy
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.topology import Phase, PhaseAmps, PhaseLimits, Site
from loadmgr.model.units import CURRENT_TOLERANCE_A

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

POWER = 3
"""Column of a row that limits power instead of a phase's current."""

VEHICLES = 4
"""Column of a row that limits the power of EVSEs alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits in force on a circuit: the site's own and those from outside, the lower of both.

    ``vehicles_w`` is of the EVSEs below it together, without side loads.
    """

    limit_a: PhaseLimits
    limit_w: float | None
    vehicles_w: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CircuitRows:
    """Limits as rows.

    Parameters
    ----------
    circuits : tuple of CircuitId
        Circuit of each row.
    columns : tuple of int
        Phase of each row, or ``POWER``, or ``VEHICLES``.
    limit : (n_row,)
        In A, or W where the column is no phase.
    base : (n_row,)
        Side loads, in the same unit.
    lasting : (n_row,)
        Rows on which who comes next counts too.
    """

    circuits: tuple[CircuitId, ...]
    columns: tuple[int, ...]
    limit: Floats
    base: Floats
    lasting: Bools

    def name(self, row: int) -> str:
        """Return what a row limits, in words."""
        column = self.columns[row]
        if column == POWER:
            return f"the power of {self.circuits[row]}"
        if column == VEHICLES:
            return f"the power of the vehicles on {self.circuits[row]}"
        return f"{self.circuits[row]} on {Phase(column).name}"


def build_rows(
    site: Site, limits: Mapping[CircuitId, Limits], side_loads_a: Mapping[CircuitId, PhaseAmps]
) -> CircuitRows:
    """Return the rows of a site under the limits and side loads that hold now.

    Parameters
    ----------
    site : Site
    limits : mapping
        Of every circuit.
    side_loads_a : mapping
        Load beside EVSEs and child circuits that hangs on a circuit itself [A].
    """
    below = side_loads_below(site, side_loads_a)
    held = [row for circuit in site.circuits for row in _rows_of(circuit.id, limits[circuit.id])]
    lasting: list[tuple[CircuitId, int, float]] = []
    if site.failsafe.strategy is not FailSafeStrategy.ZERO:  # else who comes next draws nothing
        own = ((c.id, Limits(limit_a=c.limit_a, limit_w=c.limit_w)) for c in site.circuits)
        lasting = [row for circuit, limit in own for row in _rows_of(circuit, limit)]
    base = []
    for circuit, column, _ in held + lasting:
        loads_a = below[circuit]
        watts = float(np.sum(loads_a)) * site.voltage_v
        base.append(0.0 if column == VEHICLES else watts if column == POWER else float(loads_a[column]))
    return CircuitRows(
        circuits=tuple(circuit for circuit, _, _ in held + lasting),
        columns=tuple(column for _, column, _ in held + lasting),
        limit=np.array([limit for _, _, limit in held + lasting]),
        base=np.array(base),
        lasting=np.arange(len(held) + len(lasting)) >= len(held),
    )


def _rows_of(circuit: CircuitId, held: Limits) -> list[tuple[CircuitId, int, float]]:
    """Return circuit, column and limit of the rows of a circuit."""
    columns = [*zip(Phase, held.limit_a, strict=True), (POWER, held.limit_w), (VEHICLES, held.vehicles_w)]
    return [(circuit, int(column), bound) for column, bound in columns if bound is not None]


def side_loads_below(site: Site, side_loads_a: Mapping[CircuitId, PhaseAmps]) -> dict[CircuitId, Floats]:
    """Return the side loads of every circuit and all below it [A]."""
    below = {c.id: np.zeros(3) for c in site.circuits}
    for circuit in site.circuits:
        own = side_loads_a.get(circuit.id)
        if own is not None:
            for above in site.path(circuit.id):
                below[above.id] += np.array(own)
    return below


def whole_limit_w(site: Site, circuit: CircuitId, held: Limits, below_a: Mapping[CircuitId, Floats]) -> float | None:
    """Return the limit of the whole power [W]: one of vehicles alone lies above it by the side loads below."""
    if held.vehicles_w is None:
        return held.limit_w
    whole_w = held.vehicles_w + float(below_a[circuit].sum()) * site.voltage_v
    return whole_w if held.limit_w is None else min(held.limit_w, whole_w)


class LoadBook:
    """What every row carries from now on, and what still fits.

    Parameters
    ----------
    site : Site
    rows : CircuitRows
    assumed : mapping
        What has to be assumed of every EVSE.
    now : datetime
    marks_s : sequence of float
        Further instants [POSIX s] at which a load may come to change, such as the end of a lease to be sent.
    until_s : float
        Later instants [POSIX s] are not looked at: setpoints are taken to last, and no lease lasts longer.

    Attributes
    ----------
    load : (n_row, n_time)
    kept : (n_row,)
        Of it for so many vehicles that may plug in at once, where only so many do.
    """

    def __init__(
        self,
        site: Site,
        rows: CircuitRows,
        assumed: Mapping[EvseId, Assumed],
        *,
        now: datetime,
        marks_s: Sequence[float] = (),
        until_s: float = math.inf,
    ) -> None:
        self.rows = rows
        now_s = now.timestamp()
        changes = {s for a in assumed.values() for s in a.envelope.starts_s if s > now_s}
        changes.update(s for a in assumed.values() for s in a.next_envelope.starts_s if s > now_s)
        changes.update(s for s in marks_s if s > now_s)
        self.times_s: tuple[float, ...] = (now_s, *sorted(s for s in changes if s < until_s))
        self._site = site
        self._evses = tuple(assumed)
        self._index = {evse: i for i, evse in enumerate(self._evses)}
        self._weights_of: dict[tuple[CircuitId, tuple[Phase, ...]], Floats] = {}
        self.kept: Floats = np.zeros(len(rows.limit))
        self._drawing: dict[int, list[int]] = {}
        self._weights = np.stack([self._weight(e, assumed[e].phases) for e in self._evses], axis=1)
        self._currents = np.array([self._values(a.envelope) for a in assumed.values()])
        coming_a = np.array([self._values(a.next_envelope) for a in assumed.values()])
        free = np.stack([self._weight(e, assumed[e].next_phases) for e in self._evses], axis=1)
        starts = site.failsafe.reserve_starts
        self._next = coming_a if starts is None else np.zeros_like(coming_a)
        over_a = np.array([a.over_a for a in assumed.values()])
        self.load: Floats = (rows.base + self._weights @ over_a)[:, None] + self._weights @ self._currents
        last = rows.lasting
        self.load[last] += self._weights[last] @ (np.maximum(self._currents, self._next) - self._currents)
        if starts is None:
            self.load += free @ coming_a
        else:
            self.kept = self._kept(free, coming_a, starts)
            self.load += self.kept[:, None]

    def _kept(self, free: Floats, coming_a: Floats, starts: int) -> Floats:
        """Return what is kept of each row for the vehicles that would add most, whenever they come, ``(n_row,)``."""
        beyond_a = np.maximum(coming_a - self._currents, 0.0).max(axis=1)
        adds = free * coming_a.max(axis=1) + self.rows.lasting[:, None] * self._weights * beyond_a
        return np.asarray(np.sort(adds, axis=1)[:, ::-1][:, :starts].sum(axis=1))

    def _weight(self, evse: EvseId, phases: tuple[Phase, ...]) -> Floats:
        circuit = self._site.evse_by_id[evse].circuit
        known = self._weights_of.get((circuit, phases))
        if known is None:
            known = self._weights_of[circuit, phases] = self._weight_at(circuit, phases)
        return known

    def _weight_at(self, circuit: CircuitId, phases: tuple[Phase, ...]) -> Floats:
        on_path = {c.id for c in self._site.path(circuit)}
        weights = [
            0.0
            if c not in on_path
            else len(phases) * self._site.voltage_v
            if column in (POWER, VEHICLES)
            else float(column in phases)
            for c, column in zip(self.rows.circuits, self.rows.columns, strict=True)
        ]
        return np.array(weights, dtype=np.float64)

    def _values(self, envelope: Envelope) -> list[float]:
        return [envelope.at(s) for s in self.times_s]

    def overfull(self) -> list[int]:
        """Return the rows whose limit the assumed load exceeds at some instant."""
        if not len(self.rows.limit):
            return []
        over = (self.load > self.rows.limit[:, None] + CURRENT_TOLERANCE_A).any(axis=1)
        return [int(r) for r in np.flatnonzero(over)]

    def rows_of(self, evse: EvseId) -> list[int]:
        """Return the rows on which an EVSE draws, those that last only where it may draw more than who comes next."""
        index = self._index[evse]
        beyond = bool((self._currents[index] > self._next[index]).any())
        return [r for r in self._drawn_rows(index) if beyond or not self.rows.lasting[r]]

    def _drawn_rows(self, index: int) -> list[int]:
        if index not in self._drawing:
            self._drawing[index] = np.flatnonzero(self._weights[:, index] > 0.0).tolist()
        return self._drawing[index]

    def grant_a(self, evse: EvseId, wanted_a: float, *, until_s: float, anew: bool) -> tuple[float, int | None]:
        """Return how much of a current an EVSE may have from now until an instant, and the row that says so.

        What is assumed of it already is no addition, so only instants at which it has less are looked at. ``None`` as
        row means that no row stands in the way.

        Parameters
        ----------
        anew : bool
            It may have less in truth than is assumed of it. Then instants count too at which a row is too full: those
            who are to make room still draw.
        """
        index = self._index[evse]
        drawing = self._drawn_rows(index)
        if not drawing:
            return wanted_a, None
        limit, load, weights = self.rows.limit[drawing, None], self.load[drawing], self._weights[drawing, index]
        counted, free = self._counted(index, drawing), self._free(index, drawing)
        looked_at = counted < wanted_a
        if anew:
            looked_at |= (load > limit + CURRENT_TOLERANCE_A) & (free < wanted_a)
        looked_at &= np.array(self.times_s) < until_s
        room = np.maximum((limit - load) / weights[:, None] + counted, free)
        least = np.where(looked_at, room, np.inf).min(axis=1)
        tightest = int(least.argmin())
        if least[tightest] >= wanted_a - CURRENT_TOLERANCE_A:
            return wanted_a, None
        return float(least[tightest]), drawing[tightest]

    def _counted(self, index: int, rows: list[int]) -> Floats:
        """Return what an EVSE counts with on some rows over time, ``(n, n_time)``."""
        return np.asarray(np.maximum(self._currents[index], self._free(index, rows)))

    def _free(self, index: int, rows: list[int]) -> Floats:
        """Return up to which current an EVSE adds nothing to some rows, ``(n, n_time)``: what is kept for the next."""
        return np.asarray(np.where(self.rows.lasting[rows, None], self._next[index], -np.inf))

    def room_on_a(self, evse: EvseId, phases: tuple[Phase, ...]) -> float:
        """Return how much current an EVSE could draw on some phases in place of what it counts with [A per phase]."""
        index, room = self._index[evse], float("inf")
        every = list(range(len(self.rows.limit)))
        weights = self._weight(evse, phases)
        own = self._weights[:, index, None] * self._counted(index, every)
        slack = self.rows.limit - (self.load - own).max(axis=1) if every else np.zeros(0)
        for row in np.flatnonzero(weights > 0.0):
            room = min(room, float(slack[row] / weights[row]))
        return room

    def take(self, evse: EvseId, current_a: float, *, until_s: float) -> None:
        """Count a current that an EVSE may have from now until an instant, beside what is assumed of it already."""
        now_a = self._currents[self._index[evse]]
        self._count(evse, np.where(np.array(self.times_s) < until_s, np.maximum(now_a, current_a), now_a))

    def lower(self, evse: EvseId, current_a: float) -> None:
        """Count no more than a current for an EVSE, at any instant."""
        self._count(evse, np.minimum(self._currents[self._index[evse]], current_a))

    def _count(self, evse: EvseId, currents_a: Floats) -> None:
        """Count an EVSE with other currents over time."""
        index, every = self._index[evse], list(range(len(self.rows.limit)))
        before = self._counted(index, every)
        self._currents[index] = currents_a
        self.load += self._weights[:, index, None] * (self._counted(index, every) - before)

    def excess_a(self, row: int, evse: EvseId) -> float | None:
        """Return by how much an EVSE would have to go down for a row to fit [A per phase]; ``None`` if not on it."""
        weight = float(self._weights[row, self._index[evse]])
        return None if weight <= 0.0 else float(self.load[row].max() - self.rows.limit[row]) / weight

    def slack_now_a(self, row: int, evse: EvseId) -> float:
        """Return how much more current of an EVSE a row takes at this instant [A per phase]."""
        weight = float(self._weights[row, self._index[evse]])
        return float(self.rows.limit[row] - self.load[row, 0]) / weight

    def drawing_now(self, row: int) -> list[EvseId]:
        """Return the EVSEs that load a row at this instant, the heaviest first; beyond what is kept for the next."""
        free = self._next[:, 0] if self.rows.lasting[row] else 0.0
        share = self._weights[row] * np.maximum(self._currents[:, 0] - free, 0.0)
        order = sorted(range(len(self._evses)), key=lambda i: (-share[i], i))
        return [self._evses[i] for i in order if share[i] > 0.0]
