"""``loadmgr station``: simulated charging stations against any CSMS.

The body (profiles, vehicle, meter) is `loadmgr.sim.station`, the wire half `ocpp_link.testing`; here is only the shell:
real time, the command line, and faults on demand.
"""

import asyncio
import json
import logging
import math
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from loadmgr.apps.commands import control_cli, prove_cli
from loadmgr.apps.commands.given import command_of
from loadmgr.errors import InputError

if TYPE_CHECKING:
    import ssl

    from loadmgr.apps.field.station_run import Plan

_VERSIONS = ("1.6", "2.0.1", "2.1")
_FAULTS = ("drop", "delay", "duplicate", "malformed")


_EMULATE = "emulate"


class _EmulatesByDefault(TyperGroup):
    """A group whose first word need not be one of its verbs: an address means to emulate a station there."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line, with the verb put in where it was left out."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_EMULATE, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_EmulatesByDefault,
    no_args_is_help=True,
    help="Emulate charging stations (URL ...), prove a real one, or give it a new password or certificate.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StationGiven:
    """The argument and the options of ``loadmgr station emulate``."""

    url: Annotated[str, typer.Argument(metavar="URL", help="The CSMS's endpoint, e.g. ws://127.0.0.1:9000/ocpp")]
    identity: Annotated[str, typer.Option("--id", help="The station's id; with --count a number is appended.")] = "CS"
    ocpp: Annotated[str, typer.Option("--ocpp", help="1.6, 2.0.1 or 2.1.")] = "1.6"
    count: Annotated[int, typer.Option("--count", min=1, help="How many stations.")] = 1
    evses: Annotated[int, typer.Option("--evses", min=1, help="EVSE of each.")] = 1
    max_a: Annotated[float, typer.Option("--max-a", help="Installed maximum per phase [A].")] = 32.0
    phases: Annotated[int, typer.Option("--phases", min=1, max=3, help="Phases of station and vehicle.")] = 3
    plug_after: Annotated[float, typer.Option("--plug-after", help="When the vehicle comes [s].")] = 3.0
    stay: Annotated[float, typer.Option("--stay", help="How long it stays [s].")] = 3600.0
    energy: Annotated[float, typer.Option("--energy", help="What it wants [kWh].")] = 20.0
    meter_interval: Annotated[float, typer.Option("--meter-interval", help="Between meter values [s].")] = 10.0
    lasting: Annotated[float | None, typer.Option("--for", help="Stop after so long [s]; default: Ctrl-C.")] = None
    send: Annotated[list[str] | None, typer.Option("--send", help="ACTION or ACTION={...}, after the boot.")] = None
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="KIND@SECONDS or KIND@SECONDS+LENGTH: " + ", ".join(_FAULTS))
    ] = None
    password: Annotated[str | None, typer.Option("--password", envvar="LOADMGR_STATION_PASSWORD")] = None
    tls_ca: Annotated[
        Path | None,
        typer.Option("--tls-ca", metavar="FILE", help="Authorities that sign the CSMS's certificate."),
    ] = None
    tls_certificate: Annotated[
        Path | None,
        typer.Option("--tls-certificate", metavar="FILE", help="Their own certificate, PEM; a lone one renews it."),
    ] = None
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its private key, PEM.")] = None
    smart_charging: Annotated[
        bool, typer.Option("--smart-charging/--no-smart-charging", help="Whether it knows charging profiles.")
    ] = True
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not print the frames, only what happens.")] = False


def station(given: StationGiven) -> None:
    """Run charging stations that boot, charge by their own composite schedule, and are rude on demand.

    The word `emulate` may be left out: `loadmgr station ws://127.0.0.1:9000/ocpp --id GARAGE-A1`
    """
    if given.ocpp not in _VERSIONS:
        raise InputError(f"--ocpp must be one of {', '.join(_VERSIONS)}, got {given.ocpp}")
    if re.match(r"wss?://[^/]", given.url) is None:
        raise InputError(f"URL must be as ws://HOST:PORT/ocpp or wss://HOST:PORT/ocpp, got {given.url}")
    from loadmgr.apps.field.station_run import Plan, run_stations

    numbered = (f"{given.identity}{number}" for number in range(1, given.count + 1))
    plan = Plan(
        url=given.url,
        identities=(given.identity,) if given.count == 1 else tuple(numbered),
        version=given.ocpp,
        evses=given.evses,
        max_a=given.max_a,
        phases=given.phases,
        plug_after_s=given.plug_after,
        stay_s=given.stay,
        energy_wh=given.energy * 1000.0,
        meter_interval_s=given.meter_interval,
        smart_charging=given.smart_charging,
        lasting_s=given.lasting,
        messages=tuple(_message(text) for text in given.send or ()),
        faults=tuple(_fault(text) for text in given.fault or ()),
        password=given.password,
        tls=_tls(given.tls_ca, certificate=given.tls_certificate, key=given.tls_key),
        own_certificate=_renewable(given.tls_certificate, given.tls_key, count=given.count),
        frames=not given.quiet,
        tell=typer.echo,
    )
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("loadmgr.sim.station").setLevel(logging.INFO)  # why there is no connection
    _run(plan, run_stations)


def _run(plan: "Plan", run_stations: Any) -> None:
    try:
        asyncio.run(run_stations(plan))
    except KeyboardInterrupt:
        typer.echo("stopped")


def _tls(authority: Path | None, *, certificate: Path | None, key: Path | None) -> "ssl.SSLContext | None":
    """Return the stations' TLS settings; ``None`` for the system's own."""
    if (certificate is None) is not (key is None):
        raise InputError("--tls-certificate and --tls-key need each other")
    if authority is None and certificate is None:
        return None
    from ssl import SSLError

    from ocpp_link.security import station_context

    try:
        return station_context(authority, certificate=certificate, key=key)
    except (SSLError, OSError) as error:
        files = ", ".join(str(each) for each in (authority, certificate, key) if each)
        raise InputError(f"{files}: no usable certificates in PEM: {error}") from error


def _renewable(certificate: Path | None, key: Path | None, *, count: int) -> tuple[Path, Path] | None:
    """Return the files that a lone station replaces when its CSMS has it renew its certificate."""
    if certificate is None or key is None or count > 1 or find_spec("cryptography") is None:
        return None
    return certificate, key


def _message(text: str) -> tuple[str, dict[str, Any]]:
    action, _, payload = text.partition("=")
    try:
        found = json.loads(payload) if payload else {}
    except json.JSONDecodeError as error:
        raise InputError(f"--send {action}: the payload is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"--send {action}: the payload must be an object, got {payload}")
    return action, found


def _fault(text: str) -> tuple[str, float, float]:
    kind, _, when = text.partition("@")
    at, _, length = when.partition("+")
    try:
        at_s, for_s = float(at or 5.0), float(length or 20.0)
    except ValueError:
        at_s = for_s = -1.0
    if kind not in _FAULTS or not 0.0 <= at_s < math.inf or not 0.0 <= for_s < math.inf:
        kinds = ", ".join(_FAULTS)
        raise InputError(f"--fault must be as drop@30 or drop@30+60 (from when, how long [s]); {kinds}: got {text!r}")
    return kind, at_s, for_s


app.command(_EMULATE)(command_of(StationGiven, station))
app.command("prove")(prove_cli.prove)
app.command("password")(control_cli.password)
app.command("renew-certificate")(control_cli.renew_certificate)
