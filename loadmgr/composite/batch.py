"""Composite schedules of many EVSEs at once, in numpy: the same stacking, for limits and phase counts.

Rules
-----
1. The same answers as :func:`loadmgr.composite.schedule.composite_schedule`, row by row. Layers that say more than a
   limit and a phase count, or that follow the wall clock, are refused: those go one by one.
2. What is installed on an EVSE becomes arrays once, with ``put``; only the changed EVSE is converted again, because
   the conversion costs far more than the computation.
3. A *stack* is a layer of an EVSE, a *rank* a place in it. Coverage intervals of all stacks are cut out of the gaps
   rank by rank; the visible pieces are expanded once to periods; one stable sort brings the layers of an EVSE side by
   side, and the last record of each layer is carried forward.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loadmgr.composite.answer import default_tenths, shown_code
from loadmgr.composite.batch_arrays import (
    LAYERS,
    EvseArrays,
    FlatArrays,
    Ints,
    arrays_of,
    joined,
)
from loadmgr.composite.compiled import NO_CODE, seconds
from loadmgr.composite.layers import Layers
from loadmgr.composite.settings import StationSettings
from loadmgr.model.profile import RateUnit

NO_KEY = 1 << 61
"""Key of nothing, above every key of a limit."""

_SHIFT = 40  # room for the seconds of a window below the number of a stack or an entry


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSchedules:
    """The composite schedules of many EVSEs, one after the other.

    Parameters
    ----------
    offsets : numpy.ndarray
        First row of each EVSE, and the number of rows, (n_evse + 1,).
    starts_s : numpy.ndarray
        Start [s] of each row after the start of the window, (n_row,).
    limits : numpy.ndarray
        In the asked unit; NaN where nothing limits and there is no default, (n_row,).
    phase_codes : numpy.ndarray
        Phase count; 4 where nothing names one, (n_row,).
    """

    offsets: Ints
    starts_s: Ints
    limits: npt.NDArray[np.float64]
    phase_codes: Ints


class _Spans(NamedTuple):
    """Spans of stacks, sorted by stack and time: (n_span,) each."""

    stack: Ints
    low: Ints
    high: Ints


class _Coverage(NamedTuple):
    """Where occurrences of entries cover the window: (n_occurrence,) each."""

    entry: Ints
    origin: Ints
    low: Ints
    high: Ints


class _Pieces(NamedTuple):
    """What leads, and from when on: (n_piece,) each."""

    stack: Ints
    time: Ints
    key: Ints
    code: Ints


class ScheduleBatch:
    """What is installed on many EVSEs, as arrays.

    Parameters
    ----------
    settings : sequence of StationSettings
        One for each EVSE; all of one voltage, kind of current and OCPP version.
    """

    def __init__(self, settings: Sequence[StationSettings]) -> None:
        for place, each in enumerate(settings):
            if each.conversion != settings[0].conversion:
                raise ValueError(f"settings[{place}] must have the voltage, current and version of settings[0]")
        self._settings = list(settings)
        self._evses: list[EvseArrays | None] = [None] * len(self._settings)
        self._flat: FlatArrays | None = None
        self._in_use: list[int] = []
        self._longest_s: list[int] = [0] * len(self._settings)

    def put(self, place: int, layers: Layers) -> None:
        """Take the layers of one EVSE.

        Parameters
        ----------
        place : int
            Of the EVSE among the settings.
        layers : Layers
            Neither rich nor local.
        """
        if layers.rich or layers.local:
            raise ValueError(f"layers of EVSE {place} must have limits and phase counts only, on the UTC axis")
        self._evses[place] = arrays_of(layers)
        self._longest_s[place] = layers.longest_s
        self._flat = None

    def schedules(self, *, start: datetime, duration_s: int, unit: RateUnit) -> BatchSchedules:
        """Return the composite schedules of all EVSEs over ``[start, start + duration_s)``.

        Raises
        ------
        ValueError
            If an EVSE has no layers yet, or the window is longer than one of them is answered for.
        """
        if duration_s < 0 or duration_s > min(self._longest_s):
            raise ValueError(f"duration_s must lie in 0..{min(self._longest_s)}, got {duration_s}")
        if self._flat is None:
            missing = [place for place, each in enumerate(self._evses) if each is None]
            if missing:
                raise ValueError(f"layers of EVSE {missing[0]} are missing: put them first")
            self._flat = joined([each for each in self._evses if each is not None])
            self._in_use = _layers_in_use(self._flat)
        flat, length_s = self._flat, max(duration_s, 1)
        return self._answer(_pieces(flat, self._in_use, seconds(start), length_s), unit)

    def _answer(self, pieces: _Pieces, unit: RateUnit) -> BatchSchedules:
        """Bring the layers of each EVSE side by side, take the lowest, convert, and merge equal neighbours."""
        count = len(self._settings)
        place = (pieces.stack // LAYERS << _SHIFT) + pieces.time
        order = np.argsort(place, kind="stable")
        place, layer = place[order], (pieces.stack % LAYERS)[order]
        last = np.append(place[1:] != place[:-1], True)
        key = np.full(int(last.sum()), NO_KEY)
        code = np.full(key.size, NO_CODE)
        position = np.arange(place.size)
        for number in self._in_use:
            carried = np.maximum.accumulate(np.where(layer == number, position, -1))[last]
            here = order[carried]
            np.minimum(key, pieces.key[here], out=key)
            np.minimum(code, pieces.code[here], out=code)
        place = place[last]
        evse = place >> _SHIFT
        tenths = self._tenths(key, code, evse, unit)
        changed = np.ones(place.size, dtype=bool)
        changed[1:] = (tenths[1:] != tenths[:-1]) | (code[1:] != code[:-1]) | (evse[1:] != evse[:-1])
        evse = evse[changed]
        limits = tenths[changed] / 10.0
        limits[limits < 0.0] = np.nan
        return BatchSchedules(
            offsets=np.searchsorted(evse, np.arange(count + 1)),
            starts_s=(place & (1 << _SHIFT) - 1)[changed],
            limits=limits,
            phase_codes=code[changed],
        )

    def _tenths(self, key: Ints, code: Ints, evse: Ints, unit: RateUnit) -> Ints:
        """Return the limits in tenths of the unit, -1 for none; give the default its phase code."""
        made = self._settings[0].conversion
        nothing = key == NO_KEY
        if unit is RateUnit.A:
            tenths = key // made.per_tenth_a
        else:
            tenths = key * np.asarray(made.multipliers)[code] // made.per_tenth_w
        if nothing.any():
            default = [default_tenths(each, unit) for each in self._settings]
            tenths[nothing] = np.array([-1 if each is None else each for each in default])[evse[nothing]]
            shown = np.array([shown_code(NO_CODE, each) for each in self._settings])
            uncovered = code == NO_CODE
            code[uncovered] = shown[evse[uncovered]]
        return tenths


def _layers_in_use(flat: FlatArrays) -> list[int]:
    """Return the layers that any EVSE has a profile in, and the first: the others would only cost time."""
    return sorted({0, *np.unique(flat.stack % LAYERS).tolist()})


def _pieces(flat: FlatArrays, in_use: list[int], start: int, length_s: int) -> _Pieces:
    """Return what leads in every stack, each stack from time 0 on."""
    coverage = _coverage(flat, start, length_s)
    stack, rank = flat.stack[coverage.entry], flat.rank[coverage.entry]
    every = (np.arange(0, flat.stacks, LAYERS)[:, None] + in_use).ravel()
    gaps = _Spans(every, np.zeros(every.size, dtype=np.int64), np.full(every.size, length_s, dtype=np.int64))
    parts: list[_Pieces] = []
    for number in range(flat.ranks):
        mine = np.flatnonzero(rank == number)
        if not mine.size or not gaps.stack.size:
            continue
        which, interval = _overlaps(gaps, _Spans(stack[mine], coverage.low[mine], coverage.high[mine]))
        interval = mine[interval]
        begin = np.maximum(gaps.low[which], coverage.low[interval])
        finish = np.minimum(gaps.high[which], coverage.high[interval])
        seen = _Coverage(coverage.entry[interval], coverage.origin[interval], begin, finish)
        parts.append(_expanded(flat, seen))
        gaps = _left_over(gaps, which, begin, finish)
    nothing = gaps.stack.size
    parts.append(_Pieces(gaps.stack, gaps.low, np.full(nothing, NO_KEY), np.full(nothing, NO_CODE)))
    return _Pieces(*(np.concatenate([part[i] for part in parts]) for i in range(4)))


def _coverage(flat: FlatArrays, start: int, length_s: int) -> _Coverage:
    """Return every occurrence in the window, in seconds after its start."""
    origin = np.where(flat.from_window, 0, flat.origin - start)
    low = np.clip(flat.valid_from - start, 0, length_s)
    high = np.clip(flat.valid_to - start, 0, length_s)
    step = flat.step_s
    recurs = step > 0
    safe = np.where(recurs, step, 1)
    first = np.where(recurs & (low > origin), low - (low - origin) % safe, origin)
    count = np.where(recurs, -((first - high) // safe), first < high)
    count = np.where(low < high, np.maximum(count, 0), 0)
    entry = np.repeat(np.arange(count.size), count)
    number = np.arange(entry.size) - np.repeat(np.cumsum(count) - count, count)
    occurrence = first[entry] + number * step[entry]
    low = np.maximum(low[entry], occurrence + flat.lead_s[entry])
    high = np.minimum(high[entry], occurrence + flat.length_s[entry])
    covers = low < high
    return _Coverage(entry[covers], occurrence[covers], low[covers], high[covers])


def _overlaps(gaps: _Spans, intervals: _Spans) -> tuple[Ints, Ints]:
    """Return the pairs (gap, interval) that overlap; those of one stack do not overlap each other."""
    ends, begins = (intervals.stack << _SHIFT) + intervals.high, (intervals.stack << _SHIFT) + intervals.low
    first = np.searchsorted(ends, (gaps.stack << _SHIFT) + gaps.low, side="right")
    last = np.searchsorted(begins, (gaps.stack << _SHIFT) + gaps.high, side="left")
    count = np.maximum(last - first, 0)
    which = np.repeat(np.arange(count.size), count)
    return which, first[which] + np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)


def _left_over(gaps: _Spans, which: Ints, begin: Ints, finish: Ints) -> _Spans:
    """Return what the pieces leave open of the gaps: before the first, between two, and after the last."""
    stack, low, high = gaps
    count = np.bincount(which, minlength=stack.size)
    at = np.cumsum(count + 1) - (count + 1)
    inside = at[which] + 1 + np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)
    total = which.size + stack.size
    left, right = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
    left[at], left[inside] = low, finish
    right[at + count], right[inside - 1] = high, begin
    is_open = left < right
    return _Spans(np.repeat(stack, count + 1)[is_open], left[is_open], right[is_open])


def _expanded(flat: FlatArrays, seen: _Coverage) -> _Pieces:
    """Return the periods of visible occurrences."""
    entry, origin, begin, finish = seen
    base = entry << _SHIFT
    first = np.searchsorted(flat.start_keys, base + (begin - origin), side="right") - 1
    last = np.searchsorted(flat.start_keys, base + (finish - origin), side="left")
    count = last - first
    piece = np.repeat(np.arange(count.size), count)
    period = first[piece] + np.arange(piece.size) - np.repeat(np.cumsum(count) - count, count)
    times = np.maximum(begin[piece], origin[piece] + flat.starts[period])
    return _Pieces(flat.stack[entry[piece]], times, flat.keys[period], flat.codes[period])
