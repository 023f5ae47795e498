"""``loadmgr sweep``: tariffs, strategies, fuses, numbers of EVSEs and seeds, every combination simulated once."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadmgr.apps.commands.simulate_cli import check_outputs, moment, strategies_of, write_frame

if TYPE_CHECKING:
    import pandas as pd

    from loadmgr.sim.study import Study

SHOWN_ROWS = 40
"""Rows that are printed; all of them go to a file."""


def sweep(  # noqa: PLR0913 - one parameter for each option
    site: Annotated[str, typer.Argument(metavar="SITE", help="Site file, or the name of a sample site.")],
    *,
    strategy: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="May be repeated. [default: least_laxity]")
    ] = None,
    tariff: Annotated[
        list[str] | None, typer.Option(metavar="SITE", help="Take this site's tariff; may be repeated.")
    ] = None,
    fuse: Annotated[
        list[float] | None, typer.Option(metavar="AMPERE", help="Limit of the grid connection; may be repeated.")
    ] = None,
    evses: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Number of EVSEs; may be repeated. Copies fill up.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=10_000, help="So many seeds.")] = 1,
    sessions: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Session table, or draw:workplace, draw:apartment, draw:hub. [default: own]"),
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="DATE", help="First day.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="How many days.")] = None,
    results: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Remember finished cases here and leave them out.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. [default: one for each processor]")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="Run on the Dask cluster with this scheduler.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="OUT.csv", help="Write a row for each case.")] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="OUT.parquet", help="Write a row for each case.")] = None,
) -> None:
    """Simulate every combination of choices once: a row for each, the same wherever it was found.

    Examples: `loadmgr sweep garage --strategy first_come --strategy program --fuse 50 --fuse 63`,
    `loadmgr sweep garage --sessions draw:apartment --start 2026-03-02 --days 28 --evses 14 --evses 28 --seeds 10`
    """
    from datetime import datetime

    from loadmgr.sim.sweep import site_study

    check_outputs(csv=csv, parquet=parquet)
    first = moment(start, hint="--start")
    if isinstance(first, datetime):
        raise typer.BadParameter("write a date such as 2026-03-02", param_hint="--start")
    study = site_study(
        site,
        strategies=strategies_of(strategy or ["least_laxity"]),
        tariffs=tariff,
        fuses_a=fuse or (None,),
        evses=evses or (None,),
        seeds=range(seeds),
        sessions=sessions,
        start=first,
        days=days,
    )
    frame = _run(study, results=results, workers=workers, cluster=cluster)
    write_frame(frame, csv=csv, parquet=parquet, index=False)
    _print(frame, study)


def _run(study: "Study", *, results: Path | None, workers: int | None, cluster: str | None) -> "pd.DataFrame":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from loadmgr.sim.cluster import cluster_executor
    from loadmgr.sim.study import run_study

    console = Console(stderr=True)
    columns = (TextColumn("cases"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    executor: Any = nullcontext() if cluster is None else cluster_executor(cluster)
    with executor as pool, Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("cases", total=None)
        return run_study(
            study,
            results=results,
            workers=workers,
            executor=pool,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _print(frame: "pd.DataFrame", study: "Study") -> None:
    """Print the choices that vary and the figures that people compare."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    varied = [name for name, values in study.choices.items() if len(values) > 1]
    table = Table(box=box.SIMPLE_HEAD, caption=f"{len(frame)} cases" if len(frame) > SHOWN_ROWS else None)
    for name in varied or ["strategy"]:
        table.add_column(name.replace("_a", " A"))
    for heading in ("energy kWh", "promises", "cost", "peak kW"):
        table.add_column(heading, justify="right")
    for _, row in frame.head(SHOWN_ROWS).iterrows():
        table.add_row(
            *(_word(row[name]) for name in varied or ["strategy"]),
            f"{row['energy_delivered_wh'] / 1000.0:,.1f}",
            f"{row['promises_kept']} of {row['promises_total']}" if row["promises_total"] else "none due",
            f"{row['cost']:,.2f} {row['currency']}",
            f"{row['peak_w'] / 1000.0:,.1f}",
        )
    Console().print(table)


def _word(value: Any) -> str:
    if value is None or value != value or value == "":  # noqa: PLR0124 - not a number: the site's own
        return "own"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
