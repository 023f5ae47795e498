"""``loadmgr serve``: the HTTP service; ``loadmgr token``: who may ask it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from loadmgr.apps.service.tokens import TokenBook
    from loadmgr.site_file import SiteFile

tokens = typer.Typer(no_args_is_help=True, help="Tokens of the HTTP service: make, list and revoke them.")

Database = Annotated[
    str,
    typer.Option(help="Where the service keeps them: a file or a postgresql:// URL.", envvar="LOADMGR_DATABASE"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeGiven:
    """The arguments and options of ``loadmgr serve``."""

    sites: Annotated[
        list[str] | None,
        typer.Argument(metavar="SITE", help="Site files, or names of samples, that requests may name."),
    ] = None
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 lets the system choose.")] = 8080
    database: Annotated[
        str | None,
        typer.Option(
            help="Where tokens, answers and the audit are kept: a file or a postgresql:// URL. Without it they end "
            "with the process, and a token for it is printed.",
            envvar="LOADMGR_DATABASE",
        ),
    ] = None
    is_open: Annotated[bool, typer.Option("--open", help="Ask nobody for a token; on the loopback address alone.")] = (
        False
    )
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).")] = None
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="Ask clients for a certificate of these authorities (PEM).")
    ] = None
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Listen beyond this machine without TLS: a proxy in front has it.")
    ] = False
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a second that each token may make.")] = 50.0
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that compute. [default: each core]")] = None
    control: Annotated[
        bool,
        typer.Option("--control", help="Control the sites: their stations are behind a CSMS that carries commands."),
    ] = False
    private_webhooks: Annotated[
        bool, typer.Option("--private-webhooks", help="Let webhooks lead to addresses of your own network.")
    ] = False
    citrineos: Annotated[
        str | None,
        typer.Option(help="Address of a CitrineOS whose stations are controlled; needs --control and --own-url."),
    ] = None
    own_url: Annotated[str | None, typer.Option(help="Where CitrineOS reaches this service.")] = None
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar="LOADMGR_MQTT", help="Be on this broker with every controlled site: mqtt://HOST:1883."
        ),
    ] = None
    json_log: Annotated[bool, typer.Option("--json-log", help="Write the log as JSON, a line for each event.")] = False


def serve(given: ServeGiven) -> None:
    """Answer HTTP: POST /v1/schedule gives charging profiles for a site as it stands; see /openapi.json.

    Examples: `loadmgr serve my-site.yaml`, `loadmgr serve --open`, `loadmgr serve --database service.db`
    """
    from loadmgr.apps.service.running import Listening, Working, run_service

    listening = Listening(
        host=given.host,
        port=given.port,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        tls_client_ca=given.tls_client_ca,
        plain_http=given.plain_http,
        is_open=given.is_open,
    )
    working = Working(
        database=given.database,
        rate_per_s=given.rate,
        workers=given.workers,
        json_log=given.json_log,
        control=given.control,
        private_webhooks=given.private_webhooks,
        citrineos=given.citrineos,
        own_url=given.own_url,
        mqtt=given.mqtt,
    )
    run_service(named_sites(given.sites or []), listening, working)


def named_sites(given: list[str]) -> "dict[str, SiteFile]":
    """Return site files by the name that requests use: that of the file without its ending.

    Raises
    ------
    InputError
        If a file cannot be used, or two have one name.
    """
    from loadmgr.errors import InputError
    from loadmgr.site_file import find_site, load_site

    found: dict[str, SiteFile] = {}
    for each in given:
        path = find_site(each)
        if path.stem in found:
            raise InputError(f"{path}: another site is named {path.stem} already: rename one of the files")
        found[path.stem] = load_site(path)
    return found


@tokens.command("issue")
def issue(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is, for the list and the audit.")],
    *,
    database: Database,
    role: Annotated[str, typer.Option(help="read, operate or admin.")] = "read",
    site: Annotated[list[str] | None, typer.Option(help="A site it may see; may be repeated. [default: all]")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Days it is good for. [default: any]")] = None,
) -> None:
    """Make a token and print it; it is shown this once.

    Example: `loadmgr token issue our-csms --role operate --database service.db`
    """
    from datetime import UTC, datetime, timedelta

    from loadmgr.apps.service.tokens import Role

    if role.upper() not in Role.__members__:
        raise typer.BadParameter(f"{role!r} is no role; write read, operate or admin", param_hint="--role")
    now = datetime.now(UTC)
    expires = None if days is None else now + timedelta(days=days)
    typer.echo(_book(database).issue(name=name, role=Role[role.upper()], now=now, sites=site or None, expires=expires))


@tokens.command("list")
def listed(*, database: Database) -> None:
    """Print every token without its secret."""
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "name", "role", "sites", "created", "state", box=None)
    for entry in _book(database).listed():
        until = "good" if entry.expires is None else f"until {entry.expires:%Y-%m-%d %H:%M}"
        state = until if entry.revoked is None else f"revoked {entry.revoked:%Y-%m-%d %H:%M}"
        sites = "all" if entry.sites is None else ", ".join(sorted(entry.sites))
        table.add_row(entry.id, entry.name, entry.role.name.lower(), sites, f"{entry.created:%Y-%m-%d %H:%M}", state)
    Console().print(table)


@tokens.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="Its id, as in the list.")], *, database: Database
) -> None:
    """End a token: it opens nothing from now on (running services forget it within five seconds)."""
    from datetime import UTC, datetime

    if not _book(database).revoke(token, now=datetime.now(UTC)):
        typer.echo(f"loadmgr: there is no token {token}, or it is revoked already", err=True)
        raise typer.Exit(2)
    typer.echo(f"revoked {token}")


def _book(database: str) -> "TokenBook":
    from loadmgr.apps.service.tables import Tables
    from loadmgr.apps.service.tokens import TokenBook

    return TokenBook(Tables(database))
