"""``loadmgr meter``: read the meters of a site once, and list the register maps."""

from typing import TYPE_CHECKING, Annotated

import typer

from loadmgr.errors import InputError

if TYPE_CHECKING:
    from loadmgr.site_file.sources import MeterInput

EXIT_UNREAD = 2

app = typer.Typer(help="Read meters once, for who connects them; list register maps.", no_args_is_help=True)


@app.command()
def read(
    site: Annotated[str | None, typer.Argument(metavar="SITE", help="Site file whose meters are read.")] = None,
    meter: Annotated[str | None, typer.Argument(metavar="METER", help="Only this meter.")] = None,
    *,
    host: Annotated[str | None, typer.Option(help="Without a site file: a meter or gateway on Modbus TCP.")] = None,
    register_map: Annotated[
        str | None, typer.Option("--map", metavar="NAME|FILE.yaml", help="Its register map: loadmgr meter maps.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Its port.")] = 502,
    unit: Annotated[int, typer.Option(min=0, max=255, help="Its unit id; the address on the bus behind.")] = 1,
) -> None:
    """Read meters once and show what they say, phase by phase; what looks wrong is said below.

    Examples: `loadmgr meter read my-site.yaml`, `loadmgr meter read --host 192.168.1.50 --map eastron_sdm630`
    """
    from loadmgr.apps.meter_table import meter_lines, values_once

    if (site is None) == (host is None):
        raise InputError("name a site file, or a meter: --host 192.168.1.50 --map eastron_sdm630")
    inputs = _of_site(site, meter) if site is not None else [_one(host or "", port, unit, register_map)]
    failed = False
    for how in inputs:
        try:
            for line in meter_lines(how, values_once(how)):
                typer.echo(line)
        except InputError as error:
            failed = True
            typer.echo(f"loadmgr: {how.meter}: {error}", err=True)
    if failed:
        raise typer.Exit(EXIT_UNREAD)


@app.command()
def maps(
    name: Annotated[
        str | None, typer.Argument(metavar="MAP", help="Print this map, as a file to start your own from.")
    ] = None,
) -> None:
    """List the register maps that come with loadmgr, or print one.

    Examples: `loadmgr meter maps`, `loadmgr meter maps janitza_umg > my-meter.yaml`
    """
    from loadmgr.site_file.register_map import map_names, map_text, shipped_map

    if name is not None:
        typer.echo(map_text(name), nl=False)
        return
    width = max(map(len, map_names()))
    for each in map_names():
        about = shipped_map(each)
        tried = "read on the device itself" if about.verified else "from documents, not tried on the device"
        typer.echo(f"{each:<{width}}  {about.name}; {tried}")


def _of_site(site: str, meter: str | None) -> "list[MeterInput]":
    from loadmgr.site_file import find_site, load_site

    site_file = load_site(find_site(site))
    inputs = [each for each in site_file.meter_inputs if meter is None or each.meter == meter]
    if not inputs:
        known = ", ".join(each.meter for each in site_file.meter_inputs) or "none"
        what = "no meter says how it is read" if meter is None else f"no meter {meter} says how it is read"
        raise InputError(f"{site_file.path}: {what} (modbus, http or mqtt); those that do: {known}")
    return inputs


def _one(host: str, port: int, unit: int, register_map: str | None) -> "MeterInput":
    from pathlib import Path

    from loadmgr.model.ids import MeterId
    from loadmgr.site_file.register_map import read_map, shipped_map
    from loadmgr.site_file.sources import MeterInput, ModbusPlace

    if register_map is None:
        raise InputError("--host needs --map: a name that `loadmgr meter maps` lists, or a file of your own")
    is_file = register_map.endswith((".yaml", ".yml"))
    found = read_map(Path(register_map)) if is_file else shipped_map(register_map)
    place = ModbusPlace(host=host, port=port, unit=unit, map=found)
    return MeterInput(meter=MeterId("meter"), every_s=1.0, modbus=place)
