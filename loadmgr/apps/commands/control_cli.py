"""``loadmgr status``, ``explain`` and ``override``: speaking to the process that runs a site on this machine."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from loadmgr.errors import InputError

_SPAN = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|min|m|h|d)")
_SECONDS = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
PASSWORD_PATIENCE_S = 90.0
"""A station is waited for as long as for anything else that it is told, behind what waits already [s]."""

CERTIFICATE_PATIENCE_S = 180.0
"""The same, and the time that a station needs to make a key [s]."""

_AMPS = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*A")

Site = Annotated[
    str | None, typer.Option("--site", metavar="SITE", help="Site file of the process. [default: the one that runs]")
]
Socket = Annotated[Path | None, typer.Option("--socket", help="Its socket, where it was named with `run --socket`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(
    site: Annotated[
        str | None, typer.Argument(metavar="SITE", help="Site file of the process. [default: the one that runs]")
    ] = None,
    *,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Show a running site: circuits, EVSEs, stations with their quirks and writes, and what is wrong.

    Examples: `loadmgr status`, `loadmgr status my-site.yaml --json`
    """
    found = _asked({"do": "status"}, site=site, socket=socket)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from loadmgr.apps.process.status_text import show_status

    show_status(found)


def explain(
    evse: Annotated[str, typer.Argument(metavar="EVSE", help="Id of the EVSE in the site file.")],
    *,
    site: Site = None,
    socket: Socket = None,
    as_json: AsJson = False,
) -> None:
    """Say why an EVSE gets what it gets.

    Example: `loadmgr explain A3`
    """
    found = _asked({"do": "explain", "evse": evse}, site=site, socket=socket)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from loadmgr.apps.process.status_text import show_explanation

    show_explanation(found)


def override(  # noqa: PLR0913 - one parameter for each option
    evse: Annotated[str, typer.Argument(metavar="EVSE", help="Id of the EVSE in the site file.")],
    *,
    limit: Annotated[str | None, typer.Option(metavar="AMPS", help="Give it so much at most, such as 10A.")] = None,
    pause: Annotated[bool, typer.Option("--pause", help="Give it nothing.")] = False,
    boost: Annotated[bool, typer.Option("--boost", help="Let it go before all others until it is full.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Take back what was ordered.")] = False,
    lasting: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="How long, such as 2h or 30min. [default: until the session ends]"),
    ] = None,
    site: Site = None,
    socket: Socket = None,
) -> None:
    """Order something about one EVSE, within what the circuits allow; the journal keeps who did.

    Examples: `loadmgr override A3 --limit 10A --for 2h`, `loadmgr override A3 --boost`, `loadmgr override A3 --clear`
    """
    said = [
        name for name, is_said in (("limit", limit), ("pause", pause), ("boost", boost), ("clear", clear)) if is_said
    ]
    if len(said) != 1:
        raise InputError("say one of --limit, --pause, --boost and --clear")
    request: dict[str, Any] = {"do": "override", "evse": evse}
    request |= {"limit_a": amps(limit)} if limit is not None else {said[0]: True}
    if lasting is not None:
        request["for_s"] = seconds(lasting)
    done = _asked(request, site=site, socket=socket)
    until = done["until"]
    if clear:
        typer.echo(f"{evse}: no more orders")
    elif until is None:
        typer.echo(f"{evse}: ordered, until its session, or the next one, ends, or --clear")
    else:
        from datetime import datetime

        typer.echo(f"{evse}: ordered, until {datetime.fromisoformat(until):%Y-%m-%d %H:%M}")


def password(
    station: Annotated[str, typer.Argument(metavar="ID", help="Id of the station in the site file.")],
    *,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask for the password, or read a line. [default: a random one nobody knows]")
    ] = False,
    site: Site = None,
    socket: Socket = None,
) -> None:
    """Give a connected station a new password, over OCPP; the old one is good until it has taken the new.

    The access file of `loadmgr run --access` keeps a hash of it, and `FILE.audit.jsonl` beside it who ordered it.

    Example: `loadmgr station password GARAGE-A1`
    """
    request: dict[str, Any] = {"do": "password", "station": station}
    if ask:
        request["password"] = typed_secret()
    done = _asked(request, site=site, socket=socket, patience_s=PASSWORD_PATIENCE_S)
    then = "" if done["status"] == "Accepted" else ", when it restarts"
    typer.echo(f"{station}: has a new password{then}")


def renew_certificate(
    station: Annotated[str, typer.Argument(metavar="ID", help="Id of the station in the site file.")],
    *,
    site: Site = None,
    socket: Socket = None,
) -> None:
    """Have a connected station renew its client certificate; it makes the key, `run --tls-sign-key` signs.

    It comes back with the new one; until then, and until it ends, the old one is good. A station that has none so far
    (security profile 2) may use profile 3 from then on. What ends within a month is renewed without this.

    Example: `loadmgr station renew-certificate GARAGE-A1`
    """
    request = {"do": "certificate", "station": station}
    _asked(request, site=site, socket=socket, patience_s=CERTIFICATE_PATIENCE_S)
    typer.echo(f"{station}: has a new certificate")


def typed_secret() -> str:
    """Return a password that is typed unseen, or the first line of what is piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    secret: str = typer.prompt("New password", hide_input=True, confirmation_prompt=True)
    return secret


def amps(text: str) -> float:
    """Return a current as it is written [A].

    Examples
    --------
    >>> amps("10A")
    10.0

    Raises
    ------
    InputError
        If it is none.
    """
    match = _AMPS.fullmatch(text.strip())
    if match is None:
        raise InputError(f"--limit: {text!r} is no current; write amperes, such as 10A")
    return float(match["number"])


def seconds(text: str) -> float:
    """Return a time as it is written [s].

    Examples
    --------
    >>> seconds("2h"), seconds("30min")
    (7200.0, 1800.0)

    Raises
    ------
    InputError
        If it is none.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise InputError(f"--for: {text!r} is no time; write 90s, 30min, 2h or 1d")
    return float(match["number"]) * _SECONDS[match["unit"]]


def _asked(request: dict[str, Any], *, site: str | None, socket: Path | None, patience_s: float = 10.0) -> Any:
    from loadmgr.apps.process.local_control import ask_local
    from loadmgr.apps.process.places import only_socket, socket_path
    from loadmgr.site_file import find_site

    path = socket or (only_socket() if site is None else socket_path(find_site(site)))
    return ask_local(path, request, patience_s=patience_s)
