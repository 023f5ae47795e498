"""The rows of the network: which currents add up where, and what may flow there.

Rules of this file:

1. Every row reads ``sum(coefficient[evse] * current[evse, step]) <= room[row, step]``; coefficients
   do not change in time.
2. ``room`` is what the limit leaves after side loads, never below 0: 0 A for every EVSE always fits, so no problem is
   infeasible. Where a side load alone is above its limit, that is reported, not solved.
3. Water-filling, program and quantising use the same rows. The check must not: it walks the tree by itself.
4. On rows that last (see ``lasting``) only current above what is kept for the next vehicle adds to the load.
"""

from dataclasses import dataclass

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray, IntArray
from loadmgr.allocation.lasting import lasting_rows
from loadmgr.allocation.phasors import ExtraRow, RowKind, extra_rows, needs_phasors
from loadmgr.allocation.problem import NOMINAL_VOLTAGE_V, PHASES, AllocationProblem, CircuitArrays
from loadmgr.allocation.result import Alarm

PLENTY = np.finfo(np.float64).max / 4
"""More than currents add up to; sums of it stay finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowName:
    """What a row stands for: a circuit, the phase (1 to 3) if it is of one, the side of a polygon, if it lasts."""

    kind: RowKind
    circuit: int
    phase: int | None = None
    direction: int = 0
    lasting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkRows:
    """Rows over currents, the same coefficients in every step.

    Parameters
    ----------
    names : tuple of RowName
    row, evse, coefficient : (n_entry,)
        The entries, ordered by EVSE.
    starts : (n_evse + 1,)
        Where the entries of each EVSE start.
    room : (n_row, n_step)
        What may flow; 0 or more.
    applies : (n_row, n_step)
        Where the row is a limit at all.
    overload : (n_row, n_step)
        How much the side loads alone are above the limit; 0 where they are not.
    room_back : (n_row, n_step)
        What may be fed back through a row [same unit]: loads do not add to it, feed-in of side loads does.
    battery_per_kw : (n_row, n_battery)
        What 1 kW of a stationary battery adds to a row.
    feeds_back : (n_evse,)
        Whether the EVSE may feed back at all as far as rows go.
    free_a : (n_entry,), optional
        Up to this current an entry adds nothing [A]; ``None`` where all add from the first ampere.
    """

    names: tuple[RowName, ...]
    row: IntArray
    evse: IntArray
    coefficient: FloatArray
    starts: IntArray
    room: FloatArray
    applies: BoolArray
    overload: FloatArray
    room_back: FloatArray
    battery_per_kw: FloatArray
    feeds_back: BoolArray
    free_a: FloatArray | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.names)

    @property
    def free_room(self) -> FloatArray:
        """The room, and where a row is no limit more than anything could fill, ``(n_row, n_step)``."""
        return np.where(self.applies, self.room, PLENTY)

    @property
    def lasting(self) -> BoolArray:
        """Which rows last, ``(n_row,)``."""
        return np.array([name.lasting for name in self.names], dtype=bool)

    def added(self, entries: slice | IntArray, before_a: FloatArray | float, after_a: FloatArray | float) -> FloatArray:
        """Return what some entries add to their rows when their currents go from one value to another, ``(n,)``.

        Currents are of each entry's EVSE, or of one EVSE whose entries these are.
        """
        if self.free_a is None:
            return np.asarray(self.coefficient[entries] * (after_a - before_a))
        free_a = self.free_a[entries]
        return np.asarray(
            self.coefficient[entries] * (np.maximum(after_a - free_a, 0.0) - np.maximum(before_a - free_a, 0.0))
        )

    def loads(self, current_a: FloatArray) -> FloatArray:
        """Return what currents of all EVSEs, ``(n_evse,)``, add up to in each row, ``(n_row,)``."""
        weights = self.added(slice(None), 0.0, current_a[self.evse])
        return np.bincount(self.row, weights=weights, minlength=self.n_rows).astype(np.float64, copy=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowEntries:
    """Entries of rows, row by row, so that a row's terms stand together.

    Parameters
    ----------
    rows : (n,)
        The rows that have entries here.
    begins : (n,)
        Where the entries of each begin.
    evse, coefficient, free_a : (n_entry,)
        As of ``NetworkRows``.
    """

    rows: IntArray
    begins: IntArray
    evse: IntArray
    coefficient: FloatArray
    free_a: FloatArray | None

    @classmethod
    def of(cls, rows: NetworkRows, *, wanted: BoolArray | None = None) -> "RowEntries":
        """Return the entries of the wanted rows, ``(n_row,)``; of all without."""
        by_row = np.argsort(rows.row, kind="stable")
        if wanted is not None:
            by_row = by_row[wanted[rows.row[by_row]]]
        row = rows.row[by_row]
        begins = np.flatnonzero(np.diff(row, prepend=-1))
        free_a = None if rows.free_a is None else rows.free_a[by_row]
        evse, coefficient = rows.evse[by_row], rows.coefficient[by_row]
        return cls(rows=row[begins], begins=begins, evse=evse, coefficient=coefficient, free_a=free_a)

    def sums(self, current_a: FloatArray) -> FloatArray:
        """Return what currents ``(n_evse, n_step)`` add up to in each of these rows, ``(n, n_step)``."""
        if not len(self.rows):
            return np.zeros((0, current_a.shape[1]))
        # Water-filling holds its currents the other way round in memory, and gathering from there is slow.
        terms = np.ascontiguousarray(current_a)[self.evse]
        if self.free_a is not None:
            np.maximum(terms - self.free_a[:, None], 0.0, out=terms)
        terms *= self.coefficient[:, None]
        return np.asarray(np.add.reduceat(terms, self.begins, axis=0))


def may_fill_up(rows: NetworkRows, most_a: FloatArray, *, beside: FloatArray | float = 0.0) -> BoolArray:
    """Return which rows these currents ``(n_evse, n_step)`` could fill up in any step, judged by their extremes.

    Parameters
    ----------
    rows : NetworkRows
    most_a : (n_evse, n_step)
        The most that each EVSE may have.
    beside : (n_row,), optional
        What batteries may add to each row.
    """
    most = most_a.max(axis=1, initial=0.0)[rows.evse]
    if rows.free_a is not None:
        most = np.maximum(most - rows.free_a, 0.0)
    most *= np.maximum(rows.coefficient, 0.0)
    load = np.bincount(rows.row, weights=most, minlength=rows.n_rows) + beside
    least = np.where(rows.applies, rows.room, np.inf).min(axis=1, initial=np.inf)
    return np.asarray(load > least)


def network_rows(problem: AllocationProblem) -> NetworkRows:
    """Return the rows of a problem: one per limited phase and one per limited power of each circuit, and extra ones.

    Notes
    -----
    Star network with equal power factors: the currents of a phase add up arithmetically, which is exact. What feeds
    back relieves nothing: a vehicle may stop doing so at any moment. It has rows of its own, the same the other way.
    """
    circuits = problem.circuits
    chain, in_chain = _padded_ancestry(circuits)
    side_a = _accumulated(circuits, chain, in_chain, circuits.side_load_a)
    mixed = needs_phasors(problem)
    phase_used: BoolArray = np.asarray(circuits.limit_a_applies.any(axis=2))
    phase_used[mixed] = False
    power_used: BoolArray = np.asarray(circuits.limit_w_applies.any(axis=1))
    row, evse, coefficient = _star_entries(problem, chain, in_chain, phase_used=phase_used, power_used=power_used)

    circuit_of, phase_of = np.nonzero(phase_used)
    names = [RowName(kind="phase", circuit=int(c), phase=int(p) + 1) for c, p in zip(circuit_of, phase_of, strict=True)]
    names += [RowName(kind="power", circuit=int(c)) for c in np.flatnonzero(power_used)]
    side_w = side_a.sum(axis=1) * NOMINAL_VOLTAGE_V
    room = np.concatenate([(circuits.limit_a - side_a)[phase_used], (circuits.limit_w - side_w)[power_used]])
    back_a, back_w = circuits.limit_a + np.minimum(side_a, 0.0), circuits.limit_w + np.minimum(side_w, 0.0)
    applies = np.concatenate([circuits.limit_a_applies[phase_used], circuits.limit_w_applies[power_used]])
    extra = extra_rows(problem, side_a) + lasting_rows(problem, side_a)
    own = NetworkRows(
        names=tuple(names),
        row=row,
        evse=evse,
        coefficient=coefficient,
        starts=_starts(evse, problem.n_evses),
        room=np.maximum(room, 0.0),
        applies=applies,
        overload=np.where(applies, np.maximum(-room, 0.0), 0.0),
        room_back=np.maximum(np.concatenate([back_a[phase_used], back_w[power_used]]), 0.0),
        battery_per_kw=_battery_per_kw(problem, names, chain=circuits.ancestry()),
        feeds_back=np.ones(problem.n_evses, dtype=bool),
    )
    return _with_extra(own, extra, kept_a=problem.evses.kept_a) if extra else own


def _star_entries(
    problem: AllocationProblem, chain: IntArray, in_chain: BoolArray, *, phase_used: BoolArray, power_used: BoolArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return row, EVSE and coefficient of the entries of phases and powers, EVSE by EVSE."""
    evses = problem.evses
    phase_row = np.cumsum(phase_used.ravel()).reshape(phase_used.shape) - 1
    power_row = int(phase_used.sum()) + np.cumsum(power_used) - 1
    above = chain[evses.circuit]
    valid = in_chain[evses.circuit]
    takes_phase = valid[:, :, None] & phase_used[above] & evses.on_phase[:, None, :]
    takes_power = valid & power_used[above]
    # One slot per possible entry, EVSE by EVSE, so that the entries come out ordered without a sort.
    phase_slots = (len(above), PHASES * chain.shape[1])
    rows = np.concatenate([phase_row[above].reshape(phase_slots), power_row[above]], axis=1)
    taken = np.concatenate([takes_phase.reshape(phase_slots), takes_power], axis=1)
    coefficient = np.ones(rows.shape)
    coefficient[:, PHASES * chain.shape[1] :] = evses.w_per_a[:, None]
    return rows[taken], np.nonzero(taken)[0], coefficient[taken]


