"""``loadmgr demo``: a site held under its fuse before your eyes, without hardware."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

LIVE_SPEED = 1800.0
"""A day in 48 seconds: fast enough not to bore, slow enough to read."""

EXIT_LIMIT_EXCEEDED = 3


def demo(
    site: Annotated[
        str, typer.Argument(metavar="SITE", help="Name of a sample site, or a site file with a `demo` section.")
    ] = "garage",
    *,
    headless: Annotated[bool, typer.Option("--headless", help="No live table; as fast as the machine allows.")] = False,
    for_s: Annotated[
        float | None,
        typer.Option(
            "--for", min=0.1, metavar="SECONDS", help="Stop after so many wall seconds; default: a whole simulated day."
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=1.0, metavar="FACTOR", help="Simulated seconds per second, at most. [default: 1800, headless: no bound]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same report on any machine.")] = 0,
    http: Annotated[
        int | None,
        typer.Option(
            "--http",
            min=0,
            max=65535,
            metavar="PORT",
            help="Serve the site's page on http://127.0.0.1:PORT. [default: a free port; headless: no page]",
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JSON.")] = None,
) -> None:
    """Hold a simulated site under its fuse: real OCPP connections on 127.0.0.1, faster than real time.

    Exit status 3 if a limit was exceeded beyond the reaction time, or by so much that a breaker may trip.

    Examples: `loadmgr demo`, `loadmgr demo workplace --headless --report out.json`
    """
    import logging
    from importlib.util import find_spec

    from rich.console import Console

    from loadmgr.apps.demo.demo import DemoOptions, run_demo
    from loadmgr.site_file import find_site, load_site

    logging.basicConfig(level=logging.ERROR)  # alarms are in the table and in the report
    console = Console()
    if report is not None and not report.parent.is_dir():
        raise typer.BadParameter(f"{report.parent} is not a folder", param_hint="--report")
    site_file = load_site(find_site(site))
    options = DemoOptions(
        seed=seed,
        headless=headless,
        wall_s=for_s,
        speed=speed if speed is not None or headless else LIVE_SPEED,
        page_port=http if http is not None or headless or find_spec("fastapi") is None else 0,
    )
    _conclude(run_demo(site_file, options, console), console, report)


def _conclude(figures: dict[str, Any], console: "Console", report: Path | None) -> None:
    """Show what came of it, write the report, and exit accordingly."""
    from loadmgr.apps.demo.report import card, exceeded, write_report

    console.print(card(figures))
    if report is not None:
        write_report(report, figures)
    if exceeded(figures):
        raise typer.Exit(EXIT_LIMIT_EXCEEDED)
