"""Composite schedules of profiles that say no more than a limit and a phase count: the common case, and the fast one.

The transaction layer and the caps are two step functions; both are walked once, side by side. The lowest key and the
lowest phase code make the answer (K08.FR.04, K01.FR.140), rounded down to a tenth, equal neighbours merged. Because of
which profiles is not noted on the way; :func:`deciders_of` finds it when asked.
"""

from collections.abc import Sequence

from loadmgr.composite.answer import Row, default_tenths, hardware_tenths, shown_code
from loadmgr.composite.compiled import NO_CODE, NOTHING, Record
from loadmgr.composite.conversion import NO_LIMIT
from loadmgr.composite.hardware import HardwareLimit
from loadmgr.composite.layers import Layers
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.stack import Entry, Limits, fill, leading_at
from loadmgr.composite.window import anchored
from loadmgr.model.profile import RateUnit

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
    tx, caps = fill(layers.tx, start, length_s), _caps(layers.caps if with_maximum else layers.own_caps, window)
    rows = _lowest(tx, caps, length_s, settings.conversion.steps(unit))
    if tx[3] and caps[3]:
        rows = _with_default(rows, unit, settings)
    return rows if settings.evse_hardware is None else _within(settings.evse_hardware, rows, unit, settings)


def deciders_of(
    layers: Layers,
    start: int,
    rows: Sequence[Row],
    *,
    unit: RateUnit,
    settings: StationSettings,
    with_maximum: bool = True,
) -> list[tuple[Record, ...]]:
    """Return what decides each row of a window that begins at ``start`` [s since the epoch].

    Nothing does where the station's default is answered, or what its hardware can carry.
    """
    layers, made = anchored(layers, start), settings.conversion
    out: list[tuple[Record, ...]] = []
    for at, limit, code in rows:
        by = _decider(layers, start + at, with_maximum=with_maximum)
        decides = by is not NOTHING and (
            settings.evse_hardware is None
            or limit is None
            or made.tenths(by[0], unit, made.multipliers[code]) / 10 == limit
        )
        out.append((by,) if decides else ())
    return out


def _decider(layers: Layers, when: int, *, with_maximum: bool = True) -> Record:
    """Return what decides the limit at an instant [s since the epoch], ``NOTHING`` where nothing limits."""
    by, _ = leading_at(layers.tx, when)
    for stack in layers.caps if with_maximum else layers.own_caps:
        record, _ = leading_at(stack, when)
        if record[0] < by[0]:
            by = record
    return by if by[0] != NO_LIMIT else NOTHING


def _lowest(tx: Limits, caps: Limits, length_s: int, steps: tuple[int, ...]) -> list[Row]:
    """Return the lower of two step functions in tenths, equal neighbours merged.

    A third of an answer's cost is this loop, so it is written out: nothing is called and nothing looked up twice.
    ``steps`` says how much of a key makes a tenth, by phase code.
    """
    (times, keys, codes, _), (cap_times, cap_keys, cap_codes, _) = tx, caps
    ends, cap_ends = [*times[1:], length_s], [*cap_times[1:], length_s]
    place = cap_place = at = 0
    end, key, code = ends[0], keys[0], codes[0]
    cap_end, cap_key, cap_code = cap_ends[0], cap_keys[0], cap_codes[0]
    rows: list[Row] = []
    last = last_code = -1
    while True:
        low = code if code < cap_code else cap_code
        tenths = key // steps[low] if key < cap_key else cap_key // steps[low]
        if tenths != last or low != last_code:
            last = tenths
            last_code = low
            rows.append((at, tenths / 10, low))
        if end < cap_end:
            at = end
        elif cap_end < length_s:
            at = cap_end
            cap_place += 1
            cap_end = cap_ends[cap_place]
            cap_key = cap_keys[cap_place]
            cap_code = cap_codes[cap_place]
            if end > at:
                continue
        else:
            return rows
        place += 1
        end = ends[place]
        key = keys[place]
        code = codes[place]


def _with_default(rows: list[Row], unit: RateUnit, settings: StationSettings) -> list[Row]:
    """Return the rows with the station's default where nothing limits; a limit may equal it, so they merge anew."""
    tenths = default_tenths(settings, unit)
    limit = None if tenths is None else tenths / 10
    out: list[Row] = []
    for at, given, code in rows:
        row = (at, given, code)
        if given is not None and given > _BEYOND_LIMITS:
            row = (at, limit, shown_code(code, settings))
        if not out or out[-1][1:] != row[1:]:
            out.append(row)
    return out


def _within(hardware: HardwareLimit, rows: list[Row], unit: RateUnit, settings: StationSettings) -> list[Row]:
    """Return the rows with what the hardware cannot carry cut off, equal neighbours merged anew."""
    out: list[Row] = []
    for at, limit, code in rows:
        most = hardware_tenths(hardware, unit, code, settings) / 10
        capped = most if limit is None or limit > most else limit
        if not out or out[-1][1:] != (capped, code):
            out.append((at, capped, code))
    return out


def _caps(stacks: Sequence[list[Entry]], window: tuple[int, int]) -> Limits:
    """Return the caps as one step function."""
    if not stacks:
        return [0], [NO_LIMIT], [NO_CODE], True
    one = fill(stacks[0], *window)
    for stack in stacks[1:]:
        one = _lower_of(one, fill(stack, *window))
    return one


def _lower_of(one: Limits, other: Limits) -> Limits:
    """Return the lower of two step functions."""
    at_one, at_other = ({when: pair for when, *pair in zip(*each[:3], strict=True)} for each in (one, other))
    times = sorted({*one[0], *other[0]})
    keys, codes = [], []
    key = other_key = NO_LIMIT
    code = other_code = NO_CODE
    for when in times:
        key, code = at_one.get(when, (key, code))
        other_key, other_code = at_other.get(when, (other_key, other_code))
        keys.append(min(key, other_key))
        codes.append(min(code, other_code))
    return times, keys, codes, one[3] and other[3]
