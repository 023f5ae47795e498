"""Composite schedules of many EVSEs at once, in numpy: the same stacking, for limits and phase counts.

Rules
-----
1. The same answers as :func:`loadmgr.composite.schedule.composite_schedule`, row by row. Layers that say more than a
   limit and a phase count, or that follow the wall clock, are refused: those go one by one.
2. What is installed on an EVSE becomes arrays once, with ``put``; only the changed EVSE is converted again, because
   the conversion costs far more than the computation.
3. A *stack* is a layer of an EVSE, a *rank* a place in it. Coverage intervals of all stacks are cut out of the gaps
   rank by rank, as long as there are any; the visible pieces are expanded once to periods; one stable sort brings the
   layers of an EVSE side by side, and the last record of each layer is carried forward.
4. The EVSEs are answered in blocks: the arrays of a block stay in the cache of a core, and its memory is used again
   for the next one instead of being fetched from the system anew. That doubles the speed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loadmgr.composite.answer import default_tenths, hardware_tenths, shown_code
from loadmgr.composite.batch_arrays import (
    CODE_BITS,
    OFFSET_BITS,
    EvseArrays,
    FlatArrays,
    Ints,
    RankArrays,
    arrays_of,
    joined,
    ranges,
)
from loadmgr.composite.compiled import NO_CODE, seconds
from loadmgr.composite.layers import Layers
from loadmgr.composite.settings import StationSettings
from loadmgr.model.profile import RateUnit

NO_KEY = (1 << 60) - 1
"""Key of nothing, above every key of a limit; with a phase code below it fits into 64 bits."""

BLOCK = 256
"""EVSEs that are answered together."""

_UNCAPPED = 1 << 62
_NOTHING = (NO_KEY << CODE_BITS) + NO_CODE
_CODE_MASK = (1 << CODE_BITS) - 1
_LAYER_BITS = 2
_EVSE_SHIFT = OFFSET_BITS + _LAYER_BITS


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
    """What leads, and from when on: (n_piece,) each.

    ``place`` has the EVSE, the second and the layer in one number, so that sorting it sorts by all three.
    """

    place: Ints
    packed: Ints


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
        self._flat: dict[int, FlatArrays] = {}
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
        self._flat.pop(place // BLOCK, None)

    def schedules(self, *, start: datetime, duration_s: int, unit: RateUnit) -> BatchSchedules:
        """Return the composite schedules of all EVSEs over ``[start, start + duration_s)``.

        Raises
        ------
        ValueError
            If an EVSE has no layers yet, or the window is longer than one of them is answered for.
        """
        if duration_s < 0 or duration_s > min(self._longest_s):
            raise ValueError(f"duration_s must lie in 0..{min(self._longest_s)}, got {duration_s}")
        first, length_s = seconds(start), max(duration_s, 1)
        blocks = []
        for number in range(-(-len(self._settings) // BLOCK)):
            flat, settings = self._block(number), self._settings[number * BLOCK : (number + 1) * BLOCK]
            blocks.append(_answer(_pieces(flat, first, length_s), flat, settings, unit))
        return _one_after_the_other(blocks)

    def _block(self, number: int) -> FlatArrays:
        """Return the arrays of a block, kept until one of its EVSEs changes."""
        flat = self._flat.get(number)
        if flat is None:
            evses = self._evses[number * BLOCK : (number + 1) * BLOCK]
            put = [each for each in evses if each is not None]
            if len(put) < len(evses):
                raise ValueError(f"layers of EVSE {number * BLOCK + evses.index(None)} are missing: put them first")
            flat = self._flat[number] = joined(put)
        return flat


def _answer(pieces: _Pieces, flat: FlatArrays, settings: Sequence[StationSettings], unit: RateUnit) -> BatchSchedules:
    """Bring the layers of each EVSE side by side, take the lowest, convert, and merge equal neighbours."""
    order = np.argsort(pieces.place, kind="stable")
    place, packed = pieces.place[order], pieces.packed[order]
    layer = place & (1 << _LAYER_BITS) - 1
    place >>= _LAYER_BITS
    last = np.append(place[1:] != place[:-1], True)
    place = place[last]
    lowest, code = np.full(place.size, _NOTHING), np.full(place.size, NO_CODE)
    for number in flat.layers:
        mine = np.flatnonzero(layer == number)
        # every EVSE has a piece of every layer at time 0, so what is carried into the next EVSE is never a last one
        carried = np.repeat(packed[mine], np.diff(mine, append=layer.size))[last[mine[0] :]]
        np.minimum(lowest, carried, out=lowest)
        np.minimum(code, carried & _CODE_MASK, out=code)
    evse = place >> OFFSET_BITS
    tenths = _tenths(lowest >> CODE_BITS, code, evse, settings=settings, unit=unit)
    begins = np.flatnonzero(np.append(True, evse[1:] != evse[:-1]))
    changed = np.append(True, (tenths[1:] != tenths[:-1]) | (code[1:] != code[:-1]))
    changed[begins] = True
    limits = tenths[changed] / 10.0
    limits[limits < 0.0] = np.nan
    return BatchSchedules(
        offsets=np.append(0, np.cumsum(np.add.reduceat(changed, begins, dtype=np.int64))),
        starts_s=(place & (1 << OFFSET_BITS) - 1)[changed],
        limits=limits,
        phase_codes=code[changed],
    )


def _tenths(key: Ints, code: Ints, evse: Ints, *, settings: Sequence[StationSettings], unit: RateUnit) -> Ints:
    """Return the limits in tenths of the unit, -1 for none; give the default its phase code."""
    made = settings[0].conversion
    if unit is RateUnit.A:
        tenths = key // made.per_tenth_a
    else:
        tenths = key * np.asarray(made.multipliers)[code] // made.per_tenth_w
    nothing = np.flatnonzero(key == NO_KEY)
    if nothing.size:
        default = [default_tenths(each, unit) for each in settings]
        tenths[nothing] = np.array([-1 if each is None else each for each in default])[evse[nothing]]
        shown = np.array([shown_code(NO_CODE, each) for each in settings])
        uncovered = code == NO_CODE
        code[uncovered] = shown[evse[uncovered]]
    if any(each.evse_hardware is not None for each in settings):
        caps = np.array([_caps(each, unit) for each in settings])[evse, code]
        tenths = np.where(tenths < 0, np.where(caps < _UNCAPPED, caps, -1), np.minimum(tenths, caps))
    return tenths


def _caps(settings: StationSettings, unit: RateUnit) -> list[int]:
    """Return what the hardware of an EVSE can carry, in tenths, by phase code."""
    hardware = settings.evse_hardware
    codes = range(NO_CODE + 1)
    return [_UNCAPPED if hardware is None else hardware_tenths(hardware, unit, code, settings) for code in codes]


def _one_after_the_other(blocks: Sequence[BatchSchedules]) -> BatchSchedules:
    rows = np.cumsum([0, *(block.starts_s.size for block in blocks)])
    return BatchSchedules(
        offsets=np.concatenate([[0], *(block.offsets[1:] + row for block, row in zip(blocks, rows, strict=False))]),
        starts_s=np.concatenate([block.starts_s for block in blocks]),
        limits=np.concatenate([block.limits for block in blocks]),
        phase_codes=np.concatenate([block.phase_codes for block in blocks]),
    )


def _pieces(flat: FlatArrays, start: int, length_s: int) -> _Pieces:
    """Return what leads in every stack, each stack from time 0 on."""
    every = (np.asarray(flat.layers)[:, None] * flat.evses + np.arange(flat.evses)).ravel()
    gaps = _Spans(every, np.zeros(every.size, dtype=np.int64), np.full(every.size, length_s))
    parts: list[_Pieces] = []
    for rank in flat.ranks:
        coverage = _coverage(rank, start, length_s)
        which, seen = _overlaps(gaps, _Spans(rank.stack[coverage.entry], coverage.low, coverage.high))
        begin = np.maximum(gaps.low[which], coverage.low[seen])
        finish = np.minimum(gaps.high[which], coverage.high[seen])
        visible = _Coverage(coverage.entry[seen], coverage.origin[seen], begin, finish)
        parts.append(_expanded(rank, visible, flat.evses))
        gaps = _left_over(gaps, which, begin, finish)
        if not gaps.stack.size:
            break
    else:
        nothing = np.full(gaps.stack.size, _NOTHING)
        parts.append(_Pieces(_head(gaps.stack, flat.evses) + (gaps.low << _LAYER_BITS), nothing))
    if len(parts) == 1:
        return parts[0]
    return _Pieces(np.concatenate([each.place for each in parts]), np.concatenate([each.packed for each in parts]))


def _head(stack: Ints, evses: int) -> Ints:
    """Return the EVSE and the layer of a piece's place; its second is to be added."""
    layer, evse = np.divmod(stack, evses)
    return (evse << _EVSE_SHIFT) + layer


