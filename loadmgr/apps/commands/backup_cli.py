"""``loadmgr backup`` and ``loadmgr restore``: a journal, and what belongs to it, in one file and back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from loadmgr.store.backup import Copied


def backup(
    journal: Annotated[str, typer.Argument(metavar="JOURNAL", help="A file, or postgresql://...")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The backup; must not exist.")],
    *,
    site_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which site, where the database holds several.")
    ] = None,
) -> None:
    """Copy a journal, its key and what is known of stations into one file; the controller may go on meanwhile.

    Example: `loadmgr backup my-site.journal.sqlite3 my-site.backup`
    """
    from loadmgr.apps.process.places import beside_journal, state_folder
    from loadmgr.store.backup import back_up
    from loadmgr.store.open import open_tables

    tables = open_tables(journal, site=site_name)
    tables.close()
    files = beside_journal(journal, site=site_name or tables.site, folder=state_folder())
    _say(back_up(journal, out, site=site_name, files=files), f"in {out}")


def restore(
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="What `loadmgr backup` wrote.")],
    journal: Annotated[str, typer.Argument(metavar="JOURNAL", help="A new file, or postgresql://...")],
) -> None:
    """Put a backup where `loadmgr run --journal` goes on from it; backups of older versions are brought up to date.

    The first start clears the stations and sets them up anew, because they may hold what the backup knows nothing of.

    Example: `loadmgr restore my-site.backup my-site.journal.sqlite3`
    """
    from loadmgr.apps.process.places import beside_journal, state_folder
    from loadmgr.store import backup as copies
    from loadmgr.store.open import open_tables, shown

    site = None
    if backup.is_file():
        tables = open_tables(str(backup))
        tables.close()
        site = tables.site
    files = beside_journal(journal, site=site or "", folder=state_folder())
    _say(copies.restore(backup, journal, state_folder=state_folder(), files=files), f"at {shown(journal)}")


def _say(copied: "Copied", where: str) -> None:
    entries = (
        f"{copied.rows['entry']:,} entries, {copied.rows['block']:,} blocks, {copied.rows['snapshot']:,} snapshots"
    )
    ends = "" if copied.ends_at is None else f", up to {copied.ends_at:%Y-%m-%d %H:%M:%S} UTC"
    files = f", with {' and '.join(copied.files)}" if copied.files else ""
    typer.echo(f"{copied.site}: {entries}{ends}{files}: {where}")
