"""``loadmgr commission``: how the EVSEs of a site are really wired, as a sheet to sign."""

import asyncio
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadmgr.apps.commands.prove_cli import Person
from loadmgr.errors import InputError

if TYPE_CHECKING:
    from loadmgr.apps.field.commission import Meters, Wiring
    from loadmgr.model.ids import MeterId
    from loadmgr.model.topology import Evse, PhaseAmps, Site
    from loadmgr.site_file import SiteFile

EXIT_FAULTS = 1
FRESH_S = 30.0
"""A file of meter values that is older than this shows nothing [s]."""


class TypedMeters:
    """Meters that a person reads out."""

    async def read(self, meter: "MeterId") -> "PhaseAmps | None":
        """Ask what a meter shows."""
        while True:
            typer.echo(f">>> what does {meter} show on L1 L2 L3 [A]? ", nl=False)
            said = await asyncio.to_thread(sys.stdin.readline)
            if not said.strip():
                return None
            try:
                return _amps(said.replace(",", ".").split())
            except ValueError:
                typer.echo("    three numbers, such as: 12.5 3 7.1")


class FileMeters:
    """Meters whose values a gateway keeps in a JSON file: ``{"main_meter": [12.5, 3.0, 7.1]}``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self, meter: "MeterId") -> "PhaseAmps | None":
        """Return what the file says of a meter; nothing where it is old."""
        try:
            if time.time() - self._path.stat().st_mtime > FRESH_S:
                return None
            document = json.loads(self._path.read_text(encoding="utf-8"))
            shown = document.get(meter)
            return None if shown is None else _amps(shown)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{self._path}: meter {meter} must be three numbers, L1 to L3 in A: {error}") from error


def _amps(values: Sequence[Any]) -> "PhaseAmps":
    first, second, third = (float(v) for v in ((values,) if isinstance(values, str) else values))
    if not all(math.isfinite(v) for v in (first, second, third)):
        raise ValueError("they are no numbers")
    return (first, second, third)


def commission(
    site: Annotated[str, typer.Argument(metavar="SITE", help="Site file, or the name of a sample site.")],
    *,
    evses: Annotated[list[str] | None, typer.Option("--evse", help="Only this EVSE; may be repeated.")] = None,
    meters: Annotated[
        Path | None, typer.Option(help="JSON file with the meters' values, kept up to date; else you type them.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: the site file's]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on. [default: the site file's]")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write the sheet to this file as well.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON instead of the sheet.")] = False,
) -> None:
    """Step one EVSE at a time against the site's meters: true phases, circuits, lag, and faults of the wiring.

    The controller of the site must not run meanwhile: the stations dial in here.

    Example: `loadmgr commission my-site.yaml --evse A1 --evse A2`
    """
    from loadmgr.site_file import find_site, load_site

    site_file = load_site(find_site(site))
    if not site_file.site.meters:
        raise InputError(f"{site_file.site.name} has no meter: add one to its grid connection to see EVSEs on it")
    chosen = _chosen(site_file.site, evses or [])
    desk: Meters = TypedMeters() if meters is None else FileMeters(meters)
    found = asyncio.run(_stepped(site_file, chosen, desk, host=host or site_file.listen.host, port=port))
    text = wiring_sheet(site_file.site.name, found)
    typer.echo(json.dumps([wiring_json(w) for w in found], indent=2) if as_json else "\n" + text)
    if sheet is not None:
        sheet.write_text(text, encoding="utf-8")
    if any(wiring.faults for wiring in found):
        raise typer.Exit(EXIT_FAULTS)


def _chosen(site: "Site", names: Sequence[str]) -> "tuple[Evse, ...]":
    unknown = sorted(set(names) - {str(e.id) for e in site.evses})
    if unknown:
        raise InputError(f"there is no EVSE {', '.join(unknown)} at {site.name}")
    return tuple(e for e in site.evses if not names or e.id in names)


async def _stepped(
    site_file: "SiteFile", evses: "tuple[Evse, ...]", meters: "Meters", *, host: str, port: int | None
) -> "tuple[Wiring, ...]":
    from loadmgr.apps.field.bench import Bench
    from loadmgr.apps.field.commission import Commissioner
    from ocpp_link.transport import SystemClock, serve

    site, clock, person = site_file.site, SystemClock(), Person()
    bench = Bench([s.id for s in site.stations], clock=clock, voltage_v=site.voltage_v)
    server = await serve(host, site_file.listen.port if port is None else port, handler=bench, clock=clock)
    person.tell(f"listening on ws://{host}:{server.port}/ocpp/<station id>")
    person.tell("nobody controls the site while this runs: see to it that nobody else charges")
    try:
        return await Commissioner(site, bench, person, meters).run(evses)
    finally:
        await server.close()


def wiring_sheet(site_name: str, found: "Sequence[Wiring]") -> str:
    """Return what was found as a sheet to sign."""
    from loadmgr.apps.field.sheet import sheet

    rows = []
    for wiring in found:
        lag = "" if wiring.lag_s is None else f", after {wiring.lag_s:.0f} s"
        if not wiring.phases and not wiring.faults:
            rows.append((str(wiring.evse.id), "?", wiring.note))
            continue
        seen = f"{wiring.phases or '-'} on {', '.join(wiring.circuits) or '-'}{lag} ({wiring.note})"
        rows.append((str(wiring.evse.id), "FAULT" if wiring.faults else "good", seen))
        rows += [("", "", fault) for fault in wiring.faults]
    tried = sum(1 for w in found if w.phases or w.faults)
    facts = [("Site", site_name), ("EVSEs", f"{tried} of {len(found)} tried")]
    return sheet("How the charging points were found to be wired", facts, rows)


def wiring_json(wiring: "Wiring") -> dict[str, Any]:
    """Return what was found of one EVSE as JSON values."""
    return {
        "evse": wiring.evse.id,
        "phases": wiring.phases,
        "circuits": list(wiring.circuits),
        "lag_s": wiring.lag_s,
        "faults": list(wiring.faults),
        "note": wiring.note,
    }
