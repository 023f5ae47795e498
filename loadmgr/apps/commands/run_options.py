"""The options of ``loadmgr run``, in the order in which its help lists them."""

from pathlib import Path
from typing import Annotated

import typer

Site = Annotated[str, typer.Argument(help="Site file, or the name of a sample site.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on. [default: the site file's]")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on. [default: the site file's]")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No live table, a line for each decision instead.")]
Journal = Annotated[
    str | None,
    typer.Option(metavar="PATH|URL", help="A file, or postgresql://...  [default: SITE.journal.sqlite3]"),
]
NoJournal = Annotated[bool, typer.Option("--no-journal", help="Remember nothing: a restart begins from nothing.")]
KeepDays = Annotated[float, typer.Option(min=0.0, help="Forget what is older than so many days; 0 keeps everything.")]
Socket = Annotated[
    Path | None, typer.Option(help="Unix socket for loadmgr status, explain and override. [default: by the site]")
]
WireLog = Annotated[
    Path | None, typer.Option("--wire-log", help="Append every OCPP message to this file, for `loadmgr messages`.")
]
Metrics = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Serve http://127.0.0.1:PORT/metrics for Prometheus.")
]
Access = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Who may connect: YAML, security profiles, hashed passwords.")
]
TlsCertificate = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Listen with TLS: PEM, read again upon SIGHUP.")
]
TlsKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")]
TlsClientCa = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Authorities that sign stations' certificates, PEM.")
]
TlsSignCa = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The authority that signs the certificates stations ask for, PEM."),
]
TlsSignKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")]
TlsLegacyPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="A second port, with TLS 1.0 and 1.1 for old stations.")
]
Quirks = Annotated[
    Path | None, typer.Option(metavar="FILE", help="What you know of stations: YAML, `ID: {stack_level: 0}`.")
]
Http = Annotated[
    int | None,
    typer.Option("--http", min=0, max=65535, help="Serve state, orders and events on http://127.0.0.1:PORT."),
]
HttpTokens = Annotated[
    str | None,
    typer.Option("--http-tokens", metavar="PATH|URL", help="Tokens made by loadmgr token. [default: one, printed]"),
]
HttpOpen = Annotated[bool, typer.Option("--http-open", help="Ask nobody of this machine for a token.")]
Mqtt = Annotated[
    str | None,
    typer.Option(
        "--mqtt",
        metavar="URL",
        envvar="LOADMGR_MQTT",
        help="Be on this broker, for Home Assistant and others: mqtt://HOST:1883.",
    ),
]
Upstream = Annotated[
    str | None, typer.Option("--upstream", metavar="URL", help="Relay stations to this CSMS: ws:// or wss://.")
]
UpstreamPasswords = Annotated[
    Path | None, typer.Option(metavar="FILE", help="What stations log in with there: YAML, `ID: password`.")
]
UpstreamCa = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Authorities that may vouch for it, PEM; else the system's."),
]
UpstreamLoss = Annotated[
    str, typer.Option(help="When it is lost: `strict` closes stations, `sticky` serves them on and tells it later.")
]
UpstreamState = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Keeps its profiles; else SITE.upstream beside the site.")
]
Shadow = Annotated[
    bool, typer.Option("--shadow", help="Let everything pass and send nothing: only say what would be done.")
]
StartOffline = Annotated[
    bool, typer.Option("--start-offline", help="With `sticky`: let anybody start while the CSMS is lost.")
]
PassVendor = Annotated[
    list[str] | None, typer.Option(metavar="ID", help="Relay this vendor's DataTransfer to stations; repeatable.")
]
WithoutCertificate = Annotated[
    bool, typer.Option("--without-certificate", help="Start although it is not proven what holds without control.")
]
