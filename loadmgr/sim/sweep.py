"""Sweeps over a site: tariffs, strategies, fuses, numbers of EVSEs and seeds, every combination simulated once.

Rules kept here
---------------
1. A case names everything that its result depends on, the contents of files included: a results file never answers
   for files that have changed since.
2. A worker loads what it needs from the names in the case; nothing else is sent to it.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

import loadmgr
from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId, StationId
from loadmgr.model.session import SessionRecord
from loadmgr.model.topology import Site, Station
from loadmgr.sim.generators import FITTED, draw_hub, session_model
from loadmgr.sim.run import SimulationOptions, run_plan
from loadmgr.sim.session_model import draw_sessions
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.sizing import with_fuse
from loadmgr.sim.slots import SlotOptions
from loadmgr.sim.study import Case, Study
from loadmgr.sim.world_plan import WorldPlan, plan_world
from loadmgr.site_file import SiteFile, find_site, load_site

DRAWN = (*FITTED, "hub")


def site_study(  # noqa: PLR0913 - one parameter for each choice
    site: str,
    *,
    strategies: Sequence[str] = ("least_laxity",),
    tariffs: Sequence[str] | None = None,
    fuses_a: Sequence[float | None] = (None,),
    evses: Sequence[int | None] = (None,),
    seeds: Sequence[int] = (0,),
    sessions: Sequence[str] | None = None,
    start: date | None = None,
    days: int | None = None,
) -> Study:
    """Return the study of a site.

    Parameters
    ----------
    site : str
        A site file, or the name of a sample.
    strategies : sequence of str
    tariffs : sequence of str, optional
        Site files or samples whose tariffs are compared; ``None`` is the site's own.
    fuses_a : sequence of float
        Limits of the grid connection [A per phase]; ``None`` is the site's own.
    evses : sequence of int
        Numbers of EVSEs: the first ones of the site, or copies of them in turn; ``None`` is the site's own.
    seeds : sequence of int
    sessions : sequence of str, optional
        Session tables, or ``draw:workplace``, ``draw:apartment``, ``draw:hub``, drawn anew for each seed and number of
        EVSEs; ``None`` is the site's own table.
    start : date, optional
        First day; ``None`` that of the first session. Drawn sessions need it.
    days : int, optional
        How many days; ``None`` to the last departure. Drawn sessions need it.

    Raises
    ------
    InputError
        If a file is missing, or drawn sessions have no span.
    """
    tables = list(sessions or [""])
    if any(name.startswith("draw:") for name in tables) and (start is None or days is None):
        raise InputError("sessions that are drawn need start and days")
    unknown = [name for name in tables if name.startswith("draw:") and name[5:] not in DRAWN]
    if unknown:
        raise InputError(f"sessions {unknown[0]}: can be drawn for {', '.join(DRAWN)}")
    return Study(
        simulate=simulate_site_case,
        choices={
            "site": [site],
            "inputs": [_digest([site, *(tariffs or []), *(name for name in tables if not name.startswith("draw:"))])],
            "start": [None if start is None else start.isoformat()],
            "days": [days],
            "sessions": tables,
            "tariff": list(tariffs or [site]),
            "strategy": list(strategies),
            "fuse_a": list(fuses_a),
            "evses": list(evses),
            "seed": list(seeds),
        },
    )


def _digest(names: Sequence[str]) -> str:
    """Return a digest of the program and of every file that a study reads, those beside the site files included."""
    digest = hashlib.sha256(loadmgr.__version__.encode())
    for name in names:
        if not name:
            continue
        path = Path(name) if Path(name).suffix in (".csv", ".parquet", ".json", ".gz") else find_site(name)
        folder = path.parent / "data" if path.suffix in (".yaml", ".yml") else path.parent
        beside = sorted(folder.glob("*.csv")) if folder != path.parent else []
        for file in (path, *beside):
            try:
                digest.update(file.name.encode() + file.read_bytes())
            except OSError as error:
                raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()[:12]


def simulate_site_case(case: Case) -> Mapping[str, Any]:
    """Return the figures of one case of :func:`site_study`; runs on workers.

    Raises
    ------
    InputError
        If a file is bad, or the case makes no sense for the site.
    """
    plan, options = _world(
        (case["site"], case["inputs"]),
        case["sessions"],
        case["start"],
        days=case["days"],
        evses=case["evses"],
        seed=case["seed"],
    )
    if case["fuse_a"] is not None:
        plan = with_fuse(plan, case["fuse_a"])
    tariff = _site_file(case["tariff"], case["inputs"]).tariff
    try:
        simulation = run_plan(plan, tariff, strategy=case["strategy"], options=options)
        figures = simulation.report().figures()
    except ValueError as error:
        raise InputError(f"{case['site']}: {error}") from error
    return {name: value for name, value in figures.items() if name not in ("site", "versions")}


@functools.lru_cache(maxsize=8)
def _site_file(name: str, inputs: str) -> SiteFile:
    """Return a site file; it is kept for as long as the ``inputs`` of the study are the same."""
    return load_site(find_site(name))


@functools.lru_cache(maxsize=8)
def _world(
    site: tuple[str, str], sessions: str, start: str | None, *, days: int | None, evses: int | None, seed: int
) -> tuple[WorldPlan, SimulationOptions]:
    name, inputs = site
    site_file = _site_file(name, inputs)
    if evses is not None:
        site_file = replace(site_file, site=with_evses(site_file.site, evses))
    first = None if start is None else date.fromisoformat(start)
    if sessions.startswith("draw:"):
        assert first is not None
        assert days is not None
        records = drawn_sessions(sessions[5:], site_file.site, first_day=first, days=days, seed=seed)
    else:
        path = Path(sessions) if sessions else None if site_file.demo is None else site_file.demo.sessions
        if path is None:
            raise InputError(f"{name}: names no sessions of its own")
        records = read_sessions(path)
    known = site_file.site.evse_by_id
    records = tuple(r if r.evse is None or r.evse in known else replace(r, evse=None) for r in records)
    begin, end = span_of(records, site_file.site.time_zone, first_day=first, days=days)
    plan = plan_world(site_file, records, start=begin, until=end, seed=seed)
    said = site_file.session_defaults
    slots = SlotOptions(stay_s=float(said.stay_s), need_wh=said.energy_wh)
    return plan, SimulationOptions(slots=slots)


def span_of(
    records: Sequence[SessionRecord], time_zone: str, *, first_day: date | None = None, days: int | None = None
) -> tuple[datetime, datetime]:
    """Return local midnights around sessions: before the first arrival and after the last departure, if not given.

    Raises
    ------
    InputError
        If there are no sessions to take the span from.
    """
    zone = ZoneInfo(time_zone)
    if not records and (first_day is None or days is None):
        raise InputError("there is no session to simulate")
    first = first_day or min(r.arrival for r in records).astimezone(zone).date()
    if days is None:
        end = max(r.departure for r in records).astimezone(zone).date() + timedelta(days=1)
    else:
        end = first + timedelta(days=days)
    return datetime.combine(first, time(), tzinfo=zone), datetime.combine(end, time(), tzinfo=zone)


def drawn_sessions(kind: str, site: Site, *, first_day: date, days: int, seed: int) -> tuple[SessionRecord, ...]:
    """Return sessions for all EVSEs of a site, drawn by a seed.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if kind not in DRAWN:
        raise InputError(f"sessions can be drawn for {', '.join(DRAWN)}, got {kind}")
    rng = np.random.default_rng([seed, 7])
    count, zone = len(site.evses), site.time_zone
    if kind == "hub":
        return draw_hub(evses=count, first_day=first_day, days=days, time_zone=zone, rng=rng)
    model = session_model(kind)
    return draw_sessions(model, evses=count, first_day=first_day, days=days, time_zone=zone, rng=rng)


