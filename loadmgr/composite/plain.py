"""Composite schedules of profiles that say no more than a limit and a phase count: the common case, and the fast one.

The transaction layer and the caps are two step functions; both are walked once, side by side. The lowest key and the
lowest phase code make the answer (K08.FR.04, K01.FR.140), rounded down to a tenth, equal neighbours merged.
"""

from loadmgr.composite.answer import Row, default_tenths, shown_code
from loadmgr.composite.compiled import NOTHING, Record
from loadmgr.composite.layers import Layers
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.stack import Entry, Leading, fill
from loadmgr.model.profile import RateUnit

_ONE_PHASE = (1, 1, 1, 1, 1, 1)
_BEYOND_LIMITS = 1e36  # above every limit, below what NO_LIMIT comes to


def plain_rows(
    layers: Layers, window: tuple[int, int], unit: RateUnit, settings: StationSettings, *, with_maximum: bool = True
) -> list[Row]:
    """Return the periods over a window.

    Parameters
    ----------
    layers : Layers
        None of them rich or local.
    window : tuple of int
        Start [s since the epoch] and length [s].
    unit : RateUnit
    settings : StationSettings
    with_maximum : bool
        Whether the station maximum takes part.
    """
    start, length_s = window
    made = settings.conversion
    multipliers, per_tenth = (
        (_ONE_PHASE, made.per_tenth_a) if unit is RateUnit.A else (made.multipliers, made.per_tenth_w)
    )
    times, records, is_open = fill(layers.tx, start, length_s)
    capping = (layers.external, layers.vehicle, layers.maximum if with_maximum else [])
    cap_times, caps, caps_open = _caps([stack for stack in capping if stack], start, length_s)
    next_cap = zip(caps, [*cap_times[1:], length_s], strict=True).__next__
    (cap, cap_end) = next_cap()
    cap_key, cap_code, _, _ = cap
    rows: list[Row] = []
    add = rows.append
    last = last_code = -1
    for when, record, record_end in zip(times, records, [*times[1:], length_s], strict=True):
        key, code, _, _ = record
        at = when
        while True:
            low = code if code < cap_code else cap_code
            if key <= cap_key:
                tenths = key * multipliers[low] // per_tenth
                by = record
            else:
                tenths = cap_key * multipliers[low] // per_tenth
                by = cap
            if tenths != last or low != last_code:
                last, last_code = tenths, low
                add((at, tenths / 10, low, by))
            if cap_end > record_end:
                break
            if cap_end == record_end:
                if cap_end < length_s:
                    cap, cap_end = next_cap()
                    cap_key, cap_code, _, _ = cap
                break
            at = cap_end
            cap, cap_end = next_cap()
            cap_key, cap_code, _, _ = cap
    return _with_default(rows, unit, settings) if is_open and caps_open else rows


def _with_default(rows: list[Row], unit: RateUnit, settings: StationSettings) -> list[Row]:
    """Return the rows with the station's default where nothing limits; a limit may equal it, so they merge anew."""
    tenths = default_tenths(settings, unit)
    limit = None if tenths is None else tenths / 10
    out: list[Row] = []
    for at, given, code, by in rows:
        row = (at, given, code, by)
        if given is not None and given > _BEYOND_LIMITS:
            row = (at, limit, shown_code(code, settings), NOTHING)
        if not out or out[-1][1:3] != row[1:3]:
            out.append(row)
    return out


def _caps(stacks: list[list[Entry]], start: int, length_s: int) -> Leading:
    """Return the caps as one step function."""
    if not stacks:
        return [0], [NOTHING], True
    one = fill(stacks[0], start, length_s)
    for stack in stacks[1:]:
        one = _lower_of(one, fill(stack, start, length_s))
    return one


def _lower_of(one: Leading, other: Leading) -> Leading:
    """Return the lower of two step functions."""
    at_one, at_other = dict(zip(one[0], one[1], strict=True)), dict(zip(other[0], other[1], strict=True))
    times = sorted({*one[0], *other[0]})
    records = []
    a = b = NOTHING
    for when in times:
        a, b = at_one.get(when, a), at_other.get(when, b)
        records.append(_lower(a, b))
    return times, records, one[2] and other[2]


def _lower(one: Record, other: Record) -> Record:
    """Return the lower key with the lower phase code."""
    low, high = (one, other) if one[0] <= other[0] else (other, one)
    return low if low[1] <= high[1] else (low[0], high[1], low[2], low[3])
