"""Composite schedules of profiles that say more: setpoints, discharging, values per phase, modes, generation (2.x)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from loadmgr.composite.answer import Deciders, Row, default_tenths, shown_code, within_hardware
from loadmgr.composite.combine import Leads, combine, to_period
from loadmgr.composite.compiled import NO_CODE, NOTHING, Record
from loadmgr.composite.conversion import UNNAMED_PHASES
from loadmgr.composite.hardware import HardwareLimit
from loadmgr.composite.layers import Layers
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.stack import Leading, leading
from loadmgr.model.profile import RateUnit, SchedulePeriod

_NEVER = 1 << 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What holds from an instant on, before equal neighbours are merged.

    Parameters
    ----------
    when : int
        [s after the window's start].
    period : SchedulePeriod
        All its fields, at start 0.
    deciders : tuple of Record
        What decides the limit.
    """

    when: int
    period: SchedulePeriod
    deciders: tuple[Record, ...]


def rich_pieces(
    layers: Layers, window: tuple[int, int], unit: RateUnit, settings: StationSettings, *, alone: bool = True
) -> Iterator[Piece]:
    """Yield what holds on a window, piece by piece.

    Parameters
    ----------
    layers : Layers
        None of them local.
    window : tuple of int
        Start [s since the epoch] and length [s].
    unit : RateUnit
    settings : StationSettings
    alone : bool
        Whether the station maximum and generation take part, as they do not in a share of the station's sum.
    """
    start, length_s = window
    whole = (layers.maximum, layers.generation) if alone else ([], [])
    stacks = (layers.tx, layers.external, layers.vehicle, *whole)
    default = default_tenths(settings, unit)
    for when, records in walk([leading(stack, start, length_s) for stack in stacks], length_s):
        leads = Leads(*(None if record is NOTHING else record for record in records))
        combined = combine(leads, settings, soc_percent=layers.soc_percent)
        if combined.phase_code is None:
            combined = replace(combined, phase_code=shown_code(NO_CODE, settings))
        period = to_period(combined, unit, settings, default)
        yield capped(
            Piece(when=when, period=period, deciders=combined.deciders), settings.evse_hardware, unit, settings
        )


def capped(piece: Piece, hardware: HardwareLimit | None, unit: RateUnit, settings: StationSettings) -> Piece:
    """Return a piece within what the hardware can carry; no profile decides a limit that it lowers."""
    if hardware is None:
        return piece
    period = within_hardware(piece.period, hardware, unit, settings)
    names = ("limit", "limit_l2", "limit_l3")
    same = all(getattr(period, name) == getattr(piece.period, name) for name in names)
    return replace(piece, period=period, deciders=piece.deciders if same else ())


def walk(leadings: list[Leading], length_s: int) -> Iterator[tuple[int, list[Record]]]:
    """Yield ``(start, [record of each layer])`` for every instant at which one of them changes."""
    at = [0] * len(leadings)
    when = 0
    while when < length_s:
        yield when, [records[i] for i, (_, records) in zip(at, leadings, strict=True)]
        upcoming = [times[i + 1] if i + 1 < len(times) else _NEVER for i, (times, _) in zip(at, leadings, strict=True)]
        when = min(upcoming)
        at = [i + 1 if change == when else i for i, change in zip(at, upcoming, strict=True)]


def merged(pieces: Iterator[Piece]) -> tuple[list[Row], list[SchedulePeriod], Deciders]:
    """Return the periods as rows, with all their fields, and what decides them; equal neighbours are one."""
    rows: list[Row] = []
    rich: list[SchedulePeriod] = []
    deciders: list[tuple[Record, ...]] = []
    last: SchedulePeriod | None = None
    for piece in pieces:
        if piece.period == last:
            continue
        last = piece.period
        start_s = piece.when
        phase_code = UNNAMED_PHASES if last.phases is None else last.phases
        rows.append((start_s, last.limit, phase_code))
        rich.append(replace(last, start_s=start_s))
        deciders.append(piece.deciders)
    return rows, rich, lambda: deciders
