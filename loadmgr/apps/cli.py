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

app = typer.Typer(
    name="loadmgr",
    help="Smart-charging load management: no fuse trips, every driver leaves charged, the bill stays low.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo_cli.demo)
app.command("run")(command_of(RunGiven, run_cli.run))
app.command("status")(control_cli.status)
app.command("explain")(control_cli.explain)
app.command("override")(control_cli.override)
app.command("replay")(replay_cli.replay)
app.command("backup")(backup_cli.backup)
app.command("restore")(backup_cli.restore)
app.command("bundle")(bundle_cli.bundle)
app.command("check")(check_cli.check)
app.command("schema")(check_cli.schema)
app.command("plan")(plan_cli.plan)
app.command("prices")(prices_cli.prices)
app.command("simulate")(simulate_cli.simulate)
app.command("sweep")(sweep_cli.sweep)
app.command("size")(size_cli.size)
app.add_typer(data_cli.app, name="data")
app.command("composite")(composite_cli.composite)
app.add_typer(station_cli.app, name="station")
app.command("commission")(commission_cli.commission)
app.add_typer(meter_cli.app, name="meter")
app.command("deploy")(deploy_cli.deploy)
app.command("messages")(messages_cli.messages)
app.command("serve")(command_of(serve_cli.ServeGiven, serve_cli.serve))
app.add_typer(serve_cli.tokens, name="token")


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
