"""``loadmgr check`` and ``loadmgr schema``: what is wrong with a site file, before it starts.

``check`` runs the code that ``run`` and ``demo`` start with: what it passes, starts.
"""

import json
import math
from collections.abc import Sized
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadmgr.errors import InputError

if TYPE_CHECKING:
    from loadmgr.control.safety.costs import AssumptionCost
    from loadmgr.site_file import SiteFile
    from loadmgr.site_file.faults import Fault

EXIT_FAULTS = 1


def check(
    site: Annotated[
        str | None, typer.Argument(metavar="SITE", help="A site file, or the name of a sample such as garage.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print faults and warnings as JSON.")] = False,
    certificate: Annotated[
        Path | None, typer.Option(metavar="OUT.json", help="Write the proof that limits hold with the controller dead.")
    ] = None,
    verifier: Annotated[
        bool, typer.Option("--verifier", help="Print the script that verifies a certificate, and stop.")
    ] = False,
) -> None:
    """Say everything that is wrong with a site file, with line and column; exit status 1 if it would not start."""
    if verifier:
        typer.echo(_verifier_script(), nl=False)
        return
    if site is None:
        raise typer.BadParameter("name a site file, or a sample such as garage", param_hint="SITE")
    from loadmgr.site_file import check_site, find_site

    path = find_site(site)
    found = check_site(path)
    world = [] if found.site_file is None else _faults_of_world(found.site_file)
    sound = found.site_file is not None and not world
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "site": str(path),
                    "good": sound,
                    "faults": [_as_json(fault) for fault in found.faults] + [{"text": text} for text in world],
                    "warnings": [_as_json(fault) for fault in found.warnings],
                },
                indent=2,
            )
        )
    else:
        for fault in found.faults:
            typer.echo(fault.shown(path))
        for text in world:
            typer.echo(text)
        for warning in found.warnings:
            typer.echo(warning.shown(path, "warning: "))
        typer.echo(_summary(found.site_file) if sound and found.site_file else _verdict([*found.faults, *world]))
    if sound and found.site_file is not None:
        _certify(found.site_file, certificate, quiet=as_json)
    if not sound:
        raise typer.Exit(EXIT_FAULTS)


def _certify(site_file: "SiteFile", out: Path | None, *, quiet: bool) -> None:
    """Say whether the fail-safe is proven, and on what the proof rests; write the certificate where it is asked for."""
    from loadmgr.control.safety.certificate import autonomy, build_certificate, sealed
    from loadmgr.control.safety.costs import assumption_costs

    proof = build_certificate(site_file.site)
    costs = assumption_costs(
        site_file.site, site_file.tariff, now=datetime.now(UTC), side_means_a=_side_means_a(site_file)
    )
    if not quiet:
        from loadmgr.apps.rules_text import rules_in_words, secrets_not_here

        for line in (*rules_in_words(site_file), *secrets_not_here(site_file)):
            typer.echo(line)
        for fault in proof.faults:
            typer.echo(f"not proven: {fault}")
        for warning in proof.warnings:
            typer.echo(f"fail-safe: {warning}")
        if not proof.faults:
            typer.echo("proven: with the controller dead no circuit exceeds its limit, as far as these hold:")
            for assumption in proof.document["assumptions"]:
                typer.echo(f"  - {assumption}")
            typer.echo(f"  it holds {autonomy(site_file.site)}")
        _tell_costs(costs, site_file.site.currency)
    if out is not None:
        document = sealed(proof.document | {"costs": [asdict(cost) for cost in costs]})
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _tell_costs(costs: "tuple[AssumptionCost, ...]", currency: str) -> None:
    if not costs:
        return
    width = max(len(cost.what) for cost in costs)
    typer.echo("what is kept free for that, at the grid connection, and what it could bring in a month at most:")
    for cost in costs:
        money = "" if cost.money is None else f"{cost.money:>8.0f} {currency}"
        typer.echo(f"  {cost.what:<{width}} {cost.current_a:>6.0f} A {cost.energy_wh / 1000.0:>9.0f} kWh{money}")


def _side_means_a(site_file: "SiteFile") -> dict[str, tuple[float, ...]]:
    """Return the mean of side loads whose profile the site file names [A]."""
    return {
        load.id: tuple(math.fsum(phase.values) / len(phase.values) for phase in load.current_a)
        for load in site_file.building
    }


def _verifier_script() -> str:
    """Return the stand-alone verifier: it needs the standard library alone, and shares no code with the proof."""
    return resources.files("loadmgr.control.safety").joinpath("verifier.py").read_text(encoding="utf-8")


def schema() -> None:
    """Print the JSON Schema of site files: editors complete keys and mark slips with it."""
    from loadmgr.site_file import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def _faults_of_world(site_file: "SiteFile") -> list[str]:
    """Return what is wrong with the files that the demo reads when it starts."""
    if site_file.demo is None:
        return []
    from loadmgr.sim.session_table import read_sessions

    path: Path = site_file.demo.sessions
    try:
        sessions = read_sessions(path)
    except InputError as error:
        return str(error).splitlines()
    strangers = {s.evse for s in sessions if s.evse is not None and s.evse not in site_file.site.evse_by_id}
    return [f"{path}: column evse: there is no EVSE {evse} at {site_file.site.name}" for evse in sorted(strangers)]


def _as_json(fault: "Fault") -> dict[str, Any]:
    return {"line": fault.line, "column": fault.column, "text": fault.text, "advice": fault.advice}


def _verdict(faults: Sized) -> str:
    return f"{_counted(faults, 'fault')}: the site would not start"


def _counted(things: Sized, word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def _summary(site_file: "SiteFile") -> str:
    site = site_file.site
    limits = sorted({f"{limit:g} A" for limit in site.root.rated_a if limit is not None})
    fuse = f" behind {' / '.join(limits)} per phase" if limits else ""
    return f"good: {site.name}, {_counted(site.evses, 'EVSE')} on {_counted(site.circuits, 'circuit')}{fuse}"
