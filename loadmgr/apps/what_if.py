"""What another site file would have made of the sessions of a journal: simulated on both, beside what was recorded."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from loadmgr.control.decision import SessionView
from loadmgr.errors import InputError
from loadmgr.model.ids import SessionId
from loadmgr.model.session import SessionRecord
from loadmgr.model.tariff import Tariff
from loadmgr.sim.outcome import PROMISE_TOLERANCE_RATIO, PROMISE_TOLERANCE_WH
from loadmgr.sim.run import SimulationOptions, run_plan
from loadmgr.sim.slots import SlotOptions
from loadmgr.sim.world_plan import WorldPlan, plan_world
from loadmgr.site_file import SiteFile, find_site, load_site
from loadmgr.store.codec import Codec
from loadmgr.store.entry import Started
from loadmgr.store.recall import read_entry
from loadmgr.store.tables import Tables

STRATEGY = "program"
LEAST_WH = 100.0
"""A session that took less was none."""


def compare(tables: Tables, what_if: Path, *, since: datetime | None, until: datetime | None) -> list[dict[str, Any]]:
    """Return what was recorded, and the same sessions simulated on the journal's site and on another.

    Both simulations have the building load and the vehicles' defaults of the other site file, so that what differs is
    the site and its tariff.

    Raises
    ------
    InputError
        If no session ended in the span, or a tariff has no price for a part of it.
    """
    other = load_site(find_site(str(what_if)))
    codec = Codec()
    views = [read_entry(entry, codec) for entry in tables.of_kind("Session", start=since, end=until)]
    last = {(v.evse, v.transaction): v for v in views if isinstance(v, SessionView)}  # some are told again, with more
    ended = [v for v in last.values() if v.ended is not None and v.delivered_wh >= LEAST_WH]
    if not ended:
        raise InputError("no session that took anything ended in this part of the journal: nothing to compare")
    start = _last_start(tables, codec)
    begin = min(v.started for v in ended) - timedelta(minutes=1)
    end = max(v.ended for v in ended if v.ended is not None) + timedelta(minutes=15)
    known = set(other.site.evse_by_id) & set(start.site.evse_by_id)
    sessions = _records(ended, known=known)
    rows = [_recorded(ended)]
    there = plan_world(other, sessions, start=begin, until=end, seed=0)
    here = _moved(there, start, sessions)
    rows.append({"what": "the same site, simulated", **_simulated(here, start.tariff or other.tariff, other)})
    rows.append({"what": f"{what_if.name}, simulated", **_simulated(there, other.tariff, other)})
    return rows


def _last_start(tables: Tables, codec: Codec) -> Started:
    entry = tables.last_start(upto=tables.last_number())
    found = None if entry is None else read_entry(entry, codec)
    if not isinstance(found, Started):
        raise InputError("the journal says of no start which site it is of")
    return found


def _records(ended: Iterable[SessionView], *, known: set[Any]) -> tuple[SessionRecord, ...]:
    out = []
    for view in sorted(ended, key=lambda v: (v.started, v.evse)):
        assert view.ended is not None
        out.append(
            SessionRecord(
                session_id=SessionId(f"{view.evse}-{view.transaction}"),
                evse=view.evse if view.evse in known else None,
                arrival=view.started,
                departure=max(view.ended, view.started + timedelta(minutes=1)),
                estimated_departure=view.departure,
                energy_requested_wh=view.delivered_wh if view.wanted_wh is None else view.wanted_wh,
                energy_delivered_wh=view.delivered_wh,
            )
        )
    return tuple(out)


def _recorded(ended: list[SessionView]) -> dict[str, Any]:
    promised = [v for v in ended if v.wanted_wh is not None]
    kept = sum(v.delivered_wh >= _enough_wh(v.wanted_wh or 0.0) for v in promised)
    return {
        "what": "as recorded",
        "sessions": len(ended),
        "energy_wh": sum(v.delivered_wh for v in ended),
        "promises": len(promised),
        "kept": kept,
        "cost": None,
        "peak_w": None,
        "seconds_above_limit": None,
    }


def _enough_wh(wanted_wh: float) -> float:
    return wanted_wh - max(PROMISE_TOLERANCE_WH, PROMISE_TOLERANCE_RATIO * wanted_wh)


def _moved(plan: WorldPlan, start: Started, sessions: tuple[SessionRecord, ...]) -> WorldPlan:
    from loadmgr.sim.arrivals import plan_arrivals

    arrivals = plan_arrivals(start.site, sessions, start=plan.start, until=plan.until, seed=plan.seed)
    return WorldPlan(
        site=start.site,
        arrivals=arrivals,
        start=plan.start,
        until=plan.until,
        seed=plan.seed,
        background=plan.background,
    )


def _simulated(plan: WorldPlan, tariff: Tariff, defaults: SiteFile) -> dict[str, Any]:
    said = defaults.session_defaults
    options = SimulationOptions(slots=SlotOptions(stay_s=float(said.stay_s), need_wh=said.energy_wh))
    try:
        figures = run_plan(plan, tariff, strategy=STRATEGY, options=options).report().figures()
    except ValueError as error:
        raise InputError(f"{plan.site.name}: {error}") from error
    return {
        "sessions": figures["sessions"],
        "energy_wh": figures["energy_delivered_wh"],
        "promises": figures["promises_total"],
        "kept": figures["promises_kept"],
        "cost": figures["cost"],
        "peak_w": figures["peak_w"],
        "seconds_above_limit": figures["seconds_above_limit"],
    }


def show(rows: list[dict[str, Any]], console: Console | None = None) -> None:
    """Print the comparison."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("what", no_wrap=True)
    for heading in ("sessions", "energy kWh", "promises kept", "cost", "peak kW", "above limit"):
        table.add_column(heading, justify="right")
    for row in rows:
        over_s = row["seconds_above_limit"]
        table.add_row(
            row["what"],
            str(row["sessions"]),
            f"{row['energy_wh'] / 1000.0:,.1f}",
            f"{row['kept']} of {row['promises']}" if row["promises"] else "none made",
            "-" if row["cost"] is None else f"{row['cost']:,.2f}",
            "-" if row["peak_w"] is None else f"{row['peak_w'] / 1000.0:,.1f}",
            "-" if over_s is None else "never" if over_s <= 0.0 else f"{over_s:,.0f} s",
        )
    (console or Console()).print(table)
