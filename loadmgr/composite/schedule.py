"""The schedule over a window: what GetCompositeSchedule answers.

Rules
-----
1. The window is half open, ``[start, start + duration)``, its start floored to the second. A duration of 0 is answered
   with one period, the limit in force at the start.
2. The limit at t is the lowest current per phase of the leading periods of the transaction's purposes, the external
   constraints and the station maximum (K08.FR.04), each by its own phase count (K01.FR.50); the phase count is the
   lowest of theirs (K01.FR.140). Layers without a period take no part. The answer is rounded down to a tenth at the
   end, then equal neighbours are merged. :mod:`loadmgr.composite.combine` says what 2.1 adds.
3. Where no layer has a limit the station's default is answered; it never caps an installed limit. What the hardware
   can carry does, where the settings name it (:mod:`loadmgr.composite.hardware`).
4. :mod:`loadmgr.composite.station` says what EVSE 0 answers, :mod:`loadmgr.composite.bound` how much work is done.
"""

import math
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from loadmgr.composite.answer import CompositeSchedule
from loadmgr.composite.bound import longest_window_s
from loadmgr.composite.compiled import Record, seconds
from loadmgr.composite.layers import Layers, longest_sum_s
from loadmgr.composite.plain import deciders_of, plain_rows
from loadmgr.composite.rich import merged, rich_pieces
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.station import station_pieces
from loadmgr.composite.transaction import StationTransaction
from loadmgr.composite.window import placed
from loadmgr.model.profile import RateUnit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ProfileSource(Protocol):
    """What the two questions need of a store."""

    @property
    def settings(self) -> StationSettings:
        """Capabilities and defaults of the station."""

    def layers(self, evse_id: int, *, simulate: bool, schedule_index: int = 0) -> Layers:
        """Return the stacks of an EVSE."""

    def transaction(self, evse_id: int) -> StationTransaction | None:
        """Return the transaction that runs on an EVSE."""


def composite_schedule(
    source: ProfileSource, *, evse_id: int, start: datetime, duration_s: int, unit: RateUnit, schedule_index: int = 0
) -> CompositeSchedule:
    """Return the schedule over ``[start, start + duration_s)`` as GetCompositeSchedule answers it.

    Parameters
    ----------
    source : ProfileSource
        A :class:`loadmgr.composite.store.ProfileStore`.
    evse_id : int
        0 is the whole station.
    start : datetime
        With zone.
    duration_s : int
        Length of the window [s].
    unit : RateUnit
    schedule_index : int
        Which of the schedules offered to an ISO 15118 vehicle: first with first, second with second (K15.FR.22).

    Raises
    ------
    ValueError
        If ``duration_s`` is negative, ``evse_id`` unknown or ``start`` without zone.
    """
    settings = source.settings
    if duration_s < 0:
        raise ValueError(f"duration_s must be 0 or more, got {duration_s}")
    if not 0 <= evse_id <= settings.evses:
        raise ValueError(f"evse_id must lie in 0..{settings.evses}, got {evse_id}")
    first = seconds(start)
    if evse_id == 0:
        return _station_schedule(source, first, duration_s, unit)
    layers = source.layers(evse_id, simulate=True, schedule_index=schedule_index)
    length_s = duration_s if duration_s < layers.longest_s else layers.longest_s
    window = (first, length_s or 1)
    if layers.local:
        layers = placed(layers, settings, window)
    begin = start if start.tzinfo is UTC and not start.microsecond else _EPOCH + timedelta(seconds=first)
    if not layers.rich:
        rows = plain_rows(layers, window, unit, settings)
        decide = partial(deciders_of, layers, first, rows, unit=unit, settings=settings)
        return CompositeSchedule(evse_id, begin, length_s, unit, rows, decide)
    rows, rich, decided = merged(rich_pieces(layers, window, unit, settings))
    return CompositeSchedule(evse_id, begin, length_s, unit, rows, decided, rich)


def _station_schedule(source: ProfileSource, first: int, duration_s: int, unit: RateUnit) -> CompositeSchedule:
    settings = source.settings
    alike: dict[int, tuple[Layers, int]] = {}
    for evse_id in range(1, settings.evses + 1):
        if not settings.idle_counts_as_zero or source.transaction(evse_id) is not None:
            layers = source.layers(evse_id, simulate=True)
            _, count = alike.get(id(layers), (layers, 0))
            alike[id(layers)] = (layers, count + 1)
    whole = source.layers(0, simulate=True)
    every = [*(layers for layers, _ in alike.values()), whole]
    longest_s = longest_window_s(sum(e.pieces_once for e in every), math.fsum(e.pieces_per_s for e in every))
    length_s = longest_sum_s(every, first, min(duration_s, longest_s))
    window = (first, length_s or 1)
    evses = [(placed(layers, settings, window), count) for layers, count in alike.values()]
    whole = placed(whole, settings, window)
    pieces = partial(station_pieces, evses, whole, window, unit=unit, settings=settings)
    rows, rich, _ = merged(pieces(explain=False))

    def decide() -> list[tuple[Record, ...]]:
        _, _, deciders = merged(pieces(explain=True))
        return deciders()

    says_more = whole.rich or any(layers.rich for layers, _ in evses)
    return CompositeSchedule(
        evse_id=0,
        start=_EPOCH + timedelta(seconds=first),
        duration_s=length_s,
        unit=unit,
        rows=rows,
        decide=decide,
        rich=rich if says_more else None,
    )