def _coverage(rank: RankArrays, start: int, length_s: int) -> _Coverage:
    """Return every occurrence in the window, in seconds after its start."""
    origin = np.where(rank.from_window, 0, rank.origin - start)
    low = np.clip(rank.valid_from - start, 0, length_s)
    high = np.clip(rank.valid_to - start, 0, length_s)
    step = rank.step_s
    recurs = step > 0
    safe = np.where(recurs, step, 1)
    first = np.where(recurs & (low > origin), low - (low - origin) % safe, origin)
    count = np.where(recurs, -((first - high) // safe), first < high)
    count = np.where(low < high, np.maximum(count, 0), 0)
    entry = np.repeat(np.arange(count.size), count)
    occurrence = first[entry] + ranges(np.zeros(count.size, dtype=np.int64), count) * step[entry]
    low = np.maximum(low[entry], occurrence + rank.lead_s[entry])
    high = np.minimum(high[entry], occurrence + rank.length_s[entry])
    covers = low < high
    return _Coverage(entry[covers], occurrence[covers], low[covers], high[covers])


def _overlaps(gaps: _Spans, intervals: _Spans) -> tuple[Ints, Ints]:
    """Return the pairs (gap, interval) that overlap; those of one stack do not overlap each other."""
    ends = (intervals.stack << OFFSET_BITS) + intervals.high
    begins = (intervals.stack << OFFSET_BITS) + intervals.low
    first = np.searchsorted(ends, (gaps.stack << OFFSET_BITS) + gaps.low, side="right")
    last = np.searchsorted(begins, (gaps.stack << OFFSET_BITS) + gaps.high, side="left")
    count = np.maximum(last - first, 0)
    return np.repeat(np.arange(count.size), count), ranges(first, count)


def _left_over(gaps: _Spans, which: Ints, begin: Ints, finish: Ints) -> _Spans:
    """Return what the pieces leave open of the gaps: before the first, between two, and after the last."""
    stack, low, high = gaps
    count = np.bincount(which, minlength=stack.size)
    at = np.cumsum(count + 1) - (count + 1)
    inside = ranges(at + 1, count)
    total = which.size + stack.size
    left, right = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
    left[at], left[inside] = low, finish
    right[at + count], right[inside - 1] = high, begin
    is_open = left < right
    return _Spans(np.repeat(stack, count + 1)[is_open], left[is_open], right[is_open])


def _expanded(rank: RankArrays, seen: _Coverage, evses: int) -> _Pieces:
    """Return the periods of visible occurrences."""
    entry, origin, begin, finish = seen
    first = np.searchsorted(rank.start_keys, rank.offset_keys(entry, begin - origin), side="right") - 1
    count = np.searchsorted(rank.start_keys, rank.offset_keys(entry, finish - origin), side="left") - first
    period = ranges(first, count)
    head = _head(rank.stack[entry], evses)
    place = np.repeat(head + (origin << _LAYER_BITS), count)
    place += rank.starts[period] << _LAYER_BITS
    # the first period of a piece runs already when it comes into sight
    place[np.cumsum(count) - count] = head + (begin << _LAYER_BITS)
    return _Pieces(place, rank.packed[period])
