"""``loadmgr bundle``: an archive for those who help, without secrets."""

from pathlib import Path
from typing import Annotated

import typer

from loadmgr.errors import InputError


def bundle(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A site file, or the name of a sample.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="The archive; must not exist.")],
    *,
    journal: Annotated[
        str | None, typer.Option(metavar="PATH|URL", help="Its journal. [default: where `run` keeps it]")
    ] = None,
    socket: Annotated[Path | None, typer.Option(help="Its socket, where it was named with `run --socket`.")] = None,
) -> None:
    """Pack versions, the site file, its check, the state of a running process and the journal's end into one archive.

    Passwords and keys are masked and drivers have other names; look into it before you send it away.

    Example: `loadmgr bundle my-site.yaml help.zip`
    """
    from loadmgr.apps import bundle as packing
    from loadmgr.apps.process.places import default_journal, socket_path
    from loadmgr.site_file import find_site

    path = find_site(site)
    place = journal or str(default_journal(path))
    kept = place if journal is not None or Path(place).is_file() else None
    try:
        names = packing.bundle(path, out, journal=kept, socket=socket or socket_path(path))
    except FileExistsError:
        raise InputError(f"{out}: exists already: name another file") from None
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from error
    typer.echo(f"{out}: {', '.join(names)}")
