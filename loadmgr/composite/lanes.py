"""The stacks laid open: what each purpose and stack level would say, and where it leads. For plots and lessons."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from loadmgr.composite.answer import CompositeSchedule
from loadmgr.composite.compiled import NOTHING, Record, seconds
from loadmgr.composite.schedule import ProfileSource
from loadmgr.composite.stack import Entry, leading
from loadmgr.composite.window import placed
from loadmgr.model.profile import ChargingProfile, RateUnit, SchedulePeriod

MOST_LANES = 20
"""Lanes beyond which no more EVSEs are laid open: more fit into no picture."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePiece:
    """A period of a profile in a lane.

    Parameters
    ----------
    start, end : datetime
    period : SchedulePeriod
    leads : bool
        Whether it leads its layer there; otherwise a higher level or purpose hides it.
    """

    start: datetime
    end: datetime
    period: SchedulePeriod
    leads: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A profile's own periods over a window.

    Parameters
    ----------
    profile : ChargingProfile
    evse_id : int
        Where it is installed.
    unit : RateUnit
    pieces : tuple of LanePiece
    installed : bool
        Otherwise the vehicle announced it.
    """

    profile: ChargingProfile
    evse_id: int
    unit: RateUnit
    pieces: tuple[LanePiece, ...]
    installed: bool


def lanes(source: ProfileSource, schedule: CompositeSchedule) -> tuple[Lane, ...]:
    """Return the lanes that a composite schedule was made from, the highest of each layer first.

    Parameters
    ----------
    source : ProfileSource
    schedule : CompositeSchedule
        Its EVSE and window are looked at; for EVSE 0 what is installed on 0, then what EVSEs have of their own, up to
        ``MOST_LANES``.
    """
    start = seconds(schedule.start)
    end = start + max(schedule.duration_s, 1)
    out = _of_evse(source, schedule.evse_id, start, end)
    if schedule.evse_id == 0:
        for evse_id in range(1, source.settings.evses + 1):
            if len(out) >= MOST_LANES:
                break
            out += [lane for lane in _of_evse(source, evse_id, start, end) if lane.evse_id == evse_id]
    return tuple(out)


def _of_evse(source: ProfileSource, evse_id: int, start: int, end: int) -> list[Lane]:
    layers = placed(source.layers(evse_id, simulate=True), source.settings, (start, end - start))
    out: list[Lane] = []
    for stack in (layers.tx, layers.external, layers.vehicle, layers.maximum, layers.generation):
        led = _pieces(stack, start, end)
        out += [_lane(owned, led, start, end) for owned in _by_owner(stack)]
    return out


def _by_owner(stack: list[Entry]) -> list[list[Entry]]:
    """Return the entries of each profile together: one of the wall clock is placed as several."""
    owners: dict[int, list[Entry]] = {}
    for entry in stack:
        owners.setdefault(entry.owner.order, []).append(entry)
    return list(owners.values())


def _pieces(stack: list[Entry], start: int, end: int) -> list[tuple[int, int, Record]]:
    times, records = leading(stack, start, end - start)
    ends = [*times[1:], end - start]
    return [
        (start + a, start + b, record)
        for a, b, record in zip(times, ends, records, strict=True)
        if record is not NOTHING
    ]


def _lane(entries: list[Entry], led: list[tuple[int, int, Record]], start: int, end: int) -> Lane:
    owner = entries[0].owner
    mine = [(a, b) for a, b, record in led if record[2] is owner]
    cuts = sorted({t for span in mine for t in span})
    pieces = []
    for a, b, record in _pieces(entries, start, end):
        edges = [a, *(t for t in cuts if a < t < b), b]
        for low, high in pairwise(edges):
            leads = any(begin <= low and high <= finish for begin, finish in mine)
            pieces.append(LanePiece(start=_at(low), end=_at(high), period=record[3], leads=leads))
    return Lane(
        profile=owner.profile,
        evse_id=owner.evse_id,
        unit=owner.schedule.unit,
        pieces=tuple(pieces),
        installed=owner.order > 0,
    )


def _at(when: int) -> datetime:
    return _EPOCH + timedelta(seconds=when)
