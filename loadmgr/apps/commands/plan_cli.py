"""``loadmgr plan``: what a site would give the sessions of a table, and why."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from loadmgr.allocation import Explanation, Remedy


def plan(
    site: Annotated[str, typer.Argument(metavar="SITE", help="Site file, or the name of a sample site.")],
    *,
    sessions: Annotated[Path, typer.Option(metavar="FILE.csv", help="Session table.")],
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start of the plan, with zone. [default: the first arrival]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="OUT.png", help="Draw the plan.")] = None,
    explain: Annotated[str | None, typer.Option(metavar="EVSE", help="Say why an EVSE gets what it gets.")] = None,
    export_lp: Annotated[Path | None, typer.Option(metavar="OUT.lp|OUT.mps", help="Write the linear program.")] = None,
) -> None:
    """Plan a day: each session's currents and the energy to expect at its departure.

    Examples: `loadmgr plan garage --sessions week.csv`, `loadmgr plan my-site.yaml --sessions s.csv --json`
    """
    import json
    from zoneinfo import ZoneInfo

    from loadmgr.allocation import AllocationOptions, allocate, what_would_help, write_program
    from loadmgr.allocation import explain as explain_evse
    from loadmgr.apps.planning import plan_view
    from loadmgr.apps.planning.day_plan import plan_problem
    from loadmgr.apps.price_table import tariff_for
    from loadmgr.site_file import find_site, load_site

    site_file = load_site(find_site(site))
    zone = ZoneInfo(site_file.site.time_zone)
    tariff_of = tariff_for(site_file, datetime.now(UTC), tell=lambda text: typer.echo(f"loadmgr: {text}", err=True))
    problem = plan_problem(site_file, sessions, at=_time(at), tariff_of=tariff_of)
    # The plan is given away as a whole, so in no step may a vehicle get less than it charges with.
    options = AllocationOptions(policy="least_missing", milp_evses=0, command_steps=problem.n_steps)
    if explain is not None and explain not in problem.evses.ids:
        known = ", ".join(problem.evses.ids)
        raise typer.BadParameter(f"{explain} has no session in this plan; there are {known}", param_hint="--explain")
    allocation = allocate(problem, options=options)
    currency = site_file.site.currency
    reasons: tuple[Explanation, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    if explain is not None:
        reasons = explain_evse(problem, allocation, explain, options=options, zone=zone, currency=currency)
        remedies = what_would_help(problem, explain, options=options)
    if as_json:
        document = plan_view.document(problem, allocation)
        if reasons:
            document["explanation"] = plan_view.explanation_document(reasons, remedies)
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(plan_view.table(problem, allocation, zone=zone, currency=currency))
        if reasons:
            typer.echo("\n" + plan_view.explanation_text(reasons, remedies, zone=zone))
    if plot is not None:
        from loadmgr.apps.planning import plan_plot

        plan_plot.plot(problem, allocation, plot, zone=zone, currency=currency)
    if export_lp is not None:
        write_program(problem, export_lp, options=options)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; write 2026-03-01T18:00+01:00", param_hint="--at") from error
    if when.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; write {when.isoformat()}+00:00 for UTC", param_hint="--at")
    return when
