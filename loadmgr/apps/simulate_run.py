"""``loadmgr simulate`` and ``loadmgr size`` behind their commands: a world from files, and strategies run in it."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from loadmgr.errors import InputError
from loadmgr.model.tariff import Tariff
from loadmgr.sim.bad_rows import BadRows
from loadmgr.sim.cluster import cluster_executor
from loadmgr.sim.run import Simulation, SimulationOptions, run_plan
from loadmgr.sim.session_table import SessionTable, load_table
from loadmgr.sim.slots import SlotOptions
from loadmgr.sim.sweep import drawn_sessions, span_of
from loadmgr.sim.world_plan import WorldPlan, plan_world
from loadmgr.site_file import SiteFile

Progress = Callable[[str, float], None]
"""Told a strategy and the share of its run that is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is simulated: the world, what it pays, and the rows of the session table that were left out."""

    plan: WorldPlan
    tariff: Tariff
    options: SimulationOptions
    table: SessionTable


def question(
    site_file: SiteFile,
    *,
    sessions: Path | None,
    start: datetime | date | None,
    until: datetime | date | None,
    seed: int,
    on_bad_rows: BadRows = BadRows.STOP,
) -> Question:
    """Return the world that a command asks about.

    Parameters
    ----------
    sessions : Path, optional
        Session table; ``None`` takes the one of the site file's ``demo`` section.
    start, until : datetime or date, optional
        A date is midnight at the site. ``None`` is the midnight before the first arrival and after the last departure.
    on_bad_rows : BadRows
        What to do with bad rows of the table; times without a zone are mended with the site's.

    Raises
    ------
    InputError
        If there is no session table, or none of its sessions arrives within the span.
    """
    path = sessions or (None if site_file.demo is None else site_file.demo.sessions)
    if path is None:
        raise InputError(f"{site_file.site.name} names no sessions of its own: give a table with --sessions")
    site = site_file.site
    table = load_table(path, evses=tuple(site.evse_by_id), on_bad_rows=on_bad_rows, time_zone=site.time_zone)
    if not table.sessions:
        raise table.refused() if table.refusals else InputError(f"{path}: there is no session in the table")
    zone = ZoneInfo(site_file.site.time_zone)
    last = max(session.departure for session in table.sessions).astimezone(zone).date()
    begin = _instant(start or table.sessions[0].arrival.astimezone(zone).date(), zone)
    end = _instant(until or last + timedelta(days=1), zone)
    if end <= begin:
        raise InputError(f"the simulation must end after {begin.isoformat()}, not at {end.isoformat()}")
    plan = plan_world(site_file, table.sessions, start=begin, until=end, seed=seed)
    if not plan.arrivals.visits:
        raise InputError(f"{path}: no session arrives from {begin.isoformat()} to {end.isoformat()}")
    said = site_file.session_defaults
    slots = SlotOptions(stay_s=float(said.stay_s), need_wh=said.energy_wh)
    return Question(plan=plan, tariff=site_file.tariff, options=SimulationOptions(slots=slots), table=table)


def drawn_question(site_file: SiteFile, kind: str, *, start: datetime | date | None, days: int, seed: int) -> Question:
    """Return a world whose sessions are drawn; without a start it begins on the first Monday of March 2026.

    Raises
    ------
    InputError
        If there is no such kind of sessions.
    """
    first = start.date() if isinstance(start, datetime) else start or date(2026, 3, 2)
    records = drawn_sessions(kind, site_file.site, first_day=first, days=days, seed=seed)
    begin, end = span_of(records, site_file.site.time_zone, first_day=first, days=days + 1)
    said = site_file.session_defaults
    return Question(
        plan=plan_world(site_file, records, start=begin, until=end, seed=seed),
        tariff=site_file.tariff,
        options=SimulationOptions(slots=SlotOptions(stay_s=float(said.stay_s), need_wh=said.energy_wh)),
        table=SessionTable(sessions=records),
    )


def run_strategies(
    asked: Question, strategies: Sequence[str], *, workers: int, progress: Progress, cluster: str | None = None
) -> list[Simulation]:
    """Return the simulation of each strategy, in the order asked; the same wherever and by however many it is run.

    Raises
    ------
    InputError
        If the tariff has no price for a part of the span, or the cluster cannot be used.
    """
    if cluster is not None:
        with cluster_executor(cluster) as executor:
            return _on(executor, asked, strategies, progress=progress)
    if workers == 1 or len(strategies) == 1:
        return [_run(asked, strategy, progress=progress) for strategy in strategies]
    # Workers start fresh: a fork of a process with solver threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=min(workers, len(strategies)), mp_context=context) as pool:
        return _on(pool, asked, strategies, progress=progress)


def _on(executor: Executor, asked: Question, strategies: Sequence[str], *, progress: Progress) -> list[Simulation]:
    waiting = {executor.submit(_run, asked, strategy): strategy for strategy in strategies}
    done = {}
    for future in as_completed(waiting):
        done[waiting[future]] = future.result()
        progress(waiting[future], 1.0)
    return [done[strategy] for strategy in strategies]


def _run(asked: Question, strategy: str, *, progress: Progress | None = None) -> Simulation:
    def tell(over_s: float) -> None:
        if progress is not None:
            progress(strategy, over_s / asked.plan.seconds)

    try:
        simulation = run_plan(asked.plan, asked.tariff, strategy=strategy, options=asked.options, progress=tell)
        simulation.report()  # bills here, where a tariff without a price is still a fault of the input
    except ValueError as error:
        raise InputError(f"{asked.plan.site.name}: {error}") from error
    tell(asked.plan.seconds)
    return simulation


def _instant(when: datetime | date, zone: ZoneInfo) -> datetime:
    return when if isinstance(when, datetime) else datetime.combine(when, time(), tzinfo=zone)
