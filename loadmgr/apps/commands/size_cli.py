"""``loadmgr size``: the smallest grid connection that keeps a share of the promises."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadmgr.apps.commands.simulate_cli import OnBadRows, moment, tell_bad_rows
from loadmgr.sim.bad_rows import BadRows

if TYPE_CHECKING:
    from rich.table import Table

    from loadmgr.apps.simulate_run import Question
    from loadmgr.sim.sizing import ShadowPrice, Sizing

FUSES_A = (16, 20, 25, 32, 35, 40, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250)
"""Rated currents that can be bought (IEC 60269-1, IEC 60898-1) [A]."""

EXIT_NONE_IS_ENOUGH = 1


def size(  # noqa: PLR0913 - one parameter for each option
    site: Annotated[str, typer.Argument(metavar="SITE", help="Site file, or the name of a sample site.")],
    *,
    promise: Annotated[str, typer.Option(metavar="SHARE", help="Promises to be kept, such as 98%.")] = "98%",
    sessions: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Session table. [default: the site's own]")
    ] = None,
    fuse: Annotated[
        list[float] | None, typer.Option(metavar="AMPERE", help="A size to be had; may be repeated. [default: IEC's]")
    ] = None,
    strategy: Annotated[str, typer.Option(metavar="NAME", help="Who gets how much.")] = "least_laxity",
    surely: Annotated[bool, typer.Option("--surely", help="The interval's lower end has to reach the share.")] = False,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="A date, or a time with zone.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="A date, or a time with zone.")] = None,
    draw: Annotated[
        str | None, typer.Option(metavar="KIND", help="Draw sessions instead: workplace, apartment or hub.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="How many days are drawn.")] = 28,
    seed: Annotated[int, typer.Option(min=0, help="Decides what is drawn.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="So many spans, each drawn by its own seed.")] = 1,
    on_bad_rows: OnBadRows = BadRows.STOP,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Find the smallest grid connection that keeps a share of the promises, and what one ampere more is worth.

    Circuits below the connection and a contracted power stay as they are. Exit status 1 if no size is enough.
    With several seeds the interval allows for the luck of each span; of a session table only what it leaves open about
    vehicles is drawn.

    Examples: `loadmgr size garage --promise 98%`, `loadmgr size depot.yaml --sessions may.csv --promise 95% --surely`
    """
    from loadmgr.apps.simulate_run import drawn_question, question
    from loadmgr.site_file import find_site, load_site

    wanted = _ratio(promise)
    _check_strategy(strategy)
    if draw is not None and (sessions is not None or until is not None):
        raise typer.BadParameter("drawn sessions have no table, and end after --days", param_hint="--draw")
    site_file, begin, end = load_site(find_site(site)), moment(start, hint="--start"), moment(until, hint="--until")
    several = [
        question(site_file, sessions=sessions, start=begin, until=end, seed=number, on_bad_rows=on_bad_rows)
        if draw is None
        else drawn_question(site_file, draw, start=begin, days=days, seed=number)
        for number in range(seed, seed + seeds)
    ]
    sizes_a = sorted(set(fuse or map(float, FUSES_A)))
    sizing, worth = _sized(several, wanted=wanted, sizes_a=sizes_a, strategy=strategy, surely=surely)
    _tell(several[0], sizing, worth, wanted=wanted, as_json=as_json)
    if sizing.chosen is None:
        raise typer.Exit(EXIT_NONE_IS_ENOUGH)


def _check_strategy(name: str) -> None:
    from loadmgr.sim.strategies import STRATEGIES, UNLIMITED

    if name == UNLIMITED:
        raise typer.BadParameter(f"{name} looks at no limit: any size would be enough", param_hint="--strategy")
    if name not in STRATEGIES:
        raise typer.BadParameter(f"{name} is no strategy; there are {', '.join(STRATEGIES)}", param_hint="--strategy")


