"""The command line ``loadmgr``: every verb is mounted here, and nothing heavy is imported until a verb runs.

Exit status: 0 good; 1 a check found faults; 2 usage or bad input; 3 a limit was exceeded.
"""

import sys
from typing import Annotated

import typer

from loadmgr import __version__
from loadmgr.apps.commands import (
    backup_cli,
    bundle_cli,
    check_cli,
    commission_cli,
    composite_cli,
    control_cli,
    data_cli,
    demo_cli,
    deploy_cli,
    messages_cli,
    meter_cli,
    plan_cli,
    prices_cli,
    replay_cli,
    run_cli,
    serve_cli,
    simulate_cli,
    size_cli,
    station_cli,
    sweep_cli,
)
from loadmgr.apps.commands.given import command_of
from loadmgr.apps.commands.run_options import RunGiven
from loadmgr.errors import LoadManagerError

EXIT_BAD_INPUT = 2

RUNNING = "Run a site"
CHECKING = "Check it, keep its memory"
PLANNING = "Plan and study"
STATIONS = "Stations, meters and messages"
SERVICE = "Serve HTTP"

app = typer.Typer(
    name="loadmgr",
    help="Smart-charging load management: no fuse trips, every driver leaves charged, the bill stays low.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo", rich_help_panel=RUNNING)(demo_cli.demo)
app.command("run", rich_help_panel=RUNNING)(command_of(RunGiven, run_cli.run))
app.command("status", rich_help_panel=RUNNING)(control_cli.status)
app.command("explain", rich_help_panel=RUNNING)(control_cli.explain)
app.command("override", rich_help_panel=RUNNING)(control_cli.override)
app.command("deploy", rich_help_panel=RUNNING)(deploy_cli.deploy)
app.command("check", rich_help_panel=CHECKING)(check_cli.check)
app.command("schema", rich_help_panel=CHECKING)(check_cli.schema)
app.command("replay", rich_help_panel=CHECKING)(replay_cli.replay)
app.command("backup", rich_help_panel=CHECKING)(backup_cli.backup)
app.command("restore", rich_help_panel=CHECKING)(backup_cli.restore)
app.command("bundle", rich_help_panel=CHECKING)(bundle_cli.bundle)
app.command("plan", rich_help_panel=PLANNING)(plan_cli.plan)
app.command("prices", rich_help_panel=PLANNING)(prices_cli.prices)
app.command("simulate", rich_help_panel=PLANNING)(simulate_cli.simulate)
app.command("sweep", rich_help_panel=PLANNING)(sweep_cli.sweep)
app.command("size", rich_help_panel=PLANNING)(size_cli.size)
app.add_typer(data_cli.app, name="data", rich_help_panel=PLANNING)
app.add_typer(station_cli.app, name="station", rich_help_panel=STATIONS)
app.command("commission", rich_help_panel=STATIONS)(commission_cli.commission)
app.add_typer(meter_cli.app, name="meter", rich_help_panel=STATIONS)
app.command("composite", rich_help_panel=STATIONS)(composite_cli.composite)
app.command("messages", rich_help_panel=STATIONS)(messages_cli.messages)
app.command("serve", rich_help_panel=SERVICE)(command_of(serve_cli.ServeGiven, serve_cli.serve))
app.add_typer(serve_cli.tokens, name="token", rich_help_panel=SERVICE)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag
    if wanted:
        typer.echo(f"loadmgr {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version)] = False,
) -> None:
    """Hold the options that come before a verb."""


def extra_of(module: str | None) -> str:
    """Return the extra that installs a module."""
    return {"fastapi": "service", "starlette": "service", "uvicorn": "service"}.get(module or "", "demo")


def main() -> None:
    """Run the command line; an expected fault is one line on standard error and exit status 2."""
    try:
        app()
    except LoadManagerError as error:
        typer.echo(f"loadmgr: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except ModuleNotFoundError as error:
        extra = extra_of(error.name)
        typer.echo(f"loadmgr: {error.name} is not installed: pip install 'loadmgr[{extra}]'", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"loadmgr: {where}{error.strerror or error}", err=True)
        sys.exit(EXIT_BAD_INPUT)


if __name__ == "__main__":
    main()