def _starts(evse: IntArray, n_evses: int) -> IntArray:
    return np.concatenate([[0], np.cumsum(np.bincount(evse, minlength=n_evses))]).astype(np.int64)


def _battery_per_kw(
    problem: AllocationProblem, names: list[RowName], *, chain: tuple[tuple[int, ...], ...]
) -> FloatArray:
    out = np.zeros((len(names), len(problem.batteries)))
    for place, battery in enumerate(problem.batteries):
        above = chain[battery.circuit]
        for row, name in enumerate(names):
            if name.circuit in above:
                out[row, place] = 1000.0 if name.kind == "power" else 1000.0 / (PHASES * NOMINAL_VOLTAGE_V)
    return out


def _with_extra(own: NetworkRows, extra: list[ExtraRow], *, kept_a: FloatArray) -> NetworkRows:
    """Return the rows with more of them; EVSEs below the new ones no longer feed back, batteries still do."""
    dense = np.array([item.coefficient for item in extra])
    dense[np.abs(dense) < 1e-12] = 0.0
    evse, row = np.nonzero(dense.T)
    order = np.argsort(np.concatenate([own.evse, evse]), kind="stable")
    all_evses = np.concatenate([own.evse, evse])[order]
    room, applies = np.array([item.room for item in extra]), np.array([item.applies for item in extra])
    names = [
        RowName(kind=item.kind, circuit=item.circuit, phase=item.phase, direction=item.direction, lasting=item.lasting)
        for item in extra
    ]
    lasting = np.array([item.lasting for item in extra])
    lasts = np.concatenate([np.zeros(own.n_rows, dtype=bool), lasting])
    rows = np.concatenate([own.row, own.n_rows + row])[order]
    return NetworkRows(
        names=own.names + tuple(names),
        row=rows,
        evse=all_evses,
        coefficient=np.concatenate([own.coefficient, dense.T[evse, row]])[order],
        starts=_starts(all_evses, len(own.starts) - 1),
        room=np.concatenate([own.room, np.maximum(room, 0.0)]),
        applies=np.concatenate([own.applies, applies]),
        overload=np.concatenate([own.overload, np.where(applies & ~lasting[:, None], np.maximum(-room, 0.0), 0.0)]),
        room_back=np.concatenate([own.room_back, np.array([item.room_back for item in extra])]),
        battery_per_kw=np.concatenate([own.battery_per_kw, np.array([item.battery for item in extra])]),
        feeds_back=own.feeds_back & ~(dense[~lasting] != 0.0).any(axis=0),
        free_a=np.where(lasts[rows], kept_a[all_evses], 0.0) if lasting.any() else None,
    )


