"""Opening a journal: by the path of a file, or a PostgreSQL URL."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from loadmgr.errors import JournalError
from loadmgr.store.database import Database, DatabaseLost, connect, is_url
from loadmgr.store.mark import Mark
from loadmgr.store.schema import upgrade
from loadmgr.store.tables import Tables
from loadmgr.store.writer import Writer


def connection_to(place: str) -> Callable[[], Database]:
    """Return what opens a place again and again."""
    return lambda: connect(place)


def open_store(place: str, *, site: str, state_folder: Path, keep: timedelta | None = None) -> Writer:
    """Open a journal to write it and to go on from it.

    Parameters
    ----------
    place : str
        Path of a file, or a ``postgresql://`` URL.
    site : str
        The site's name.
    state_folder : Path
        Where the mark of a journal in PostgreSQL is kept; that of a file lies beside it.
    keep : timedelta, optional
        What is older is forgotten; ``None`` keeps everything.

    Raises
    ------
    JournalError
        If it cannot be opened, another controller writes it, or a newer loadmgr wrote it.
    """
    path = mark_path(place, site=site, state_folder=state_folder)
    try:
        if not is_url(place):
            Path(place).parent.mkdir(parents=True, exist_ok=True)
        mark = Mark(path)
    except OSError as error:
        raise JournalError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        return Writer(connection_to(place), site=site, mark=mark, keep=keep)
    except JournalError as error:
        mark.close()
        raise JournalError(f"{shown(place)}: {error}") from error


def mark_path(place: str, *, site: str, state_folder: Path) -> Path:
    """Return where the mark of a journal lies."""
    if not is_url(place):
        return Path(f"{place}.mark")
    digest = hashlib.sha256(f"{place} {site}".encode()).hexdigest()[:12]
    return state_folder / f"postgresql-{digest}.mark"


def shown(place: str) -> str:
    """Return a place without the password that a URL may hold.

    Examples
    --------
    >>> shown("postgresql://me:secret@db/loads")
    'postgresql://me@db/loads'
    """
    if not is_url(place):
        return place
    scheme, _, rest = place.partition("://")
    login, at, host = rest.rpartition("@")
    return f"{scheme}://{login.partition(':')[0]}{at}{host}"


def open_tables(place: str, *, site: str | None = None) -> Tables:
    """Open a journal that exists, to read it.

    Parameters
    ----------
    site : str, optional
        Which one, where a database holds the journals of several sites.

    Raises
    ------
    JournalError
        If there is none, or several and none was named.
    """
    if not is_url(place) and not Path(place).is_file():
        raise JournalError(f"{place}: there is no such journal")
    database: Database | None = None
    try:
        database = connect(place)
        sites = sites_of(database)
        if site is None and len(sites) == 1:
            site = sites[0]
        if site not in sites:
            known = ", ".join(sites) or "none"
            asked = "name one with --site-name" if site is None else f"there is none of {site!r}"
            raise JournalError(f"{shown(place)}: it holds the journals of these sites: {known}; {asked}")
        return Tables(database, site)
    except DatabaseLost as error:
        raise JournalError(f"{shown(place)}: {error}") from error


def sites_of(database: Database) -> tuple[str, ...]:
    """Return the sites whose journals a database holds."""
    upgrade(database)
    return tuple(site for (site,) in database.rows("SELECT site FROM journal ORDER BY site"))
