"""``loadmgr plan`` behind its command: a site and a session table in, a plan out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from loadmgr.allocation import AllocationProblem
from loadmgr.apps.process.settings import control_settings
from loadmgr.control.planning.day_plan import day_problem
from loadmgr.errors import InputError
from loadmgr.model.series import TimeGrid
from loadmgr.model.session import Session, SessionRecord, VehicleLimits
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Site
from loadmgr.sim.arrivals import plan_arrivals
from loadmgr.sim.session_table import read_sessions
from loadmgr.site_file import SiteFile

QUARTERS = 92
"""After an hour in steps of five minutes so many quarters of an hour: a day."""

REACH = timedelta(days=2)
"""Prices are needed so far: a plan ends within."""

TariffOf = Callable[[datetime, datetime], Tariff]


def plan_problem(
    site_file: SiteFile, sessions: Path, *, at: datetime | None, tariff_of: TariffOf | None = None
) -> AllocationProblem:
    """Return the question that a session table puts to a site.

    Parameters
    ----------
    sessions : Path
        Session table; a session without EVSE gets the lowest free one in file order.
    at : datetime, optional
        When the plan starts; ``None`` is the first arrival in the table.
    tariff_of : callable, optional
        Returns what to reckon with between two instants, instead of the site file's tariff.

    Raises
    ------
    InputError
        If the table cannot be read, is empty, or names an EVSE that the site lacks; if a wish in it cannot be, or a
        price series of the tariff has a gap.
    """
    records = read_sessions(sessions)
    if not records:
        raise InputError(f"{sessions}: there is no session in the table")
    start = at or records[0].arrival
    try:
        return day_problem(
            site_file.site,
            site_file.tariff if tariff_of is None else tariff_of(start, start + REACH),
            sessions_of(site_file.site, records),
            at=start,
            # Given away as a whole and not made again in five minutes: quarter hours all day.
            settings=replace(control_settings(site_file), coarse_steps=QUARTERS, far_steps=0),
            background_w=lambda grid: expected_w(site_file, grid),
        )
    except ValueError as error:
        raise InputError(f"{sessions} cannot be planned at {site_file.path}: {error}") from error


def expected_w(site_file: SiteFile, grid: TimeGrid) -> list[float]:
    """Return what a site is expected to draw beside vehicles in each step [W]: its loads less its generation."""
    total_w = np.zeros(len(grid))
    for load in site_file.building:
        for cycle in load.current_a:
            total_w += site_file.site.voltage_v * np.array(grid.sample(cycle.series(grid.start, grid.end)))
    for plant in site_file.pv:
        total_w -= np.array(grid.sample(plant.power_w.series(grid.start, grid.end)))
    return [float(power) for power in total_w]


def sessions_of(site: Site, records: Sequence[SessionRecord]) -> list[Session]:
    """Return the sessions of a table as a controller would know them: what was asked for, and what the driver said."""
    last = max(r.arrival for r in records)
    first = min(r.arrival for r in records)
    known = {r.session_id: r for r in records}
    arrivals = plan_arrivals(site, records, start=first, until=last + timedelta(seconds=1), seed=0)
    out = []
    for visit in arrivals.visits:
        record = known[visit.session_id]
        out.append(
            Session(
                id=record.session_id,
                evse=visit.evse.id,
                arrival=record.arrival,
                departure=record.estimated_departure or record.departure,
                need=record.need,
                discharge=record.discharge,
                vehicle=VehicleLimits(phases=record.phases, max_a=record.max_a),
            )
        )
    return out
