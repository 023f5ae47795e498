"""Who arrives when, at which EVSE, with which vehicle, and what the driver says.

Rules kept here
---------------
1. A visit that names no EVSE takes the lowest free one in file order; one that finds none is refused, and counted.
2. What a session table does not say about a vehicle (battery, state of charge, how fast it follows a limit) is drawn
   from the seed and the session's own id, so that one more row does not change the others.
3. The vehicle stops by itself at the energy that the session really took where the table knows it, else at the energy
   asked for. The driver only says something where the table holds an estimate: what is said may be wrong, as in life.
4. Energy asked of a site is the least of what the vehicle takes and what could be had during the stay if the vehicle
   had its EVSE for itself ("deliverable").
"""

import bisect
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from loadmgr.control.observation import SessionDeclared
from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.session import SessionRecord, Taper, VehicleLimits
from loadmgr.model.topology import CurrentType, Evse, Site
from loadmgr.sim.vehicle import Vehicle, VehicleSpec

CAPACITIES_WH = (40_000.0, 52_000.0, 60_000.0, 77_000.0, 90_000.0)
"""Usable batteries of common electric cars, each as likely as the others where the table names none."""

AC_TAPER = Taper(start_ratio=0.85, end_ratio=0.2)
DC_TAPER = Taper(start_ratio=0.55, end_ratio=0.15)
"""From which state of charge a vehicle takes less, and what share of its power it takes when full: assumptions."""

START_UP_S = 60.0
"""From the plug to the first energy, at most [s]: nobody promises what takes less."""

_LOWEST_ARRIVAL_RATIO = 0.05
"""No drawn vehicle arrives emptier than this; it gets a larger battery instead."""

