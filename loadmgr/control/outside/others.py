"""What others leave of any limit of ours: external constraints, station maxima, and what a backend above allows.

Rules
-----
1. Each source is reckoned with by itself and the lowest counts, and so is each of several schedules of one source: two
   that say the same purpose at the same stack level would else hide one another.
2. A default profile of others leaves no mark: a transaction profile of ours overrules it at the station.
3. A limit of others is kept as strictly as one of our own, whatever it costs in writes.
4. What others put on the station as a whole caps the sum (K12.FR.01): the EVSEs that charge share it alike.
5. Others may set what they like on a station that our maximum bounds (`leaves_room`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.composite.store import ProfileStore
from loadmgr.control.safety.holding import FailSafeStage
from loadmgr.control.sending.profiles import MAXIMUM_ID
from loadmgr.control.state import EvseRecord, SiteState
from loadmgr.model.ids import EvseId, ProfileId, StationId
from loadmgr.model.profile import ProfileKind, ProfilePurpose, RateUnit
from loadmgr.model.series import TimeGrid
from loadmgr.model.topology import LimitBy
from loadmgr.model.units import floor_to_step

FloatArray = npt.NDArray[np.float64]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

_STANDING = (ProfilePurpose.CHARGE_POINT_MAX, ProfilePurpose.EXTERNAL_CONSTRAINTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """The most that others allow an EVSE now.

    Parameters
    ----------
    limit_a : float, optional
        Per phase [A]; ``None`` where nobody limits.
    source : str, optional
        Who limits; ``None`` for a station maximum of ours.
    until : datetime, optional
        Before that it does not change; ``None`` is for ever.
    """

    limit_a: float | None
    source: str | None
    until: datetime | None


NO_CAP = Cap(limit_a=None, source=None, until=None)


def cap_of_others(state: SiteState, record: EvseRecord, now: datetime) -> Cap:
    """Return what station maxima, external constraints and others' profiles leave of any transaction profile."""
    if not any(record.foreign.values()):
        return _cap_of_ours(state, record, now)
    limits, ends = [], []
    for source, store in _sources(state, record, now):
        found = store.limit_at(record.evse.number, now)
        if found.limit_a is not None:
            limits.append((found.limit_a, source))
        if found.until is not None:
            ends.append(found.until)
        whole_a = None if source is None else store.limit_at(0, now).limit_a
        if whole_a is not None:
            limits.append((whole_a / _charging_beside(state, record), source))
    limit_a, source = min(limits, key=lambda each: each[0], default=(None, None))
    return Cap(limit_a=limit_a, source=source, until=min(ends, default=None))


def _cap_of_ours(state: SiteState, record: EvseRecord, now: datetime) -> Cap:
    """Return what a station maximum of ours leaves, where nobody else limits: so it is almost everywhere."""
    ours = None if record.form.purpose is ProfilePurpose.CHARGE_POINT_MAX else _maxima(state, record, now)
    if ours is None:
        return NO_CAP
    found = ours.limit_at(record.evse.number, now)
    return Cap(limit_a=found.limit_a, source=None, until=found.until)


def caps_over(state: SiteState, record: EvseRecord, grid: TimeGrid) -> float | FloatArray:
    """Return the most that others allow an EVSE in each step of a plan [A], ``inf`` where nobody limits; `(n_step,)`.

    A step has its lowest limit, but the first has that of now: `within_others` cuts what falls before its end. Where
    only a maximum of ours limits, or nothing, it is one number for every step.
    """
    now_a = cap_of_others(state, record, grid.start).limit_a
    now_a = math.inf if now_a is None else now_a
    if not any(record.foreign.values()):
        return now_a
    caps = np.full(len(grid), now_a)
    caps[1:] = np.inf
    offsets = np.array(grid.offsets_s)
    starts, ends = offsets[:-1], offsets[1:]
    for _, store in _sources(state, record, grid.start):
        length_s = int(ends[-1])
        schedule = composite_schedule(
            store, evse_id=record.evse.number, start=grid.start, duration_s=length_s, unit=RateUnit.A
        )
        changes = np.array([row[0] for row in schedule.rows])
        limits = np.array([np.inf if row[1] is None else row[1] for row in schedule.rows] + [np.inf])
        first = np.searchsorted(changes, starts, side="right") - 1
        beyond = np.searchsorted(changes, ends, side="left")
        lowest = np.minimum.reduceat(limits, np.column_stack((first, beyond)).ravel())[::2]
        caps[1:] = np.minimum(caps[1:], lowest[1:])
    return caps


