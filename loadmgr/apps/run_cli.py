"""``loadmgr run``: the controller process for real stations."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadmgr.errors import InputError

if TYPE_CHECKING:
    from loadmgr.site_file import SiteFile


def run(  # noqa: PLR0913 - one option each
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
    upstream: Annotated[
        str | None, typer.Option("--upstream", metavar="URL", help="Relay stations to this CSMS: ws:// or wss://.")
    ] = None,
    upstream_passwords: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What stations log in with there: YAML, `ID: password`.")
    ] = None,
    upstream_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Authorities that may vouch for it, PEM; else the system's."),
    ] = None,
    upstream_loss: Annotated[
        str, typer.Option(help="When it is lost: `strict` closes stations, `sticky` serves them on and tells it later.")
    ] = "strict",
    upstream_state: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keeps its profiles; else SITE.upstream beside the site.")
    ] = None,
    start_offline: Annotated[
        bool, typer.Option("--start-offline", help="With `sticky`: let anybody start while the CSMS is lost.")
    ] = False,
    pass_vendor: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Relay this vendor's DataTransfer to stations; repeatable.")
    ] = None,
    without_certificate: Annotated[
        bool, typer.Option("--without-certificate", help="Start although it is not proven what holds without control.")
    ] = False,
) -> None:
    """Control a site: stations connect to ws://HOST:PORT/ocpp/<station id>.

    Starts only where `loadmgr check` proves that no circuit exceeds its limit with the controller dead.

    With --upstream it stands between the stations and an existing CSMS, which notices nothing: messages pass, its
    charging profiles are held, and the lower of its limits and ours is in force.

    Examples: `loadmgr run my-site.yaml`, `loadmgr run my-site.yaml --port 9000 --quiet`,
    `loadmgr run my-site.yaml --upstream wss://csms.example/ocpp --upstream-loss sticky`
    """
    from loadmgr.apps.process import run_process
    from loadmgr.apps.upstream import Upstream, read_passwords, upstream_folder
    from loadmgr.site_file import find_site, load_site

    site_file = load_site(find_site(site))
    above = None
    if upstream is not None:
        above = Upstream(
            url=upstream,
            folder=upstream_state or upstream_folder(site_file),
            passwords={} if upstream_passwords is None else read_passwords(upstream_passwords, site_file.site),
            authority=upstream_ca,
            loss=upstream_loss,
            start_offline=start_offline,
            vendors=tuple(pass_vendor or ()),
        )
    elif upstream_passwords or upstream_ca or upstream_state or start_offline or pass_vendor:
        raise InputError("options about a CSMS need its address: --upstream wss://csms.example/ocpp")
    _see_certificate(site_file, refuses=not without_certificate)
    run_process(
        site_file,
        host=host or site_file.listen.host,
        port=site_file.listen.port if port is None else port,
        quiet=quiet,
        wire_log=wire_log,
        metrics_port=metrics,
        upstream=above,
    )


def _see_certificate(site_file: "SiteFile", *, refuses: bool) -> None:
    """Refuse to start, or say so, where the fail-safe is not proven."""
    from loadmgr.control.certificate import build_certificate

    faults = build_certificate(site_file.site).faults
    if not faults:
        return
    advice = "prove its stations (loadmgr station prove ID), or say --without-certificate"
    if refuses:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise InputError(f"{site_file.path}: there is no certificate; {advice}:{listed}")
    typer.echo(f"loadmgr: not proven: {'; '.join(faults)}", err=True)
