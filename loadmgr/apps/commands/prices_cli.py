"""``loadmgr prices``: what energy costs in the hours to come, and where prices can be had."""

from typing import Annotated

import typer

from loadmgr.errors import InputError


def prices(
    site: Annotated[str | None, typer.Argument(metavar="SITE", help="Site file, or the name of a sample site.")] = None,
    *,
    hours: Annotated[int, typer.Option(min=1, max=168, help="How far ahead.")] = 36,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, by the quarter of an hour.")] = False,
    presets: Annotated[bool, typer.Option("--presets", help="List where prices can be had, and stop.")] = False,
) -> None:
    """Show what energy costs: prices of a market as far as they are known, else the tariff's own.

    Prices that the site file names (`tariff: {prices: {http: {preset: energy_charts}}}`) are fetched where the ones on
    disk do not reach far enough; a controller that runs keeps them there.

    Examples: `loadmgr prices my-site.yaml`, `loadmgr prices --presets`
    """
    import json
    from datetime import UTC, datetime

    if presets:
        _list_presets()
        return
    if site is None:
        raise InputError("name a site file, or a sample such as garage; --presets lists where prices can be had")
    from loadmgr.apps.price_table import price_document, price_lines, priced
    from loadmgr.site_file import find_site, load_site

    site_file = load_site(find_site(site))
    known = priced(site_file, datetime.now(UTC), hours=hours)
    if as_json:
        typer.echo(json.dumps(price_document(site_file, known), indent=2))
        return
    for line in price_lines(site_file, known):
        typer.echo(line)
    if known.trouble is not None:
        typer.echo(f"loadmgr: {known.trouble}", err=True)


def _list_presets() -> None:
    from loadmgr.site_file.price_preset import preset_names, shipped_preset

    width = max(map(len, preset_names()))
    for name in preset_names():
        preset = shipped_preset(name)
        typer.echo(f"{name:<{width}}  {preset.name}")
        typer.echo(f"{'':<{width}}  {preset.source}")
        typer.echo(f"{'':<{width}}  {preset.notes}")