def within_others(state: SiteState, targets_a: Mapping[EvseId, float], now: datetime) -> dict[EvseId, float]:
    """Return setpoints [A] with those lowered that a plan made before others lowered their limit."""
    out = dict(targets_a)
    for evse_id, target_a in targets_a.items():
        excess = over_others(state, state.evses[evse_id], target_a, now)
        if excess is not None:
            evse = state.evses[evse_id].evse
            current_a = floor_to_step(excess, step=evse.step_a)
            out[evse_id] = current_a if current_a >= evse.min_a else 0.0
    return out


def over_others(state: SiteState, record: EvseRecord, current_a: float, now: datetime) -> float | None:
    """Return what others allow [A] where a current is above it, ``None`` where it is not."""
    if not any(record.foreign.values()):
        return None
    limit_a = cap_of_others(state, record, now).limit_a
    return limit_a if limit_a is not None and current_a > limit_a else None


def leaves_room(state: SiteState, station_id: StationId) -> bool:
    """Return whether a backend may set profiles of its own on a station: our limit is its maximum, proven, to stay.

    A default or transaction profile beside it can then lower what is drawn, and never lift it.
    """
    station = state.stations.get(station_id)
    if station is None or station.station.limit_by is not LimitBy.STATION_MAXIMUM:
        return False
    if not station.connected or station.clear_first or station.leftovers:
        return False
    return all(_is_bounded(state.evses[e.id]) for e in state.site.evses_of(station_id))


def _is_bounded(record: EvseRecord) -> bool:
    holding = record.holding
    if holding.stage is not FailSafeStage.READ_BACK or holding.reinstall or holding.recheck:
        return False
    stays = ProfileId(MAXIMUM_ID)
    doubted = any(doubt.installed.profile.profile_id == stays for doubt in holding.doubtful)
    return stays in holding.certain and not doubted


def _sources(state: SiteState, record: EvseRecord, now: datetime) -> Iterator[tuple[str | None, ProfileStore]]:
    if record.form.purpose is not ProfilePurpose.CHARGE_POINT_MAX:  # else ours are what is to be changed
        ours = _maxima(state, record, now)
        if ours is not None:
            yield None, ours
    by_source: dict[str, list[InstalledProfile]] = {}
    for key, installed in record.foreign.items():
        listed = by_source.setdefault(key.rpartition("@")[0], [])
        listed += [i for i in installed if i.profile.purpose is not ProfilePurpose.TX_DEFAULT]
    for source, listed in by_source.items():
        for layer in _layers(listed):
            yield source, _store(state, record, layer, now)


def _layers(installed: Iterable[InstalledProfile]) -> list[list[InstalledProfile]]:
    """Return profiles in as few lists as keep those apart that would stand in one another's place."""
    layers: list[dict[tuple[int, ProfilePurpose, int], InstalledProfile]] = []
    for each in installed:
        place = (each.evse_id, each.profile.purpose, each.profile.stack_level)
        free = next((layer for layer in layers if place not in layer), None)
        if free is None:
            free = {}
            layers.append(free)
        free[place] = each
    return [list(layer.values()) for layer in layers]


def _maxima(state: SiteState, record: EvseRecord, now: datetime) -> ProfileStore | None:
    """Return station maxima of ours as a store, which is kept as long as the station holds the same."""
    kept, settings = record.holding.maxima, state.settings_of(record.evse.station)
    if kept is not None and kept[0] is settings:
        return kept[1]
    ours = [i for i in record.holding.certain.values() if i.profile.purpose in _STANDING]
    if not ours:
        return None
    store = _store(state, record, ours, now)
    if not any(_is_dynamic(i) for i in ours):
        record.holding.maxima = settings, store
    return store


def _charging_beside(state: SiteState, record: EvseRecord) -> int:
    """Return how many EVSEs of a station charge, this one included."""
    others = (e for e in state.site.evses_of(record.evse.station) if e.id != record.evse.id)
    return 1 + sum(state.evses[e.id].charging is not None for e in others)


def _store(state: SiteState, record: EvseRecord, installed: list[InstalledProfile], now: datetime) -> ProfileStore:
    settings = state.settings_of(record.evse.station)
    if any(_is_dynamic(each) for each in installed):
        return _loaded(settings, installed, now)  # what it says counts from when it was told
    return _kept(settings, tuple(installed))


def _is_dynamic(installed: InstalledProfile) -> bool:
    return installed.profile.kind is ProfileKind.DYNAMIC


@lru_cache(maxsize=4096)
def _kept(settings: StationSettings, installed: tuple[InstalledProfile, ...]) -> ProfileStore:
    """Return a store that is made once: profiles of others are asked at every decision and seldom change."""
    return _loaded(settings, installed, LONG_AGO)


def _loaded(settings: StationSettings, installed: Iterable[InstalledProfile], now: datetime) -> ProfileStore:
    store = ProfileStore(settings)
    for each in installed:
        store.load(each.evse_id, each.profile, now=now)
    return store
