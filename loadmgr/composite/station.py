"""EVSE 0: what the whole station is expected to take from the grid (1.6 section 5.7, K08.FR.03).

Rules
-----
1. The sum over the EVSEs of their own minimum of transaction layer and external constraints. An EVSE with neither
   counts with the default; settings may count an EVSE without a transaction as zero. Amperes are plain sums.
2. The sum is capped by the station maximum and by external constraints installed on 0, which so cap each EVSE and the
   sum (K04, K12.FR.01). Each cap is converted by its own phase count.
3. LocalGeneration is added at the end, that on 0 once and that of each EVSE; only the hardware caps that (K04.FR.05).
4. The phase count is the highest of the EVSEs, then the lowest with the caps.
5. Setpoints and discharge limits are summed; a setpoint of an external constraint on 0 is that of the sum
   (Q06.FR.31). Values per phase enter in W as their sum, in A as the one farthest from zero.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby, repeat
from operator import itemgetter
from typing import NamedTuple

from loadmgr.composite.answer import default_tenths, shown_code
from loadmgr.composite.compiled import NO_CODE, NOTHING, Record
from loadmgr.composite.conversion import NO_LIMIT, UNNAMED_PHASES, thousandths
from loadmgr.composite.layers import Layers
from loadmgr.composite.plain import deciders_of, plain_rows
from loadmgr.composite.rich import Piece, capped, rich_pieces, walk
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.stack import leading
from loadmgr.model.profile import RateUnit, SchedulePeriod

_SIGNED = ("discharge_limit", "setpoint", "setpoint_reactive")


class _Share(NamedTuple):
    """What one EVSE adds from an instant on, in tenths; ``None`` where it has no such value."""

    when: int
    limit: int | None
    code: int
    signed: tuple[int | None, ...]
    deciders: tuple[Record, ...]


def station_pieces(
    evses: Sequence[tuple[Layers, int]],
    whole: Layers,
    window: tuple[int, int],
    *,
    unit: RateUnit,
    settings: StationSettings,
    explain: bool,
) -> Iterator[Piece]:
    """Yield what holds for the whole station, piece by piece.

    Parameters
    ----------
    evses : sequence of (Layers, int)
        Of every EVSE that counts, and how many there are of a kind.
    whole : Layers
        Of what is installed on 0.
    window : tuple of int
        Start [s since the epoch] and length [s].
    unit : RateUnit
    settings : StationSettings
    explain : bool
        Whether the pieces say what decides them, which costs more than the rest: all EVSEs decide a sum.
    """
    start, length_s = window
    total = _Total([count for _, count in evses])
    changes: list[tuple[int, int, _Share | list[Record]]] = []
    for number, (layers, _) in enumerate(evses):
        shares = _rich_shares if layers.rich else _plain_shares
        made = shares(layers, window, unit, settings, explain=explain)
        changes += [(share.when, number, share) for share in made]
    own = [layers.generation for layers, _ in evses if layers.generation and settings.evses > 1]
    stacks = [whole.maximum, whole.external, whole.generation, *own]
    leadings = walk([leading(stack, start, length_s) for stack in stacks], length_s)
    changes += [(when, len(evses), records) for when, records in leadings]
    changes.sort(key=itemgetter(0, 1))
    caps: list[Record] = []
    for when, group in groupby(changes, key=itemgetter(0)):
        for _, number, change in group:
            if isinstance(change, _Share):
                total.put(number, change)
            else:
                caps = change
        yield _capped(total, when, caps, unit=unit, settings=settings)


class _Total:
    """The running sum over the EVSEs, in tenths."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = counts
        self.shares: list[_Share | None] = [None] * len(counts)
        self.limit = 0
        self.unlimited = 0
        self.codes = [0] * (NO_CODE + 1)
        self.signed = [0] * len(_SIGNED)
        self.given = [0] * len(_SIGNED)

    def put(self, number: int, share: _Share) -> None:
        """Replace the share of the EVSEs of a kind."""
        count = self.counts[number]
        for each, sign in ((self.shares[number], -count), (share, count)):
            if each is None:
                continue
            if each.limit is None:
                self.unlimited += sign
            else:
                self.limit += sign * each.limit
            self.codes[each.code] += sign
            for place, value in enumerate(each.signed):
                if value is not None:
                    self.signed[place] += sign * value
                    self.given[place] += sign
        self.shares[number] = share

    def code(self) -> int:
        """Return the highest phase code; one that nothing named counts as 3 beside named ones."""
        named = [code for code in (1, 2, 3) if self.codes[code]]
        if self.codes[UNNAMED_PHASES]:
            return 3 if named else UNNAMED_PHASES
        return max(named, default=NO_CODE)

    def value(self, place: int) -> int | None:
        """Return the sum of a signed value, of the EVSEs that have one."""
        return self.signed[place] if self.given[place] else None


