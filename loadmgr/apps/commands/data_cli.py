"""``loadmgr data``: sessions, loads and generation to simulate with, from other people's tables or drawn by a seed."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadmgr.apps.commands.simulate_cli import OnBadRows, tell_bad_rows
from loadmgr.sim.bad_rows import BadRows

if TYPE_CHECKING:
    from loadmgr.model.series import StepFunction

app = typer.Typer(help="Make or mend session tables, series and profiles to simulate with.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write: .csv, of sessions also .parquet.")]
FirstDay = Annotated[str, typer.Option("--start", metavar="DATE", help="First day.")]
Days = Annotated[int, typer.Option(min=1, max=3660, help="How many days; whole weeks repeat in a site file.")]
Zone = Annotated[str, typer.Option("--timezone", metavar="ZONE", help="Local clock, such as Europe/Berlin.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same data.")]


class Kind(StrEnum):
    """Who comes."""

    WORKPLACE = "workplace"
    APARTMENT = "apartment"
    HUB = "hub"
    DEPOT = "depot"


class Standard(StrEnum):
    """Standard load profiles of the BDEW."""

    HOUSEHOLD = "h25"
    BUSINESS = "g25"
    FARM = "l25"


@app.command()
def convert(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="A table of ACN-Data (JSON, CSV), ElaadNL (CSV), or a plain one.")
    ],
    *,
    out: Out,
    on_bad_rows: OnBadRows = BadRows.STOP,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Mends times that are written without a zone.")
    ] = None,
) -> None:
    """Turn a table of sessions into a plain one; bad rows are named with row and column, and counted.

    Examples: `loadmgr data convert acn.json --out sessions.csv --on-bad-rows skip`,
    `loadmgr data convert list.csv --out sessions.csv --on-bad-rows repair --timezone Europe/Berlin`
    """
    from loadmgr.sim.session_table import load_table, write_table

    _check_out(out, suffixes=(".csv", ".parquet"))
    zone = None if timezone is None else _zone(timezone)
    read = load_table(table, on_bad_rows=on_bad_rows, time_zone=zone)
    write_table(out, read.sessions)
    tell_bad_rows(read)
    typer.echo(f"{out}: {len(read.sessions)} sessions")


@app.command()
def series(
    table: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A column start, and columns of numbers.")],
    *,
    out: Out,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Of times that are written without a zone.")
    ] = None,
) -> None:
    """Mend a series of prices or loads for a site file: gaps, rows that occur twice, local time; each mend is named.

    A missing row takes what held a day before. What could be mended in two ways is refused.

    Example: `loadmgr data series day_ahead.csv --out prices.csv --timezone Europe/Berlin`
    """
    from loadmgr.site_file.series_repair import mend_series

    _check_out(out, suffixes=(".csv",))
    mended = mend_series(table, time_zone=None if timezone is None else _zone(timezone))
    lines = [",".join(("start", *mended.columns))]
    for when, row in zip(mended.times, mended.rows, strict=True):
        lines.append(",".join((f"{when:%Y-%m-%dT%H:%M:%SZ}", *(f"{value:.10g}" for value in row))))
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for mend in mended.mends:
        typer.echo(mend, err=True)
    count = len(mended.mends)
    typer.echo(f"{out}: {len(mended.rows)} rows, {count or 'nothing'} mended")


@app.command()
def sessions(  # noqa: PLR0913 - one parameter for each option
    kind: Annotated[Kind, typer.Argument(help="Who comes.")],
    *,
    out: Out,
    evses: Annotated[int, typer.Option(min=1, max=10_000, help="EVSEs that they come to.")] = 20,
    start: FirstDay = "2026-03-02",
    days: Days = 28,
    timezone: Zone = "Europe/Berlin",
    seed: Seed = 0,
    timetable: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Of a depot: vehicle, evse, days, departs, returns, km.")
    ] = None,
    fit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw sessions like those of this table instead.")
    ] = None,
) -> None:
    """Draw sessions as they might have been, fitted to real ones where there are any.

    Examples: `loadmgr data sessions apartment --evses 14 --out april.csv`,
    `loadmgr data sessions depot --timetable buses.csv --out buses_april.csv`
    """
    import numpy as np

    from loadmgr.errors import InputError
    from loadmgr.sim.generators import draw_depot, draw_hub, read_timetable, session_model
    from loadmgr.sim.session_model import draw_sessions, fit_sessions
    from loadmgr.sim.session_table import read_sessions, write_table

    _check_out(out, suffixes=(".csv", ".parquet"))
    first, zone, rng = _day(start), _zone(timezone), np.random.default_rng(seed)
    if kind is Kind.DEPOT:
        if timetable is None:
            raise typer.BadParameter("a depot needs its timetable", param_hint="--timetable")
        drawn = draw_depot(read_timetable(timetable), first_day=first, days=days, time_zone=zone, rng=rng)
    elif kind is Kind.HUB:
        drawn = draw_hub(evses=evses, first_day=first, days=days, time_zone=zone, rng=rng)
    else:
        try:
            model = (
                session_model(kind.value)
                if fit is None
                else fit_sessions(read_sessions(fit), evses=evses, time_zone=zone, name=kind.value, origin=str(fit))
            )
        except ValueError as error:
            raise InputError(f"{fit}: {error}") from error
        drawn = draw_sessions(model, evses=evses, first_day=first, days=days, time_zone=zone, rng=rng)
    write_table(out, drawn)
    typer.echo(f"{out}: {len(drawn)} sessions, {sum(s.energy_requested_wh for s in drawn) / 1e6:,.1f} MWh asked for")


@app.command()
def load(
    profile: Annotated[Standard, typer.Argument(help="h25 households, g25 businesses, l25 farms (BDEW 2025).")],
    *,
    yearly: Annotated[float, typer.Option("--yearly-kwh", min=0.0, metavar="KWH", help="Energy of a year.")],
    out: Out,
    voltage: Annotated[float, typer.Option(min=1.0, metavar="V", help="Between phase and neutral.")] = 230.0,
    start: FirstDay = "2026-01-05",
    days: Days = 364,
    timezone: Zone = "Europe/Berlin",
) -> None:
    """Write a building's standard load as the profile of a side load: currents on three phases.

    Example: `loadmgr data load h25 --yearly-kwh 40000 --out building.csv`
    """
    from loadmgr.sim.standard_profiles import standard_load_w

    _check_out(out, suffixes=(".csv",))
    power_w = standard_load_w(
        profile.value, yearly_wh=yearly * 1000.0, first_day=_day(start), days=days, time_zone=_zone(timezone)
    )
    per_phase = [f"{value / 3.0 / voltage:.2f}" for value in power_w.values]
    _write_profile(out, power_w, "start,l1_a,l2_a,l3_a", [",".join([a] * 3) for a in per_phase], timezone=timezone)


@app.command()
def solar(
    *,
    out: Out,
    latitude: Annotated[float, typer.Option(min=-90.0, max=90.0, metavar="DEG")] = 51.0,
    longitude: Annotated[float, typer.Option(min=-180.0, max=180.0, metavar="DEG")] = 10.0,
    start: FirstDay = "2026-01-05",
    days: Days = 364,
    timezone: Zone = "Europe/Berlin",
    seed: Seed = 0,
) -> None:
    """Write the generation of a flat roof as the profile of a plant: shares of its peak, under a drawn sky.

    Example: `loadmgr data solar --latitude 48 --out roof.csv`
    """
    import numpy as np

    from loadmgr.sim.standard_profiles import solar_ratio

    _check_out(out, suffixes=(".csv",))
    ratio = solar_ratio(
        latitude_deg=latitude,
        longitude_deg=longitude,
        first_day=_day(start),
        days=days,
        time_zone=_zone(timezone),
        rng=np.random.default_rng(seed),
    )
    _write_profile(out, ratio, "start,ratio", [f"{value:.4f}" for value in ratio.values], timezone=timezone)


def _write_profile(out: Path, series: "StepFunction", heading: str, cells: list[str], *, timezone: str) -> None:
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(timezone)
    times = (when.astimezone(zone).isoformat(timespec="minutes") for when in series.times)
    lines = [heading, *(f"{when},{cell}" for when, cell in zip(times, cells, strict=True))]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    typer.echo(f"{out}: {len(cells)} rows")


def _check_out(out: Path, *, suffixes: tuple[str, ...]) -> None:
    if out.suffix.lower() not in suffixes:
        raise typer.BadParameter(f"{out} must end with {' or '.join(suffixes)}", param_hint="--out")
    if not out.parent.is_dir():
        raise typer.BadParameter(f"{out.parent} is not a folder", param_hint="--out")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date; write 2026-03-02", param_hint="--start") from error


def _zone(text: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise typer.BadParameter(f"{text!r} is no time zone; write Europe/Berlin", param_hint="--timezone") from error
