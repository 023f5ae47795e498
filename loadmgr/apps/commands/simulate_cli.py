"""``loadmgr simulate``: what strategies make of the same sessions, side by side."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadmgr.sim.bad_rows import BadRows

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from loadmgr.apps.simulate_run import Question
    from loadmgr.sim.run import Simulation
    from loadmgr.sim.session_table import SessionTable

MOST_NAMED = 5
"""Bad rows that are named when they are mended, and when they are left out; the rest are counted."""


OnBadRows = Annotated[
    BadRows, typer.Option(help="Bad rows of the session table: refused, left out, or mended where there is no choice.")
]

PLOT_SUFFIXES = (".png", ".pdf", ".svg")


def simulate(  # noqa: PLR0913 - one parameter for each option
    site: Annotated[str, typer.Argument(metavar="SITE", help="Site file, or the name of a sample site.")],
    *,
    sessions: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Session table. [default: the site's own]")
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="May be repeated. [default: all but the controller, which takes minutes]"),
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="A date, or a time with zone.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="A date, or a time with zone.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides what sessions leave open about vehicles.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the result is the same.")] = 1,
    cluster: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="Run on the Dask cluster with this scheduler.")
    ] = None,
    on_bad_rows: OnBadRows = BadRows.STOP,
    carbon: Annotated[
        float | None, typer.Option(min=0.0, metavar="G", help="Carbon dioxide of imported energy [g/kWh].")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="OUT.csv", help="Write all figures, cost by kind of line.")
    ] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="OUT.parquet", help="Write all figures.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="OUT.png", help="Draw the load under each strategy.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare strategies on the same sessions: energy, promises, cost, peak, and time above a limit.

    Examples: `loadmgr simulate garage`, `loadmgr simulate site.yaml --strategy program --plot load.png`
    """
    from loadmgr.apps.simulate_run import question
    from loadmgr.sim.results import summary_frame
    from loadmgr.site_file import find_site, load_site

    names = strategies_of(strategy)
    check_outputs(csv=csv, parquet=parquet, plot=plot)
    asked = question(
        load_site(find_site(site)),
        sessions=sessions,
        start=moment(start, hint="--start"),
        until=moment(until, hint="--until"),
        seed=seed,
        on_bad_rows=on_bad_rows,
    )
    simulations = _with_progress(asked, names, workers=workers, cluster=cluster)
    frame = summary_frame(simulations, factor_g_per_kwh=carbon)
    _print(asked, simulations, frame, as_json=as_json)
    write_frame(frame, csv=csv, parquet=parquet)
    if plot is not None:
        _plot(simulations, plot)
    tell_bad_rows(asked.table)