def _plain_shares(
    layers: Layers, window: tuple[int, int], unit: RateUnit, settings: StationSettings, *, explain: bool
) -> Iterator[_Share]:
    nothing = (None,) * len(_SIGNED)
    rows = plain_rows(layers, window, unit, settings, with_maximum=False)
    deciding = partial(deciders_of, unit=unit, settings=settings, with_maximum=False)
    deciders = deciding(layers, window[0], rows) if explain else repeat(())
    for (start_s, limit, code), by in zip(rows, deciders, strict=False):
        yield _Share(start_s, None if limit is None else round(limit * 10.0), code, nothing, by)


def _rich_shares(
    layers: Layers, window: tuple[int, int], unit: RateUnit, settings: StationSettings, *, explain: bool
) -> Iterator[_Share]:
    for piece in rich_pieces(layers, window, unit, settings, alone=False):
        period = piece.period
        signed = tuple(_whole(period, name, unit) for name in _SIGNED)
        code = period.phases or UNNAMED_PHASES
        deciders = piece.deciders if explain else ()
        yield _Share(piece.when, _whole(period, "limit", unit), code, signed, deciders)


def _whole(period: SchedulePeriod, name: str, unit: RateUnit) -> int | None:
    """Return a value in tenths, one of phases as their sum (W) or as the farthest from zero (A)."""
    values: list[float | None] = [getattr(period, f"{name}{phase}") for phase in ("", "_l2", "_l3")]
    tenths = [round(value * 10.0) for value in values if value is not None]
    if not tenths:
        return None
    return sum(tenths) if unit is RateUnit.W else max(tenths, key=abs)


def _capped(total: _Total, when: int, caps: list[Record], *, unit: RateUnit, settings: StationSettings) -> Piece:
    made = settings.conversion
    limit = None if total.unlimited else total.limit
    code = total.code()
    deciders = tuple(dict.fromkeys(record for share in total.shares if share is not None for record in share.deciders))
    for record in caps[:2]:
        key, cap_code, _, _ = record
        code = min(code, cap_code)
        if key != NO_LIMIT:
            tenths = made.tenths(key, unit, made.multipliers[cap_code])
            if limit is None or tenths < limit:
                limit, deciders = tenths, (record,)
    if limit is None:
        limit = default_tenths(settings, unit)
    discharge, setpoint, reactive = _signed(total, caps[1], unit, settings)
    if setpoint is not None:
        setpoint = setpoint if limit is None else min(setpoint, limit)
        setpoint = setpoint if discharge is None else max(setpoint, discharge)
    for record in caps[2:]:
        if limit is not None and record[0] != NO_LIMIT:
            limit += made.tenths(record[0], unit, made.multipliers[record[1]])
            deciders = (*deciders, record)
    code = shown_code(code, settings)
    period = SchedulePeriod(
        start_s=0,
        limit=_tenth(limit),
        phases=None if code == UNNAMED_PHASES else code,
        discharge_limit=_tenth(discharge),
        setpoint=_tenth(setpoint),
        setpoint_reactive=_tenth(reactive),
    )
    return capped(Piece(when=when, period=period, deciders=deciders), settings.station_hardware, unit, settings)


def _signed(
    total: _Total, external: Record, unit: RateUnit, settings: StationSettings
) -> tuple[int | None, int | None, int | None]:
    """Return discharge limit, setpoint and reactive part of the sum, which an external constraint on 0 can name."""
    discharge, setpoint, reactive = (total.value(place) for place in range(len(_SIGNED)))
    if external is NOTHING:
        return discharge, setpoint, reactive
    _, code, owner, period = external
    made = settings.conversion
    factor = made.scales(owner.schedule.unit)[period.phases][0]

    def own(value: float | None) -> int | None:
        return None if value is None else made.tenths(thousandths(value) * factor, unit, made.multipliers[code])

    if period.discharge_limit is not None:
        cap = own(period.discharge_limit)
        discharge = cap if discharge is None or cap is None else max(discharge, cap)
    if period.setpoint is not None and not (settings.setpoint_priority_csms and setpoint is not None):
        setpoint, reactive = own(period.setpoint), own(period.setpoint_reactive)
    return discharge, setpoint, reactive


def _tenth(tenths: int | None) -> float | None:
    return None if tenths is None else tenths / 10