def with_evses(site: Site, count: int) -> Site:
    """Return a site with another number of EVSEs: its first ones, or copies of them in turn on the same circuits.

    Raises
    ------
    InputError
        If there would be none, or an outlet of a power cabinet would have to be copied.
    """
    if count < 1:
        raise InputError(f"number of EVSEs must be at least 1, got {count}")
    if count > len(site.evses) and site.cabinets:
        raise InputError(f"{site.name}: outlets of power cabinets cannot be copied: at most {len(site.evses)} EVSEs")
    station_of = {station.id: station for station in site.stations}
    evses, stations = [], dict[StationId, Station]()
    for index in range(count):
        evse, turn = site.evses[index % len(site.evses)], index // len(site.evses)
        station = station_of[evse.station]
        if turn:
            station = replace(station, id=StationId(f"{station.id}-{turn + 1}"))
            evse = replace(evse, id=EvseId(f"{evse.id}-{turn + 1}"), station=station.id)
        stations[station.id] = station
        evses.append(evse)
    kept = {evse.id for evse in evses}
    cabinets = tuple(
        replace(cabinet, evses=tuple(name for name in cabinet.evses if name in kept))
        for cabinet in site.cabinets
        if kept & set(cabinet.evses)
    )
    return replace(site, evses=tuple(evses), stations=tuple(stations.values()), cabinets=cabinets)
