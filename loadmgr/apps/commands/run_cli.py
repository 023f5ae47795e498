"""``loadmgr run``: the controller process for real stations."""

from pathlib import Path
from typing import Annotated

import typer

from loadmgr.errors import InputError

KEEP_DAYS = 730.0
"""Journals keep two years by default: as long as evidence of dimming is asked for."""


def run(  # noqa: PLR0913 - one option each
    site: Annotated[str, typer.Argument(help="Site file, or the name of a sample site.")],
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: the site file's]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on. [default: the site file's]")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No live table, a line for each decision instead.")] = False,
    journal: Annotated[
        str | None,
        typer.Option(metavar="PATH|URL", help="A file, or postgresql://...  [default: SITE.journal.sqlite3]"),
    ] = None,
    no_journal: Annotated[
        bool, typer.Option("--no-journal", help="Remember nothing: a restart begins from nothing.")
    ] = False,
    keep_days: Annotated[
        float, typer.Option(min=0.0, help="Forget what is older than so many days; 0 keeps everything.")
    ] = KEEP_DAYS,
    socket: Annotated[
        Path | None, typer.Option(help="Unix socket for loadmgr status, explain and override. [default: by the site]")
    ] = None,
    wire_log: Annotated[
        Path | None, typer.Option("--wire-log", help="Append every OCPP message to this file, for `loadmgr messages`.")
    ] = None,
    metrics: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve http://127.0.0.1:PORT/metrics for Prometheus.")
    ] = None,
    access: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Who may connect: YAML, security profiles, hashed passwords.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Listen with TLS: PEM, read again upon SIGHUP.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Authorities that sign stations' certificates, PEM.")
    ] = None,
    quirks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What you know of stations: YAML, `ID: {stack_level: 0}`.")
    ] = None,
    http: Annotated[
        int | None,
        typer.Option("--http", min=0, max=65535, help="Serve state, orders and events on http://127.0.0.1:PORT."),
    ] = None,
    http_tokens: Annotated[
        str | None,
        typer.Option("--http-tokens", metavar="PATH|URL", help="Tokens made by loadmgr token. [default: one, printed]"),
    ] = None,
    http_open: Annotated[bool, typer.Option("--http-open", help="Ask nobody of this machine for a token.")] = False,
    mqtt: Annotated[
        str | None,
        typer.Option(
            "--mqtt",
            metavar="URL",
            envvar="LOADMGR_MQTT",
            help="Be on this broker, for Home Assistant and others: mqtt://HOST:1883.",
        ),
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
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Let everything pass and send nothing: only say what would be done.")
    ] = False,
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

    Starts only where `loadmgr check` proves that no circuit exceeds its limit with the controller dead. SIGTERM ends it
    in good order, SIGHUP reads the site file again. It remembers everything in its journal and goes on after a crash.

    With --upstream it stands between the stations and an existing CSMS, which notices nothing: messages pass, its
    charging profiles are held, and the lower of its limits and ours is in force.

    Examples: `loadmgr run my-site.yaml`, `loadmgr run my-site.yaml --port 9000 --quiet`,
    `loadmgr run my-site.yaml --journal postgresql://me@db/loads`,
    `loadmgr run my-site.yaml --upstream wss://csms.example/ocpp --upstream-loss sticky`
    """
    if journal is not None and no_journal:
        raise InputError("--journal and --no-journal exclude each other: keep one of them")
    from loadmgr.apps.doorway import Doorway, overrides_of
    from loadmgr.apps.places import default_journal, socket_path
    from loadmgr.apps.process import RunOptions, run_process
    from loadmgr.apps.reloading import require_certificate, unproven
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
            shadow=shadow,
        )
    elif upstream_passwords or upstream_ca or upstream_state or start_offline or pass_vendor or shadow:
        raise InputError("options about a CSMS need its address: --upstream wss://csms.example/ocpp")
    certified = not (without_certificate or shadow)
    if not certified:
        for fault in unproven(site_file):
            typer.echo(f"loadmgr: not proven: {fault}", err=True)
    else:
        require_certificate(site_file)
    run_process(
        site_file,
        RunOptions(
            host=host or site_file.listen.host,
            port=site_file.listen.port if port is None else port,
            quiet=quiet,
            journal=None if no_journal or shadow else journal or str(default_journal(site_file.path)),
            keep_days=keep_days or None,
            socket=socket or socket_path(site_file.path),
            certified=certified,
            upstream=above,
            doorway=Doorway(access=access, certificate=tls_certificate, key=tls_key, client_authority=tls_client_ca),
            overrides=overrides_of(quirks, frozenset(map(str, site_file.site.station_by_id))),
            wire_log=wire_log,
            metrics_port=metrics,
            http_port=http,
            http_open=http_open,
            http_tokens=http_tokens,
            mqtt=mqtt,
        ),
    )
