"""``loadmgr run``: the controller process for real stations."""

from pathlib import Path
from typing import Annotated

import typer


def run(
    site: Annotated[str, typer.Argument(help="Site file, or the name of a sample site.")],
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: the site file's]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on. [default: the site file's]")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No live table, a line for each decision instead.")] = False,
    wire_log: Annotated[
        Path | None, typer.Option("--wire-log", help="Append every OCPP message to this file, for `loadmgr messages`.")
    ] = None,
    metrics: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve http://127.0.0.1:PORT/metrics for Prometheus.")
    ] = None,
) -> None:
    """Control a site: stations connect to ws://HOST:PORT/ocpp/<station id>.

    Examples: `loadmgr run my-site.yaml`, `loadmgr run my-site.yaml --port 9000 --quiet`
    """
    from loadmgr.apps.process import run_process
    from loadmgr.site_file import find_site, load_site

    site_file = load_site(find_site(site))
    run_process(
        site_file,
        host=host or site_file.listen.host,
        port=site_file.listen.port if port is None else port,
        quiet=quiet,
        wire_log=wire_log,
        metrics_port=metrics,
    )
