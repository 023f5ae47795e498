"""Reading a site file: every fault in one run, and only then a site."""

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from zoneinfo import available_timezones

from loadmgr.errors import InputError, SiteFileError
from loadmgr.model.equipment import PvPlant
from loadmgr.model.failsafe import FailSafe, FailSafeStrategy, Timing
from loadmgr.model.ids import StationId
from loadmgr.model.proof import StationProof
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Circuit, Site
from loadmgr.site_file import circuits, electrical, places
from loadmgr.site_file.document import Document, PathKey, document_of, read_document
from loadmgr.site_file.drivers import build_drivers
from loadmgr.site_file.equipment import build_batteries, build_cabinets
from loadmgr.site_file.faults import Fault, FaultList
from loadmgr.site_file.likeness import nearest
from loadmgr.site_file.meters import build_battery_inputs, build_inputs
from loadmgr.site_file.outside import build_compliance, build_sources
from loadmgr.site_file.parts import Parts, is_whole, read_parts, read_tariff
from loadmgr.site_file.prices import build_prices
from loadmgr.site_file.proofs import proofs_path, read_proofs
from loadmgr.site_file.rates import build_tariff
from loadmgr.site_file.reading import Reading
from loadmgr.site_file.schema import FailSafePart, SitePart
from loadmgr.site_file.station_feeds import with_station_feeds
from loadmgr.site_file.values import Listen, SessionDefaults, SiteFile
from loadmgr.site_file.world import build_building, build_demo, build_pv


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCheck:
    """What came of reading a site file: the file's content unless there are faults, and what it warns of."""

    path: Path
    site_file: SiteFile | None
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]