ID_TAG_LENGTH = 20
"""The longest idTag of OCPP 1.6 (section 7, IdToken)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A session that finds its EVSE.

    Parameters
    ----------
    arrival_s, departure_s : float
        Plug-in and unplug [s after the start of the world].
    asked_wh : float
        The least of what the vehicle takes and what could be had during the stay [Wh].
    said : SessionDeclared, optional
        What the driver says at arrival; ``None`` says nothing.
    promised_wh : float, optional
        What there is to be by the departure that was said: no more than the vehicle takes, and than it could have by
        then, a minute after plug-in included; ``None`` where nothing was said.
    """

    session_id: SessionId
    evse: Evse
    arrival_s: float
    departure_s: float
    vehicle: VehicleSpec
    asked_wh: float
    said: SessionDeclared | None
    promised_wh: float | None

    @property
    def id_token(self) -> str:
        """What the driver shows to the reader: the session's id where it is short enough for an idTag of OCPP 1.6."""
        if len(self.session_id) <= ID_TAG_LENGTH:
            return self.session_id
        return f"RFID{zlib.crc32(self.session_id.encode()):08X}"

    @property
    def left_early(self) -> bool:
        """Whether the driver leaves before the departure that was said."""
        return self.said is not None and self.said.departure is not None and self.promised_s > self.departure_s

    @property
    def promised_s(self) -> float:
        """Seconds after the start by which the energy was promised; the departure itself if nothing was said."""
        if self.said is None or self.said.departure is None:
            return self.departure_s
        return self.arrival_s + (self.said.departure - self.said.at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Visits in order of arrival, and the sessions that found no free EVSE."""

    visits: tuple[Visit, ...]
    refused: tuple[SessionRecord, ...]


def plan_arrivals(
    site: Site, sessions: Iterable[SessionRecord], *, start: datetime, until: datetime, seed: int
) -> Arrivals:
    """Return who arrives at a site within ``[start, until)``.

    Raises
    ------
    InputError
        If a session names an EVSE that the site lacks, or that is still taken.
    """
    records = sorted((r for r in sessions if start <= r.arrival < until), key=lambda r: (r.arrival, r.session_id))
    free_from: dict[EvseId, datetime] = {e.id: start for e in site.evses}
    visits, refused = [], []
    for record in records:
        evse = _evse_for(site, record, free_from)
        if evse is None:
            refused.append(record)
            continue
        free_from[evse.id] = record.departure
        visits.append(_visit(record, evse, site=site, start=start, seed=seed))
    return Arrivals(visits=tuple(visits), refused=tuple(refused))


def _evse_for(site: Site, record: SessionRecord, free_from: dict[EvseId, datetime]) -> Evse | None:
    if record.evse is None:
        return next((e for e in site.evses if free_from[e.id] <= record.arrival), None)
    if record.evse not in site.evse_by_id:
        raise InputError(f"session {record.session_id}: evse must be one of the site, got {record.evse}")
    if free_from[record.evse] > record.arrival:
        raise InputError(
            f"session {record.session_id}: EVSE {record.evse} is taken until {free_from[record.evse].isoformat()}, "
            f"but the session arrives at {record.arrival.isoformat()}"
        )
    return site.evse_by_id[record.evse]


def _visit(record: SessionRecord, evse: Evse, *, site: Site, start: datetime, seed: int) -> Visit:
    takes_wh = record.energy_requested_wh if record.energy_delivered_wh is None else record.energy_delivered_wh
    vehicle = draw_vehicle(record, evse, takes_wh=takes_wh, settle_s=site.timing.settle_s, seed=seed)
    arrival_s = (record.arrival - start).total_seconds()
    departure_s = (record.departure - start).total_seconds()
    said = _said(record, evse)
    stays_s, promised_wh = [departure_s - arrival_s], None
    if said is not None and said.departure is not None and said.need is not None:
        stays_s.append(max((said.departure - said.at).total_seconds() - START_UP_S, 0.0))
    alone_wh, *by_then_wh = deliverable_wh(vehicle, evse, voltage_v=site.voltage_v, stays_s=stays_s)
    if by_then_wh and said is not None and said.need is not None:
        promised_wh = min(said.need.wanted_wh, *by_then_wh)
    return Visit(
        session_id=record.session_id,
        evse=evse,
        arrival_s=arrival_s,
        departure_s=departure_s,
        vehicle=vehicle,
        asked_wh=min(takes_wh, alone_wh),
        said=said,
        promised_wh=promised_wh,
    )


def _said(record: SessionRecord, evse: Evse) -> SessionDeclared | None:
    """Return what the driver says: energy and departure where the table holds an estimate, else nothing."""
    if record.estimated_departure is None:
        return None
    return SessionDeclared(
        at=record.arrival,
        evse=evse.id,
        departure=max(record.estimated_departure, record.arrival + timedelta(minutes=1)),
        need=record.need,
        discharge=record.discharge,
        vehicle=VehicleLimits(phases=record.phases, max_a=record.max_a),
    )


def draw_vehicle(record: SessionRecord, evse: Evse, *, takes_wh: float, settle_s: float, seed: int) -> VehicleSpec:
    """Return a vehicle that takes ``takes_wh`` from the grid and then stops by itself."""

    def drawn(what: str) -> float:
        """Return a number in [0, 1) that depends on the seed, the session and what is drawn, and on nothing else."""
        return zlib.crc32(f"{seed}/{record.session_id}/{what}".encode()) / 2**32

    dc = evse.current_type is CurrentType.DC
    efficiency_ratio = evse.efficiency_ratio if dc else 0.88 + 0.05 * drawn("efficiency")
    target_ratio = 0.8 + 0.2 * drawn("target")
    capacity_wh = CAPACITIES_WH[int(drawn("capacity") * len(CAPACITIES_WH))]
    into_wh = takes_wh * efficiency_ratio
    below_wh = record.discharge_wh * efficiency_ratio  # what may be taken out of it has to be in it
    capacity_wh = max(capacity_wh, (into_wh + below_wh) / (target_ratio - _LOWEST_ARRIVAL_RATIO))
    phases = len(evse.phases) if record.phases is None else record.phases
    max_a = evse.max_a if record.max_a is None else record.max_a
    min_a = min(evse.min_a, max_a)
    return VehicleSpec(
        capacity_wh=capacity_wh,
        arrival_ratio=max(target_ratio - into_wh / capacity_wh, 0.0),
        target_ratio=target_ratio,
        phases=phases,
        min_a=min_a,
        max_a=max_a,
        max_w=None if evse.max_w is None else evse.max_w / evse.efficiency_ratio,
        efficiency_ratio=efficiency_ratio,
        taper=DC_TAPER if dc else AC_TAPER,
        lag_s=(0.2 + 0.6 * drawn("lag")) * settle_s,
        discharge_a=record.discharge_a,
        floor_ratio=0.0,
    )


def deliverable_wh(vehicle: VehicleSpec, evse: Evse, *, voltage_v: float, stays_s: Sequence[float]) -> list[float]:
    """Return the energy that a vehicle takes during stays of these lengths if its EVSE gives all it has [Wh]."""
    alone = Vehicle(vehicle, now_s=0.0, voltage_v=voltage_v, evse_phases=len(evse.phases))
    alone.offer(0.0, evse.max_a)
    out_wh = [0.0] * len(stays_s)
    for index in sorted(range(len(stays_s)), key=stays_s.__getitem__):
        alone.advance(stays_s[index])
        out_wh[index] = alone.energy_wh
    return out_wh


def uncontrolled_wh(visits: Sequence[Visit], *, voltage_v: float, marks_s: Sequence[float]) -> list[float]:
    """Return the energy that the same vehicles take between marks if nobody controls them [Wh].

    Parameters
    ----------
    visits : sequence of Visit
    voltage_v : float
    marks_s : sequence of float
        Bounds of the intervals [s after the start], increasing; one more than there are intervals.
    """
    drawn_wh = [0.0] * (len(marks_s) - 1)
    for visit in visits:
        alone = Vehicle(visit.vehicle, now_s=visit.arrival_s, voltage_v=voltage_v, evse_phases=len(visit.evse.phases))
        alone.offer(visit.arrival_s, visit.evse.max_a)
        before_wh = 0.0
        for index in range(max(bisect.bisect_right(marks_s, visit.arrival_s) - 1, 0), len(drawn_wh)):
            end_s = marks_s[index + 1]
            alone.advance(min(end_s, visit.departure_s))
            drawn_wh[index] += alone.energy_wh - before_wh
            before_wh = alone.energy_wh
            if end_s >= visit.departure_s:
                break
    return drawn_wh
