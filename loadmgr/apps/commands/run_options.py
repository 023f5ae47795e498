"""What is given to ``loadmgr run``, in the order in which its help lists it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

KEEP_DAYS = 730.0
"""Journals keep two years by default: as long as evidence of dimming is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGiven:
    """The argument and the options of the command."""

    site: Annotated[str, typer.Argument(metavar="SITE", help="Site file, or the name of a sample site.")]
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: the site file's]")] = None
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on. [default: the site file's]")
    ] = None
    quiet: Annotated[bool, typer.Option("--quiet", help="No live table, a line for each decision instead.")] = False
    journal: Annotated[
        str | None,
        typer.Option(metavar="PATH|URL", help="A file, or postgresql://...  [default: SITE.journal.sqlite3]"),
    ] = None
    no_journal: Annotated[
        bool, typer.Option("--no-journal", help="Remember nothing: a restart begins from nothing.")
    ] = False
    keep_days: Annotated[
        float, typer.Option(min=0.0, help="Forget what is older than so many days; 0 keeps everything.")
    ] = KEEP_DAYS
    socket: Annotated[
        Path | None, typer.Option(help="Unix socket for loadmgr status, explain and override. [default: by the site]")
    ] = None
    wire_log: Annotated[
        Path | None, typer.Option("--wire-log", help="Append every OCPP message to this file, for `loadmgr messages`.")
    ] = None
    metrics: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve http://127.0.0.1:PORT/metrics for Prometheus.")
    ] = None
    access: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Who may connect: YAML, security profiles, hashed passwords.")
    ] = None
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Listen with TLS: PEM, read again upon SIGHUP.")
    ] = None
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None
    tls_client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Authorities that sign stations' certificates, PEM.")
    ] = None
    tls_sign_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The authority that signs the certificates stations ask for, PEM."),
    ] = None
    tls_sign_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None
    tls_legacy_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="A second port, with TLS 1.0 and 1.1 for old stations.")
    ] = None
    quirks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What you know of stations: YAML, `ID: {stack_level: 0}`.")
    ] = None
    http: Annotated[
        int | None,
        typer.Option("--http", min=0, max=65535, help="Serve state, orders and events on http://127.0.0.1:PORT."),
    ] = None
    http_tokens: Annotated[
        str | None,
        typer.Option("--http-tokens", metavar="PATH|URL", help="Tokens made by loadmgr token. [default: one, printed]"),
    ] = None
    http_open: Annotated[bool, typer.Option("--http-open", help="Ask nobody of this machine for a token.")] = False
    mqtt: Annotated[
        str | None,
        typer.Option(
            "--mqtt",
            metavar="URL",
            envvar="LOADMGR_MQTT",
            help="Be on this broker, for Home Assistant and others: mqtt://HOST:1883.",
        ),
    ] = None
    upstream: Annotated[
        str | None, typer.Option("--upstream", metavar="URL", help="Relay stations to this CSMS: ws:// or wss://.")
    ] = None
    upstream_passwords: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What stations log in with there: YAML, `ID: password`.")
    ] = None
    upstream_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Authorities that may vouch for it, PEM; else the system's."),
    ] = None
    upstream_loss: Annotated[
        str, typer.Option(help="When it is lost: `strict` closes stations, `sticky` serves them on and tells it later.")
    ] = "strict"
    upstream_state: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keeps its profiles; else SITE.upstream beside the site.")
    ] = None
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Let everything pass and send nothing: only say what would be done.")
    ] = False
    start_offline: Annotated[
        bool, typer.Option("--start-offline", help="With `sticky`: let anybody start while the CSMS is lost.")
    ] = False
    pass_vendor: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Relay this vendor's DataTransfer to stations; repeatable.")
    ] = None
    without_certificate: Annotated[
        bool, typer.Option("--without-certificate", help="Start although it is not proven what holds without control.")
    ] = False