def moment(text: str | None, *, hint: str) -> datetime | date | None:
    """Return a date, or a time with zone, that was written on the command line."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text) if len(text) <= 10 else _with_zone(datetime.fromisoformat(text), hint=hint)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time; write 2026-03-01 or 2026-03-01T18:00+01:00", param_hint=hint
        ) from error


def tell_bad_rows(table: "SessionTable") -> None:
    """Name the first rows that were mended or left out, and count them all by column."""
    for line in (*table.mends[:MOST_NAMED], *table.faults[:MOST_NAMED]):
        typer.echo(line, err=True)
    if table.summary:
        typer.echo(table.summary, err=True)


def _with_zone(when: datetime, *, hint: str) -> datetime:
    if when.tzinfo is None:
        raise typer.BadParameter(f"{when} has no zone; write {when.isoformat()}+00:00 for UTC", param_hint=hint)
    return when


def strategies_of(asked: list[str] | None) -> list[str]:
    """Return the strategies of these names; all but the controller if there are none."""
    from loadmgr.sim.strategies import STRATEGIES

    unknown = [name for name in asked or () if name not in STRATEGIES]
    if unknown:
        raise typer.BadParameter(
            f"{unknown[0]} is no strategy; there are {', '.join(STRATEGIES)}", param_hint="--strategy"
        )
    return list(dict.fromkeys(asked)) if asked else [name for name in STRATEGIES if name != "controller"]


def check_outputs(*, csv: Path | None, parquet: Path | None, plot: Path | None = None) -> None:
    """Refuse before anything runs what could not be written after it."""
    from importlib.util import find_spec

    if parquet is not None and find_spec("pyarrow") is None:
        raise typer.BadParameter("pyarrow is not installed: pip install 'loadmgr[parquet]'", param_hint="--parquet")
    for name, path in (("csv", csv), ("parquet", parquet), ("plot", plot)):
        if path is not None and not path.parent.is_dir():
            raise typer.BadParameter(f"{path.parent} is not a folder", param_hint=f"--{name}")
    if plot is not None and plot.suffix not in PLOT_SUFFIXES:
        raise typer.BadParameter(f"{plot} must end with {', '.join(PLOT_SUFFIXES)}", param_hint="--plot")


def write_frame(frame: "pd.DataFrame", *, csv: Path | None, parquet: Path | None, index: bool = True) -> None:
    """Write a table where it was asked for."""
    if csv is not None:
        frame.to_csv(csv, index=index)
    if parquet is not None:
        frame.to_parquet(parquet, index=index)


def _print(asked: "Question", simulations: "list[Simulation]", frame: "pd.DataFrame", *, as_json: bool) -> None:
    import json

    from rich.console import Console

    if as_json:
        typer.echo(json.dumps(_document(asked, simulations), indent=2))
    else:
        Console().print(_table(asked, frame))


def _with_progress(asked: "Question", names: list[str], *, workers: int, cluster: str | None) -> "list[Simulation]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from loadmgr.apps.simulate_run import run_strategies

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {name: bar.add_task(_words(name), total=1.0) for name in names}
        return run_strategies(
            asked,
            names,
            workers=workers,
            cluster=cluster,
            progress=lambda name, share: bar.update(tasks[name], completed=share),
        )


def _table(asked: "Question", frame: "pd.DataFrame") -> "Table":
    """Return the comparison as a table for people."""
    from zoneinfo import ZoneInfo

    from rich import box
    from rich.table import Table

    plan, first = asked.plan, frame.iloc[0]
    zone = ZoneInfo(plan.site.time_zone)
    begin, end = (t.astimezone(zone).strftime("%Y-%m-%d %H:%M") for t in (plan.start, plan.until))
    refused = f", {first['sessions_refused']} found no free EVSE" if first["sessions_refused"] else ""
    table = Table(
        title=f"{plan.site.name}, {begin} to {end}",
        caption=f"{first['sessions']} sessions that ask for {first['energy_requested_wh'] / 1000.0:,.1f} kWh{refused}",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("strategy", no_wrap=True)
    carbon = ("CO2 kg",) if "carbon_g" in frame else ()
    for heading in (
        "energy kWh",
        "promises",
        f"cost {first['currency']}",
        "peak kW",
        *carbon,
        "above limit",
    ):
        table.add_column(heading, justify="right")
    for name, row in frame.iterrows():
        over_s = float(row["seconds_above_limit"])
        table.add_row(
            _words(str(name)),
            f"{row['energy_delivered_wh'] / 1000.0:,.1f}",
            f"{row['promises_kept']} of {row['promises_total']}" if row["promises_total"] else "none due",
            f"{row['cost']:,.2f}",
            f"{row['peak_w'] / 1000.0:,.1f}",
            *((f"{row['carbon_g'] / 1000.0:,.1f}",) if carbon else ()),
            f"[red]{over_s:,.0f} s[/red]" if over_s > 0.0 else "never",
        )
    return table


def _document(asked: "Question", simulations: "list[Simulation]") -> dict[str, Any]:
    return {
        "site": asked.plan.site.name,
        "start": asked.plan.start.isoformat(),
        "until": asked.plan.until.isoformat(),
        "seed": asked.plan.seed,
        "bad_rows": list(asked.table.faults),
        "mended_rows": list(asked.table.mends),
        "strategies": {simulation.strategy: simulation.report().figures() for simulation in simulations},
    }


def _plot(simulations: "list[Simulation]", path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from loadmgr.sim.plot import plot_load

    figure = Figure(figsize=(10.0, 3.2 * len(simulations)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(simulations), 1, sharex=True, sharey=True, squeeze=False)
    for simulation, axes in zip(simulations, panels[:, 0], strict=True):
        plot_load(simulation, axes)
        if axes is not panels[-1, 0]:
            axes.get_legend().remove()
    figure.savefig(path)


def _words(name: str) -> str:
    return name.replace("_", " ")