def overload_alarms(problem: AllocationProblem, rows: NetworkRows) -> tuple[Alarm, ...]:
    """Return one alarm for each row whose side loads alone are above the limit, for the first such step."""
    alarms = []
    for index in np.flatnonzero((rows.overload > 1e-6).any(axis=1)):
        name = rows.names[int(index)]
        circuit_id = problem.circuits.ids[name.circuit]
        step = int(np.argmax(rows.overload[index] > 1e-6))
        excess = float(rows.overload[index, step])
        where = {"phase": f" on L{name.phase}", "neutral": " in the neutral"}.get(name.kind, "")
        unit = "W" if name.kind == "power" else "A"
        text = f"circuit {circuit_id}: side loads are {excess:.1f} {unit} above the limit{where}; EVs get nothing there"
        alarms.append(Alarm(kind="load_above_limit", text=text, circuit=circuit_id, step=step))
    return tuple(alarms)


def _padded_ancestry(circuits: CircuitArrays) -> tuple[IntArray, BoolArray]:
    """Return the chain of each circuit up to the top, padded to the longest, and where it is no padding."""
    chains = circuits.ancestry()
    depth = max((len(chain) for chain in chains), default=1)
    padded, valid = np.zeros((len(chains), depth), dtype=np.int64), np.zeros((len(chains), depth), dtype=bool)
    for index, chain in enumerate(chains):
        padded[index, : len(chain)] = chain
        valid[index, : len(chain)] = True
    return padded, valid


def _accumulated(circuits: CircuitArrays, chain: IntArray, valid: BoolArray, own: FloatArray) -> FloatArray:
    """Return for each circuit the sum of its own values and those of everything that it feeds."""
    total = np.zeros_like(own)
    for level in range(chain.shape[1]):
        below = np.flatnonzero(valid[:, level])
        np.add.at(total, chain[below, level], own[below])
    return total
