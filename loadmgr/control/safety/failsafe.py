"""Setting a station up: its fail-safe on every EVSE, read back, before it is given anything.

Rules
-----
1. Nothing is sent to a fresh connection before the station spoke, or some seconds passed: some fall into a boot loop.
2. One step at a time for each station: what it can do, clear what does not belong there, fail-safe, maximum, read-back,
   then what is left of another way to limit it, and at last, where the version has words for it, what others limit.
3. Until the read-back is answered an EVSE counts with its installed maximum.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.command import ClearProfile, Command, ReadBack, ReadCapabilities, ReadForeign, SetProfile, Urgency
from loadmgr.control.safety.holding import FailSafeStage
from loadmgr.control.sending.budget import may_write_maximum
from loadmgr.control.sending.form import has_room
from loadmgr.control.sending.pending import Purpose
from loadmgr.control.sending.profiles import failsafe_of, maximum_profile, rate_unit
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import EvseRecord, SiteState, StationRecord
from loadmgr.model.ids import EvseId
from loadmgr.model.profile import OcppVersion, ProfilePurpose
from loadmgr.model.topology import LimitBy

QUIET_S = 5
"""How long a station that says nothing is waited for [s]."""

READ_BACK_S = 600
"""Window of a read-back [s]."""

CLEARED = (ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT, ProfilePurpose.CHARGE_POINT_MAX)

SETTING_UP = frozenset(
    {
        Purpose.CAPABILITIES,
        Purpose.CLEAR,
        Purpose.FAILSAFE,
        Purpose.MAXIMUM,
        Purpose.READ_BACK,
        Purpose.LEFTOVER,
        Purpose.FOREIGN,
    },
)

Step = tuple[Command, Purpose, EvseId | None]


def next_steps(
    state: SiteState, station: StationRecord, *, settings: ControlSettings, now: datetime, first_id: int
) -> Iterator[Step]:
    """Yield what is to be sent to a station now to set it up; nothing while an earlier step is unanswered."""
    if not station.connected or not _may_speak(station, now):
        return
    if any(p.station == station.station.id and p.purpose in SETTING_UP for p in state.pending.values()):
        return
    if station.retry_at is not None and now < station.retry_at:
        return
    yield from _steps(state, station, first_id, settings=settings, now=now)


def standing_profiles(state: SiteState, station: StationRecord) -> tuple[InstalledProfile, ...]:
    """Return what a station is to hold with nobody in control."""
    failsafes = (failsafe_of(state, state.evses[e.id], station) for e in state.site.evses_of(station.station.id))
    if station.form.whole:
        return tuple(failsafes)
    return (*failsafes, InstalledProfile(evse_id=0, profile=maximum_profile(state, station)))


def cleared_of(station: StationRecord) -> tuple[ProfilePurpose, ...]:
    """Return the purposes of which nothing but what this controller installs may be on a station."""
    return CLEARED if station.station.limit_by is LimitBy.TRANSACTION else (ProfilePurpose.CHARGE_POINT_MAX,)


def quiet_until(station: StationRecord) -> datetime | None:
    """Return until when a silent station is waited for."""
    if not station.connected or station.heard_at is not None or station.connected_at is None:
        return None
    return station.connected_at + timedelta(seconds=QUIET_S)


def _may_speak(station: StationRecord, now: datetime) -> bool:
    until = quiet_until(station)
    return until is None or now >= until


def _steps(
    state: SiteState, station: StationRecord, first_id: int, *, settings: ControlSettings, now: datetime
) -> Iterator[Step]:
    name = station.station.id
    if not station.capabilities_asked:
        station.capabilities_asked = True
        yield _capabilities_step(state, station, first_id)
        return
    if station.clear_first:
        yield from _clear_steps(station, first_id)
        return
    records = [state.evses[e.id] for e in state.site.evses_of(name)]
    missing = [r for r in records if r.holding.stage is FailSafeStage.MISSING or r.holding.reinstall]
    for offset, record in enumerate(missing):
        yield _failsafe_step(state, record, station, first_id + offset)
    if missing:
        return
    takes = _takes_maximum(state, station) and may_write_maximum(state, station, settings, now)
    if not station.maximum_asked and takes:
        station.maximum_asked = True
        station.maximum_writes.append(now)
        yield _maximum_step(state, station, first_id)
        return
    unread = [r for r in records if r.holding.stage is FailSafeStage.ACKNOWLEDGED or r.holding.recheck]
    for offset, record in enumerate(unread):
        record.holding.recheck = False
        yield _read_back_step(record, station, first_id + offset)
    if unread:
        return
    if station.leftovers:
        profile_id = station.leftovers[0]
        reason = "of another way to limit it"
        yield ClearProfile(id=first_id, station=name, profile_id=profile_id, reason=reason), Purpose.LEFTOVER, None
        return
    if station.foreign_request is None and station.version not in (None, OcppVersion.V16):
        station.foreign_request = first_id
        yield ReadForeign(id=first_id, station=name, reason="limits of others"), Purpose.FOREIGN, None


def _capabilities_step(state: SiteState, station: StationRecord, command_id: int) -> Step:
    name = station.station.id
    able = tuple(e.number for e in state.site.evses_of(name) if e.discharge_a > 0.0)
    switching = tuple(e.number for e in state.site.evses_of(name) if e.switches_phases)
    ask = ReadCapabilities(id=command_id, station=name, v2x_evses=able, phase_evses=switching, reason="what it can do")
    return ask, Purpose.CAPABILITIES, None


def _clear_steps(station: StationRecord, first_id: int) -> Iterator[Step]:
    """Yield one purpose at a time: 2.x forbids a clear that names nothing (K10.FR.02)."""
    for offset, purpose in enumerate(cleared_of(station)):
        command = ClearProfile(
            id=first_id + offset,
            station=station.station.id,
            purpose=purpose,
            urgency=Urgency.SAFETY,
            reason="profiles that do not belong there",
        )
        yield command, Purpose.CLEAR, None


def _maximum_step(state: SiteState, station: StationRecord, command_id: int) -> Step:
    profile = maximum_profile(state, station)
    command = SetProfile(id=command_id, station=station.station.id, number=0, profile=profile, reason="station maximum")
    return command, Purpose.MAXIMUM, None


def _read_back_step(record: EvseRecord, station: StationRecord, command_id: int) -> Step:
    command = ReadBack(
        id=command_id,
        station=station.station.id,
        number=record.evse.number,
        duration_s=READ_BACK_S,
        unit=rate_unit(station, record.evse),
        reason="fail-safe read back",
    )
    return command, Purpose.READ_BACK, record.evse.id


def _takes_maximum(state: SiteState, station: StationRecord) -> bool:
    if station.form.whole:
        return False  # it is the fail-safe
    evses = len(state.site.evses_of(station.station.id))
    room = has_room(station, evses + 1 if station.form.lasting else 2 * evses + 1)
    return room and (station.traits is None or station.traits.takes_maximum is not False)


def _failsafe_step(state: SiteState, record: EvseRecord, station: StationRecord, command_id: int) -> Step:
    failsafe = failsafe_of(state, record, station)
    command = SetProfile(
        id=command_id,
        station=station.station.id,
        number=failsafe.evse_id,
        profile=failsafe.profile,
        urgency=Urgency.SAFETY,
        reason="fail-safe",
    )
    return command, Purpose.FAILSAFE, record.evse.id