def _sized(
    several: "list[Question]", *, wanted: float, sizes_a: list[float], strategy: str, surely: bool
) -> "tuple[Sizing, ShadowPrice | None]":
    """Return what sizes came to, and the shadow price of the one that was chosen."""
    from loadmgr.errors import InputError
    from loadmgr.sim.sizing import shadow_price, size_connection

    asked = several[0]
    try:
        sizing = size_connection(
            [one.plan for one in several],
            asked.tariff,
            promise_ratio=wanted,
            fuses_a=sizes_a,
            strategy=strategy,
            surely=surely,
            options=asked.options,
        )
        chosen = sizing.chosen
        worth = None if chosen is None else shadow_price(asked.plan, asked.tariff, fuse_a=chosen.fuse_a)
    except ValueError as error:
        raise InputError(f"{asked.plan.site.name}: {error}") from error
    if not any(tried.judged for tried in sizing.tried):
        raise InputError(f"{asked.plan.site.name}: no promise falls due within the span; make it longer")
    return sizing, worth


def _tell(asked: "Question", sizing: "Sizing", worth: "ShadowPrice | None", *, wanted: float, as_json: bool) -> None:
    import json

    from rich.console import Console

    currency = asked.tariff.currency
    if as_json:
        typer.echo(json.dumps(_document(sizing, worth), indent=2))
    else:
        Console().print(_table(sizing, title=asked.plan.site.name, currency=currency))
        typer.echo(_answer(sizing, wanted=wanted, currency=currency))
        if worth is not None:
            typer.echo(
                f"Shadow price of the fuse with everything known: {worth.money:,.2f} {currency} and "
                f"{worth.energy_wh / 1000.0:,.1f} kWh a year for one ampere."
            )
    tell_bad_rows(asked.table)


def _ratio(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no share; write 98%", param_hint="--promise") from error
    if not 0.0 < value <= 1.0:
        raise typer.BadParameter(f"{text} must lie above 0% and at most at 100%", param_hint="--promise")
    return value


def _table(sizing: "Sizing", *, title: str, currency: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=f"{title}: sizes tried", box=box.SIMPLE_HEAD)
    for heading in ("fuse A", "promises kept", "share", "interval of 95%", "energy kWh", f"cost {currency}"):
        table.add_column(heading, justify="right")
    for tried in sizing.tried:
        table.add_row(
            f"{tried.fuse_a:g}",
            f"{tried.kept} of {tried.judged}",
            f"{tried.kept_ratio:.1%}",
            f"{tried.low_ratio:.1%} to {tried.high_ratio:.1%}",
            f"{tried.energy_wh / 1000.0:,.1f}",
            f"{tried.cost:,.2f}",
            style="bold green" if tried is sizing.chosen else None,
        )
    return table


def _answer(sizing: "Sizing", *, wanted: float, currency: str) -> str:
    chosen = sizing.chosen
    if chosen is None:
        return f"None of these sizes keeps {wanted:.1%} of the promises; circuits below or the contract may bind."
    text = (
        f"{chosen.fuse_a:g} A per phase keep {chosen.kept_ratio:.1%} of the promises "
        f"(95% interval {chosen.low_ratio:.1%} to {chosen.high_ratio:.1%}, {chosen.judged} promises)."
    )
    if sizing.energy_per_a_year_wh is None or sizing.cost_per_a_year is None:
        return text
    more_kwh, more_cost = sizing.energy_per_a_year_wh / 1000.0, sizing.cost_per_a_year
    return f"{text}\nOne ampere more: {more_kwh:+,.1f} kWh and {more_cost:+,.2f} {currency} a year."


def _document(sizing: "Sizing", worth: "ShadowPrice | None") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "chosen_a": None if sizing.chosen is None else sizing.chosen.fuse_a,
        "energy_per_a_year_wh": sizing.energy_per_a_year_wh,
        "cost_per_a_year": sizing.cost_per_a_year,
        "shadow_price_per_a_year": None if worth is None else worth.money,
        "shadow_energy_per_a_year_wh": None if worth is None else worth.energy_wh,
        "tried": [{**asdict(tried), "kept_ratio": tried.kept_ratio} for tried in sizing.tried],
    }
