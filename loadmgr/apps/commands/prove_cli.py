"""``loadmgr station prove``: the pull-the-plug test of one station, with a person present."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadmgr.errors import InputError

if TYPE_CHECKING:
    from loadmgr.apps.field.prove import Trial
    from loadmgr.model.topology import Evse
    from loadmgr.site_file import SiteFile

EXIT_NOT_PROVED = 1


class Person:
    """The person at the terminal."""

    async def do(self, what: str) -> bool:
        """Ask for something to be done; Enter is done, anything else is not."""
        typer.echo(f"\n>>> {what}")
        typer.echo("    Enter when done, s to skip: ", nl=False)
        said = await asyncio.to_thread(sys.stdin.readline)
        return bool(said) and not said.strip()

    def tell(self, what: str) -> None:
        """Say how it goes."""
        typer.echo(f"    {what}")


def prove(  # noqa: PLR0913 - one option each
    identity: Annotated[str, typer.Argument(metavar="ID", help="The station, as the site file names it.")],
    *,
    site: Annotated[str, typer.Option("--site", help="Site file, or the name of a sample site.")],
    number: Annotated[int, typer.Option("--evse", min=1, help="Which EVSE of it gets the vehicle.")] = 1,
    operator: Annotated[str, typer.Option("--operator", help="Who is present, for the sheet.")] = "",
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: the site file's]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on. [default: the site file's]")
    ] = None,
    proofs: Annotated[
        Path | None, typer.Option(help="Where proofs are kept. [default: SITE.proofs.json beside the site file]")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write the sheet to this file as well.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON instead of the sheet.")] = False,
) -> None:
    """Try a station out: limits, 0 A, a cut link, a power cut; you are told what to do by hand.

    The controller of the site must not run meanwhile: the station dials in here. What is found is kept beside the site
    file, where `loadmgr check` and `loadmgr run` read it.

    Example: `loadmgr station prove GARAGE-A1 --site my-site.yaml --operator "M. Meyer"`
    """
    from loadmgr.site_file import find_site, load_site
    from loadmgr.site_file.proofs import proofs_path, write_proof

    site_file = load_site(find_site(site))
    evse = _evse(site_file, identity, number)
    if not asyncio.run(Person().do(_room(site_file, evse))):
        raise InputError("nothing was tried: the station needs that room")
    trial = asyncio.run(_proved(site_file, evse, name=operator, host=host or site_file.listen.host, port=port))
    if trial is None:
        raise InputError(f"{identity} did not connect; point it at ws://HOST:PORT/ocpp/{identity}")
    path = proofs or proofs_path(site_file.path)
    write_proof(path, trial.proof)
    text = trial_sheet(site_file.site.name, trial)
    typer.echo(json.dumps(trial_json(trial), indent=2) if as_json else "\n" + text)
    typer.echo(f"kept in {path}", err=as_json)
    if sheet is not None:
        sheet.write_text(text, encoding="utf-8")
    if any(finding.result.value == "no" for finding in trial.findings):
        raise typer.Exit(EXIT_NOT_PROVED)


def _evse(site_file: "SiteFile", identity: str, number: int) -> "Evse":
    site = site_file.site
    found = next((e for e in site.evses if e.station == identity and e.number == number), None)
    if found is None:
        numbers = [str(e.number) for e in site.evses if e.station == identity]
        known = f"it has EVSE {', '.join(numbers)}" if numbers else "the site file does not name that station"
        raise InputError(f"there is no EVSE {number} of station {identity} at {site.name}: {known}")
    return found


def _room(site_file: "SiteFile", evse: "Evse") -> str:
    circuits = ", ".join(c.id for c in site_file.site.path(evse.circuit))
    return (
        f"see to it that {evse.id} may draw up to {evse.max_a:g} A for half an hour: pause other vehicles on"
        f" {circuits}, nobody controls them while this runs"
    )


async def _proved(site_file: "SiteFile", evse: "Evse", *, name: str, host: str, port: int | None) -> "Trial | None":
    from loadmgr.apps.field.bench import Bench
    from loadmgr.apps.field.prove import Prover
    from loadmgr.control.sending.profiles import fallback_a
    from ocpp_link.transport import SystemClock, serve

    clock, person = SystemClock(), Person()
    everybody = [s.id for s in site_file.site.stations]  # who is turned away dials again and again
    bench = Bench(everybody, clock=clock, voltage_v=site_file.site.voltage_v)
    server = await serve(host, site_file.listen.port if port is None else port, handler=bench, clock=clock)
    person.tell(f"listening on ws://{host}:{server.port}/ocpp/{evse.station}")
    try:
        return await Prover(bench, person, evse, fallback_a=fallback_a(site_file.site, evse)).run(name=name)
    finally:
        await server.close()


def trial_sheet(site_name: str, trial: "Trial") -> str:
    """Return what was found as a sheet to sign."""
    from loadmgr.apps.field.sheet import sheet

    proof = trial.proof
    facts = [
        ("Site", site_name),
        ("Station", str(proof.station)),
        ("Make", f"{proof.vendor} {proof.model}".strip()),
        ("Firmware", proof.firmware),
        ("When", f"{proof.at:%Y-%m-%d %H:%M} UTC"),
        ("Present", proof.operator),
        ("Currents", "as the station itself measured them"),
    ]
    rows = [(finding.what, finding.result.value, finding.note) for finding in trial.findings]
    return sheet("What this station was seen to do", facts, rows)


def trial_json(trial: "Trial") -> dict[str, Any]:
    """Return what was found as JSON values."""
    from loadmgr.site_file.proofs import proof_json

    findings = [{"what": f.what, "result": f.result.value, "note": f.note} for f in trial.findings]
    return {"station": trial.proof.station, "findings": findings, "proof": proof_json(trial.proof)}
