"""Stations and limits from outside as they stand, for people: what a station is, obeys, and was written to."""

from datetime import datetime, timedelta

from loadmgr.control.decision import ObedienceView, OutsideView, StationView, WritesView
from loadmgr.control.outside.limits import is_silent, told_by
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import EvseRecord, SiteState, StationRecord

DAY = timedelta(days=1)


def station_view(state: SiteState, record: StationRecord, *, settings: ControlSettings, now: datetime) -> StationView:
    """Return a station as it stands."""
    station, plate = record.station, record.nameplate
    evses = [state.evses[e.id] for e in state.site.evses_of(station.id)]
    maxima = sum(now - at < DAY for at in record.maximum_writes)
    writes = [
        WritesView(evse=e.evse.id, written=sum(now - at < DAY for at in e.writes), budget=settings.tx_writes_per_day)
        for e in evses
    ]
    return StationView(
        station=station.id,
        connected=record.connected,
        seen=record.seen,
        since=record.connected_at if record.connected else record.disconnected_at,
        version=None if record.version is None else record.version.value,
        vendor=None if plate is None else plate.vendor or None,
        model=None if plate is None else plate.model or None,
        firmware=None if plate is None else plate.firmware,
        keeps_profiles=record.known.keeps_profiles.value,
        zero_ok=record.known.zero_ok.value,
        evses=tuple(_obedience(e) for e in evses),
        clock_offset_s=record.clock.offset_s,
        clock_drift_s_per_day=record.clock.drift_s_per_day,
        writes=(*writes, WritesView(evse=None, written=maxima, budget=settings.maximum_writes_per_day)),
    )


def _obedience(record: EvseRecord) -> ObedienceView:
    return ObedienceView(
        evse=record.evse.id,
        proven=record.obedience.proven,
        disobeying_since=record.obedience.disobeying_since,
        offences=record.obedience.offences,
        escalation=None if record.escalation is None else record.escalation.rung.value,
        limited_by=record.form.purpose.value,
    )


def outside_views(state: SiteState, now: datetime) -> tuple[OutsideView, ...]:
    """Return the limits from outside that are in force, or would be if their source spoke."""
    out = []
    for key, told in sorted(state.limits.items()):
        limit_a, limit_w = told_by(told, now)
        entry = state.evidence.get(key)
        out.append(
            OutsideView(
                circuit=told.circuit,
                source=told.source,
                told_at=told.at,
                until=told.until,
                silent=is_silent(told, now),
                limit_a=limit_a,
                limit_w=limit_w,
                vehicles_only=told.vehicles_only,
                obeyed_at=None if entry is None else entry.obeyed_at,
            )
        )
    return tuple(out)