def check_site(path: Path) -> SiteCheck:
    """Read a site file and return its content with every fault and warning, in order of line.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be opened.
    """
    try:
        document = read_document(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return _checked(path, document, folder=path.parent)


def check_values(value: object, *, name: str) -> SiteCheck:
    """Read the content of a site file that came as plain values, such as JSON; each fault has its path in them.

    It may name no files: whoever sends it would read those of this machine.
    """
    return _checked(Path(name), document_of(value), folder=None)


def check_tariff(value: object, *, time_zone: str, currency: str) -> tuple[Tariff | None, tuple[Fault, ...]]:
    """Read the section ``tariff`` of a site file that came alone as plain values; it may name no files."""
    document = document_of({"tariff": value})
    faults = FaultList(document)
    faults.faults += [Fault(flaw.line, flaw.column, flaw.text, flaw.advice) for flaw in document.flaws]
    part = read_tariff(document, faults)
    tariff = None
    if part is not None:
        site = SitePart(name="tariff", timezone=time_zone, currency=currency)
        reading = Reading(site=site, folder=None, faults=faults)
        tariff = build_tariff(part, reading)
        build_prices(part, tariff, reading)
    return (None if faults.faults else tariff), tuple(sorted(faults.faults))


def _checked(path: Path, document: Document, *, folder: Path | None) -> SiteCheck:
    faults = FaultList(document)
    if document.flaws:
        faults.faults += [Fault(flaw.line, flaw.column, flaw.text, flaw.advice) for flaw in document.flaws]
    site_file = _read(path, document, faults, folder) if isinstance(document.value, dict) else None
    return SiteCheck(
        path=path,
        site_file=None if faults.faults else site_file,
        faults=tuple(sorted(faults.faults)),
        warnings=tuple(sorted(faults.warnings)),
    )


def load_site(path: Path) -> SiteFile:
    """Return the content of a site file.

    Raises
    ------
    SiteFileError
        With one line per fault: file, line, column, what is wrong; what would be right.
    InputError
        If there is no such file, or it cannot be opened.
    """
    check = check_site(path)
    if check.site_file is None:
        raise SiteFileError("\n".join(fault.shown(path) for fault in check.faults))
    return check.site_file


def _read(path: Path, document: Document, faults: FaultList, folder: Path | None) -> SiteFile | None:
    parts = read_parts(document, faults)
    if folder is not None:
        parts = replace(parts, proofs=_proofs(path, faults))
    sections = (("circuits", parts.circuits), ("evses", parts.evses), ("stations", parts.stations))
    whole = all(is_whole(placed, section, document) for section, placed in sections)
    parts, circuit_of = with_station_feeds(parts, places.circuit_of_evse(parts, faults), faults)
    circuits.check_tree(parts, faults)
    circuits.check_limits(parts, faults)
    circuits.check_continuous(parts, faults)
    places.check_places(parts, circuit_of, faults)
    places.check_stations(parts, faults)
    places.check_zero_ok(parts, faults)
    places.check_limit_by(parts, faults)
    if parts.site is None or not _site_is_sound(parts.site, faults):
        return None
    reading = Reading(site=parts.site, folder=folder, faults=faults)
    tariff = None if parts.tariff is None else build_tariff(parts.tariff, reading)
    market = None if parts.tariff is None else build_prices(parts.tariff, tariff, reading)
    building = build_building(parts, reading)
    inputs = build_inputs(parts, reading)
    battery_inputs = build_battery_inputs(parts, reading)
    plants, profiles = build_pv(parts, reading)
    site = _build_site(parts, circuit_of, plants, faults)
    if site is None:
        if not faults.faults:
            raise AssertionError("a site file without faults did not make a site")
        return None
    if whole:
        _check_together(site, parts, faults)
    stations = {s.id for s in site.stations} if whole else None
    demo = None if parts.demo is None else build_demo(parts.demo, reading, stations=stations)
    compliance = build_compliance(parts, site, reading)
    sources = build_sources(parts, site, compliance, reading)
    drivers = build_drivers(parts, reading)
    if tariff is None:
        return None
    defaults = parts.session_defaults
    return SiteFile(
        path=path,
        site=site,
        tariff=tariff,
        session_defaults=SessionDefaults(energy_wh=defaults.energy, stay_s=int(defaults.stay)),
        listen=Listen(host=parts.listen.host, port=parts.listen.port),
        building=building,
        pv=profiles,
        demo=demo,
        external_limits=sources,
        meter_inputs=inputs,
        battery_inputs=battery_inputs,
        prices=market,
        compliance=compliance,
        drivers=drivers,
    )


def _proofs(path: Path, faults: FaultList) -> dict[StationId, StationProof]:
    """Return what was proved of stations; a file of proofs with a fault is a fault of the site."""
    try:
        return read_proofs(proofs_path(path))
    except InputError as error:
        faults.add((), str(error), "run `loadmgr station prove` again, or remove that file")
        return {}


@cache
def _zones() -> frozenset[str]:
    """Return the names of every zone; they are read from the disk, which takes longer than a whole site."""
    return frozenset(available_timezones())


def _site_is_sound(part: SitePart, faults: FaultList) -> bool:
    """Note a zone that does not exist and a currency that is not one; return whether the zone can be used."""
    if not re.fullmatch(r"[A-Z]{3}", part.currency):
        faults.add(("site", "currency"), f"currency {part.currency!r} is not three letters", "write EUR, GBP, USD, ...")
    zones = _zones()
    if part.timezone in zones:
        return True
    close = nearest(part.timezone, zones)
    advice = f"did you mean {close}?" if close else "write an IANA name such as Europe/Berlin"
    faults.add(("site", "timezone"), f"there is no time zone {part.timezone!r}", advice)
    return False


def _build_site(parts: Parts, circuit_of: dict[str, str], pv: tuple[PvPlant, ...], faults: FaultList) -> Site | None:
    """Return the site, or ``None`` where faults that were noted leave no sound one."""
    if parts.site is None or parts.failsafe is None or parts.timing is None:
        return None
    by_id = {c.part.id: c for c in parts.circuits}
    timing = parts.timing
    batteries = build_batteries(parts, faults)
    cabinets = build_cabinets(parts, circuit_of, faults)
    try:
        return Site(
            name=parts.site.name,
            time_zone=parts.site.timezone,
            currency=parts.site.currency,
            voltage_v=parts.site.voltage,
            circuits=tuple(circuits.build_circuit(c, parts.site, by_id) for c in parts.circuits),
            evses=tuple(
                places.build_evse(e, parts, circuit_of[e.part.id]) for e in parts.evses if e.part.id in circuit_of
            ),
            stations=places.build_stations(parts),
            meters=circuits.build_meters(parts),
            failsafe=_failsafe(parts.failsafe),
            timing=Timing(
                reaction_time_s=timing.reaction_time,
                settle_s=timing.settle,
                meter_interval_s=timing.meter_interval,
                call_timeout_s=timing.call_timeout,
                clock_skew_s=timing.clock_skew,
            ),
            pv=pv,
            batteries=batteries,
            cabinets=cabinets,
        )
    except ValueError:
        return None


def _failsafe(part: FailSafePart) -> FailSafe:
    return FailSafe(
        strategy=FailSafeStrategy(part.strategy),
        lease_s=int(part.lease),
        reserve_starts=None if part.reserve_starts == "all" else part.reserve_starts,
    )


def _check_together(site: Site, parts: Parts, faults: FaultList) -> None:
    places_of = {placed.part.id: placed.path for placed in parts.circuits}

    def place_of(circuit: Circuit) -> PathKey:
        return places_of.get(circuit.id, ("circuits",))

    timed = "timing" in faults.document.value
    slowest = max(site.meters, key=lambda meter: meter.interval_s, default=None)
    metered = () if slowest is None else (*places_of.get(slowest.circuit, ()), "meter", "interval")
    electrical.check_timing(site, faults, place=("timing", "reaction_time") if timed else metered)
    electrical.check_failsafe(site, faults, place_of=place_of)
    electrical.warn_of_forgetting(site, faults, place_of=place_of)
    electrical.warn_of_disobedience(site, faults, place_of=place_of)
