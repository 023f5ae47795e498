"""From a posted snapshot to what a controller is told: observations in order of time, each fault with its field.

Rules
-----
1. A controller that is told this and asked once answers what one that had seen it all would send.
2. Stations come first, then sessions, then what stations hold, then readings: so that each is judged by what held.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from loadmgr.apps.service.problems import FieldFault, invalid
from loadmgr.apps.service.snapshot import (
    EvseReadingFact,
    InstalledFact,
    LimitFact,
    ScheduleRequest,
    SessionFact,
    StationFact,
)
from loadmgr.bridge.profile_json import profile_from_json
from loadmgr.composite.rules_schedule import check_schedule
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.observation import (
    EvseReading,
    LimitChanged,
    Observation,
    PriceUpdated,
    ProfilesReported,
    SessionDeclared,
    SiteMeterReading,
    StationCapabilities,
    StationConnected,
    StationDisconnected,
    TransactionStarted,
    VehicleKnown,
)
from loadmgr.errors import InputError
from loadmgr.model.ids import CircuitId, EvseId, MeterId, StationId, TransactionId
from loadmgr.model.profile import OcppVersion, RateUnit
from loadmgr.model.series import StepFunction
from loadmgr.model.session import EnergyNeed, VehicleLimits
from loadmgr.model.topology import Evse, PhaseLimits, Site

KNOWN_FOR = timedelta(minutes=1)
"""Stations are taken as connected for so long: none is waited for."""

LONGEST_AGO = timedelta(days=31)
"""Older sessions and readings are slips of the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a controller is told, and of which version each station is.

    Parameters
    ----------
    before : tuple of Observation
        Stations and sessions.
    holding : tuple of StationId or ProfilesReported
        What stations hold; a station alone is taken to hold what this controller sets to stay.
    after : tuple of Observation
        Readings, limits, prices.
    """

    at: datetime
    versions: dict[StationId, OcppVersion]
    before: tuple[Observation, ...]
    holding: tuple[ProfilesReported | StationId, ...]
    after: tuple[Observation, ...]
    sessions: dict[EvseId, SessionFact]


def facts_of(request: ScheduleRequest, site: Site, *, at: datetime) -> Facts:
    """Return what a request says about a site.

    Raises
    ------
    Refused
        422 with every field at fault.
    """
    reading = _Reading(request, site, at)
    stations = reading.stations()
    sessions = reading.sessions()
    holding = tuple(reading.holding(stations))
    after = [*reading.evse_readings(), *reading.meter_readings(), *reading.limits(), *reading.prices()]
    if reading.faults:
        raise invalid(reading.faults)
    connected = at - KNOWN_FOR
    before: list[Observation] = []
    for station in stations.values():
        before += _station(station, StationId(station.id), reading.versions[StationId(station.id)], connected)
    before += sessions
    gone = [StationDisconnected(at=at, station=StationId(s.id)) for s in stations.values() if not s.connected]
    return Facts(
        at=at,
        versions=reading.versions,
        before=tuple(before),
        holding=holding,
        after=tuple(sorted([*after, *gone], key=lambda o: o.at)),
        sessions=reading.session_of,
    )


def _station(fact: StationFact, name: StationId, version: OcppVersion, at: datetime) -> tuple[Observation, ...]:
    units = None if fact.rate_units is None else frozenset(RateUnit(u) for u in fact.rate_units)
    capabilities = StationCapabilities(
        at=at,
        station=name,
        max_stack_level=fact.max_stack_level,
        rate_units=units,
        max_periods=fact.max_periods,
        max_profiles=fact.max_profiles,
        setpoint_evses=tuple(fact.setpoint_evses),
    )
    return capabilities, StationConnected(at=at, station=name, version=version)


class _Reading:
    """One reading of a request: everything that is wrong with it is collected."""

    def __init__(self, request: ScheduleRequest, site: Site, at: datetime) -> None:
        self.faults: list[FieldFault] = []
        self.versions: dict[StationId, OcppVersion] = {}
        self.session_of: dict[EvseId, SessionFact] = {}
        self._request = request
        self._site = site
        self._at = at

    def fault(self, field: str, problem: str, advice: str | None = None) -> None:
        self.faults.append(FieldFault(field, problem, advice))

    def stations(self) -> dict[StationId, StationFact]:
        """Return the stations that were seen, by id."""
        default = self._request.ocpp_version
        found: dict[StationId, StationFact] = {}
        facts = self._request.stations
        listed = [StationFact(id=s.id) for s in self._site.stations] if facts is None else facts
        for index, fact in enumerate(listed):
            name = StationId(fact.id)
            station = self._site.station_by_id.get(name)
            if station is None:
                self.fault(f"stations[{index}].id", f"the site has no station {fact.id!r}", _some(self._site.stations))
            elif name in found:
                self.fault(f"stations[{index}].id", f"station {fact.id} is listed twice", "list it once")
            else:
                found[name] = fact
                known = station.version if station.version in _VERSIONS else None
                self.versions[name] = OcppVersion(fact.ocpp_version or default or known or "1.6")
        return found

    def sessions(self) -> list[Observation]:
        """Return the sessions as observations, in the order of the site's EVSEs."""
        out: dict[EvseId, tuple[Observation, ...]] = {}
        for index, fact in enumerate(self._request.sessions):
            place = f"sessions[{index}]"
            evse = self._evse(fact.evse, f"{place}.evse")
            if evse is None:
                continue
            if evse.id in out:
                self.fault(f"{place}.evse", f"EVSE {fact.evse} has a session already", "list each EVSE once")
                continue
            self.session_of[evse.id] = fact
            said = self._session(fact, evse, place)
            if said is not None:
                out[evse.id] = said
        return [o for e in self._site.evses for o in out.get(e.id, ())]

    def _need(self, fact: SessionFact, place: str) -> EnergyNeed | None:
        if fact.wanted_wh is None:
            if fact.must_wh or fact.full_wh is not None or fact.must_by is not None:
                self.fault(f"{place}.wanted_wh", "is missing beside must_wh, full_wh or must_by", "add it")
            return None
        by = None if fact.must_by is None else self._bounded(fact.must_by, f"{place}.must_by")
        return EnergyNeed(must_wh=fact.must_wh, wanted_wh=fact.wanted_wh, full_wh=fact.full_wh, must_by=by)

    def _session(self, fact: SessionFact, evse: Evse, place: str) -> tuple[Observation, ...] | None:
        started = self._time(fact.started, f"{place}.started")
        transaction = TransactionId(str(fact.transaction_id))
        if self.versions.get(evse.station) is OcppVersion.V16 and not _is_integer(transaction):
            advice = "send the number that StartTransaction was answered with"
            self.fault(f"{place}.transaction_id", f"{transaction!r} is no integer, as OCPP 1.6 needs it", advice)
            return None
        try:
            need = self._need(fact, place)
        except ValueError as error:
            self.fault(f"{place}.wanted_wh", str(error), "let must_wh <= wanted_wh <= full_wh")
            return None
        departure = None if fact.departure is None else self._bounded(fact.departure, f"{place}.departure")
        vehicle = None if fact.vehicle is None else VehicleLimits(**fact.vehicle.model_dump())
        memory = fact.memory
        return (
            TransactionStarted(
                at=started,
                station=evse.station,
                number=evse.number,
                transaction=transaction,
                id_token=fact.id_token,
                started_at=started,
            ),
            SessionDeclared(
                at=started,
                evse=evse.id,
                transaction=transaction,
                departure=departure,
                need=need,
                priority=fact.priority,
                vehicle=vehicle,
                discharge=None if fact.discharge is None else fact.discharge.terms(),
                source="csms",
            ),
            VehicleKnown(
                at=started,
                evse=evse.id,
                transaction=transaction,
                delivered_wh=fact.delivered_wh if "delivered_wh" in fact.model_fields_set else None,
                phases=None if memory is None or memory.phases is None else tuple(memory.phases),
                accepts_a=None if memory is None else memory.accepts_a,
                accepts_since=None if memory is None else memory.accepts_since,
                told=vehicle is not None and vehicle.phases is not None if memory is None else memory.told,
                on_since=started if memory is None else memory.on_since,
                off_since=None if memory is None else memory.off_since,
            ),
        )

    def holding(self, stations: dict[StationId, StationFact]) -> Iterator[ProfilesReported | StationId]:
        """Yield what stations hold; those of which nobody knows are left out."""
        places = {} if self._request.stations is None else {s.id: i for i, s in enumerate(self._request.stations)}
        for name, fact in stations.items():
            if fact.installed_profiles is None:
                if self._request.assume_failsafe:
                    yield name
                continue
            place = f"stations[{places[fact.id]}].installed_profiles"
            installed = [
                self._installed(each, name, f"{place}[{index}]") for index, each in enumerate(fact.installed_profiles)
            ]
            whole = tuple(i for i in installed if i is not None)
            yield ProfilesReported(at=self._at - KNOWN_FOR, station=name, installed=whole)

    def _installed(self, fact: InstalledFact, name: StationId, place: str) -> InstalledProfile | None:
        version = self.versions[name]
        numbers = [e.number for e in self._site.evses_of(name)]
        if fact.evse_id not in (0, *numbers):
            self.fault(f"{place}.evse_id", f"station {name} has no EVSE {fact.evse_id}", f"it has 0, {numbers}")
            return None
        try:
            profile = profile_from_json(fact.profile, version, place=f"{place}.profile")
        except InputError as error:
            field, _, problem = str(error).partition(": ")
            self.fault(field, problem or str(error), f"write it as in OCPP {version.value}")
            return None
        settings = StationSettings(version=version, evses=max(numbers, default=1))
        for index in range(len(profile.schedules)):
            verdict = check_schedule(profile, index, settings)
            if verdict is not None and not verdict.accepted:
                self.fault(f"{place}.profile", f"{verdict.field}: {verdict.detail} ({verdict.requirement})")
                return None
        return InstalledProfile(evse_id=fact.evse_id, profile=profile)

    def evse_readings(self) -> Iterator[Observation]:
        """Yield readings of EVSEs."""
        for index, fact in enumerate(self._request.evse_readings):
            place = f"evse_readings[{index}]"
            evse = self._evse(fact.evse, f"{place}.evse")
            given = [n for n in ("currents_a", "current_a", "power_w") if getattr(fact, n) is not None]
            if len(given) != 1:
                what = f"has {' and '.join(given)}" if given else "has no measurement"
                self.fault(place, what, "give exactly one of currents_a, current_a, power_w")
            elif evse is not None:
                yield self._evse_reading(fact, evse, self._time(fact.at, f"{place}.at"))

    def _evse_reading(self, fact: EvseReadingFact, evse: Evse, at: datetime) -> EvseReading:
        session = self.session_of.get(evse.id)
        return EvseReading(
            at=at,
            station=evse.station,
            number=evse.number,
            transaction=None if session is None else TransactionId(str(session.transaction_id)),
            currents_a=fact.currents_a,
            current_a=fact.current_a,
            power_w=fact.power_w,
            state_of_charge_ratio=fact.state_of_charge_ratio,
            measured_at=at,
        )

    def meter_readings(self) -> Iterator[Observation]:
        """Yield readings of the site's meters."""
        known = {m.id for m in self._site.meters}
        for index, fact in enumerate(self._request.meter_readings):
            place = f"meter_readings[{index}]"
            if fact.meter not in known:
                self.fault(f"{place}.meter", f"the site has no meter {fact.meter!r}", f"it has {sorted(known)}")
            else:
                when = self._time(fact.at, f"{place}.at")
                yield SiteMeterReading(at=when, meter=MeterId(fact.meter), currents_a=fact.currents_a)

    def limits(self) -> Iterator[Observation]:
        """Yield limits from outside."""
        for index, fact in enumerate(self._request.limits):
            place = f"limits[{index}]"
            if fact.circuit not in self._site.circuit_by_id:
                self.fault(f"{place}.circuit", f"the site has no circuit {fact.circuit!r}", _some(self._site.circuits))
            elif fact.limit_a is None and fact.limit_w is None:
                self.fault(place, "limits nothing", "give limit_a or limit_w")
            else:
                yield self._limit(fact, place)

    def _limit(self, fact: LimitFact, place: str) -> LimitChanged:
        limit: PhaseLimits | None = None
        if fact.limit_a is not None:
            limit = fact.limit_a if isinstance(fact.limit_a, tuple) else (fact.limit_a,) * 3
        return LimitChanged(
            at=self._at,
            circuit=CircuitId(fact.circuit),
            source=fact.source,
            limit_a=limit,
            limit_w=fact.limit_w,
            until=None if fact.until is None else self._bounded(fact.until, f"{place}.until"),
            vehicles_only=fact.vehicles_only,
        )

    def prices(self) -> Iterator[Observation]:
        """Yield prices."""
        fact = self._request.prices
        if fact is None:
            return
        try:
            steps = StepFunction(tuple(fact.times), tuple(fact.per_kwh), fact.end)
        except (ValueError, OverflowError) as error:
            self.fault("prices", str(error))
            return
        yield PriceUpdated(at=self._at, prices_per_kwh=steps)

    def _evse(self, name: str, field: str) -> Evse | None:
        evse = self._site.evse_by_id.get(EvseId(name))
        if evse is None:
            self.fault(field, f"the site has no EVSE {name!r}", _some(self._site.evses))
        return evse

    def _time(self, when: datetime | None, field: str) -> datetime:
        """Return an instant of the past, now where none was given."""
        if when is None:
            return self._at
        found = self._bounded(when, field)
        if found > self._at:
            self.fault(field, f"lies after the request's time {self._at.isoformat()}", "send what has happened")
        elif found < self._at - LONGEST_AGO:
            self.fault(field, f"lies more than {LONGEST_AGO.days} days back", "look at the clock")
        return found

    def _bounded(self, when: datetime, field: str) -> datetime:
        found = in_bounds(when)
        if found is None:
            self.fault(field, f"year {when.year} is out of range", "write a year between 1970 and 2200")
        return found or self._at


_VERSIONS = frozenset(v.value for v in OcppVersion)


def in_bounds(when: datetime) -> datetime | None:
    """Return an instant in UTC; ``None`` where arithmetic with it may overflow."""
    return when.astimezone(UTC) if 1970 <= when.year <= 2200 else None


def moment(request: ScheduleRequest, now: datetime) -> datetime:
    """Return the instant that a request is about.

    Raises
    ------
    Refused
        422 if its year is out of range.
    """
    if request.at is None:
        return now
    found = in_bounds(request.at)
    if found is None:
        raise invalid([FieldFault("at", f"year {request.at.year} is out of range", "write one from 1970 to 2200")])
    return found


def _is_integer(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdecimal() and len(text) <= 18


def _some(members: Sequence[object]) -> str:
    ids = [str(getattr(m, "id", m)) for m in members]
    return f"it has {', '.join(ids[:12])}{', ...' if len(ids) > 12 else ''}"
