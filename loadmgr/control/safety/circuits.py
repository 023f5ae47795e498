"""The circuits of a site as rows of a table, and the load that has to be assumed on them over time.

Rules
-----
1. A row is one limit: of a circuit and phase [A], or of a circuit's power [W]. Where there is no limit there is no row.
2. A load is the sum of what has to be assumed of every EVSE below, and of the side loads at their worst: profiles
   outlive the controller, and then nobody is left to make room for the building.
3. Loads are looked at from now on, at every instant at which one of them changes: nothing is pushed that would not fit
   later if no further message got through.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from loadmgr.control.safety.assumption import Assumed
from loadmgr.control.safety.envelope import Envelope
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.topology import Phase, PhaseAmps, PhaseLimits, Site
from loadmgr.model.units import CURRENT_TOLERANCE_A

Floats = NDArray[np.float64]

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
    """

    circuits: tuple[CircuitId, ...]
    columns: tuple[int, ...]
    limit: Floats
    base: Floats

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
    circuits: list[CircuitId] = []
    columns: list[int] = []
    limit: list[float] = []
    base: list[float] = []
    below = side_loads_below(site, side_loads_a)
    for circuit in site.circuits:
        held = limits[circuit.id]
        for phase in Phase:
            bound = held.limit_a[phase]
            if bound is not None:
                circuits.append(circuit.id)
                columns.append(int(phase))
                limit.append(bound)
                base.append(below[circuit.id][phase])
        if held.limit_w is not None:
            circuits.append(circuit.id)
            columns.append(POWER)
            limit.append(held.limit_w)
            base.append(float(np.sum(below[circuit.id])) * site.voltage_v)
        if held.vehicles_w is not None:
            circuits.append(circuit.id)
            columns.append(VEHICLES)
            limit.append(held.vehicles_w)
            base.append(0.0)
    return CircuitRows(tuple(circuits), tuple(columns), np.array(limit), np.array(base))


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
        followed = {e: a for e, a in assumed.items() if a.next_phases and max(a.next_envelope.limits_a) > 0.0}
        changes = {s for a in assumed.values() for s in a.envelope.starts_s if s > now_s}
        changes.update(s for a in followed.values() for s in a.next_envelope.starts_s if s > now_s)
        changes.update(s for s in marks_s if s > now_s)
        self.times_s: tuple[float, ...] = (now_s, *sorted(s for s in changes if s < until_s))
        self._site = site
        self._evses = tuple(assumed)
        self._index = {evse: i for i, evse in enumerate(self._evses)}
        self._weights_of: dict[tuple[CircuitId, tuple[Phase, ...]], Floats] = {}
        self._weights = np.stack([self._weight(e, assumed[e].phases) for e in self._evses], axis=1)
        self._drawing: dict[EvseId, list[int]] = {}
        self._currents = np.array([self._values(assumed[e].envelope) for e in self._evses])
        self.load: Floats = rows.base[:, None] + self._weights @ self._currents
        for evse, each in followed.items():
            self.load += np.outer(self._weight(evse, each.next_phases), self._values(each.next_envelope))

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
        """Return the rows on which an EVSE draws."""
        if evse not in self._drawing:
            self._drawing[evse] = np.flatnonzero(self._weights[:, self._index[evse]] > 0.0).tolist()
        return self._drawing[evse]

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
        drawing = self.rows_of(evse)
        less = self._currents[index] < wanted_a
        if anew:
            less = less | (self.load[drawing] > self.rows.limit[drawing, None] + CURRENT_TOLERANCE_A).any(axis=0)
        span = [i for i, s in enumerate(self.times_s) if s < until_s and less[i]]
        if not drawing or not span:
            return wanted_a, None
        weights = self._weights[drawing, index]
        slack = (self.rows.limit[drawing, None] - self.load[drawing][:, span]) / weights[:, None]
        room = (slack + self._currents[index, span][None, :]).min(axis=1)
        tightest = int(room.argmin())
        if room[tightest] >= wanted_a - CURRENT_TOLERANCE_A:
            return wanted_a, None
        return float(room[tightest]), drawing[tightest]

    def room_on_a(self, evse: EvseId, phases: tuple[Phase, ...]) -> float:
        """Return how much current an EVSE could draw on some phases in place of what it counts with [A per phase]."""
        index, room = self._index[evse], float("inf")
        weights = self._weight(evse, phases)
        own = np.outer(self._weights[:, index], self._currents[index])
        slack = self.rows.limit - (self.load - own).max(axis=1) if len(self.rows.limit) else np.zeros(0)
        for row in np.flatnonzero(weights > 0.0):
            room = min(room, float(slack[row] / weights[row]))
        return room

    def take(self, evse: EvseId, current_a: float, *, until_s: float) -> None:
        """Count a current that an EVSE may have from now until an instant, beside what is assumed of it already."""
        index = self._index[evse]
        before = self._currents[index].copy()
        for i, s in enumerate(self.times_s):
            if s < until_s:
                self._currents[index, i] = max(before[i], current_a)
        self.load += np.outer(self._weights[:, index], self._currents[index] - before)

    def lower(self, evse: EvseId, current_a: float) -> None:
        """Count no more than a current for an EVSE, at any instant."""
        index = self._index[evse]
        before = self._currents[index].copy()
        self._currents[index] = np.minimum(before, current_a)
        self.load += np.outer(self._weights[:, index], self._currents[index] - before)

    def excess_a(self, row: int, evse: EvseId) -> float | None:
        """Return by how much an EVSE would have to go down for a row to fit [A per phase]; ``None`` if not on it."""
        weight = float(self._weights[row, self._index[evse]])
        return None if weight <= 0.0 else float(self.load[row].max() - self.rows.limit[row]) / weight

    def slack_now_a(self, row: int, evse: EvseId) -> float:
        """Return how much more current of an EVSE a row takes at this instant [A per phase]."""
        weight = float(self._weights[row, self._index[evse]])
        return float(self.rows.limit[row] - self.load[row, 0]) / weight

    def drawing_now(self, row: int) -> list[EvseId]:
        """Return the EVSEs that load a row at this instant, the heaviest first."""
        share = self._weights[row] * self._currents[:, 0]
        order = sorted(range(len(self._evses)), key=lambda i: (-share[i], i))
        return [self._evses[i] for i in order if share[i] > 0.0]
