"""Where a running site keeps what: its journal, its key, and the socket by which it is spoken to."""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from loadmgr.errors import InputError
from loadmgr.site_file import sample_folder
from loadmgr.store.open import mark_path


def state_folder() -> Path:
    """Return where state is kept that has no place of its own: systemd's ``StateDirectory``, or the user's."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "loadmgr"


def runtime_folder() -> Path:
    """Return where sockets are kept: systemd's ``RuntimeDirectory``, the user's, or a folder of the user's in /tmp."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    home = os.environ.get("XDG_RUNTIME_DIR")
    if home:
        return Path(home) / "loadmgr"
    return Path(tempfile.gettempdir()) / f"loadmgr-{os.getuid()}"


def default_journal(site_path: Path) -> Path:
    """Return the journal of a site: beside its file, or in the state folder where that is no place to write."""
    folder = site_path.resolve().parent
    name = f"{site_path.stem}.journal.sqlite3"
    given = os.environ.get("STATE_DIRECTORY")
    if not given and folder != sample_folder().resolve() and os.access(folder, os.W_OK):
        return folder / name
    return state_folder() / name


def beside_journal(place: str, *, site: str, folder: Path) -> dict[str, Path]:
    """Return the files that belong to a journal: the key of its pseudonyms, known stations, evidence, prices.

    Parameters
    ----------
    folder : Path
        Where they lie for a journal in PostgreSQL; those of a file lie beside it.
    """
    base = mark_path(place, site=site, state_folder=folder).with_suffix("")
    endings = {"key": "key", "stations": "stations.jsonl", "evidence": "evidence.jsonl", "prices": "prices.json"}
    return {name: base.with_name(f"{base.name}.{ending}") for name, ending in endings.items()}


def socket_path(site_path: Path) -> Path:
    """Return the socket of the process that runs a site file, different for files of one name in different folders."""
    path = site_path.resolve()
    word = re.sub(r"[^A-Za-z0-9_-]", "_", path.stem)[:24]
    return runtime_folder() / f"{word}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}.sock"


def only_socket() -> Path:
    """Return the one socket that there is.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    found = sorted(runtime_folder().glob("*.sock"))
    if not found:
        raise InputError(f"no site runs here: there is no socket in {runtime_folder()}; start one with loadmgr run")
    if len(found) > 1:
        names = ", ".join(path.stem.rpartition("-")[0] for path in found)
        raise InputError(f"several sites run here ({names}): name the site file, or the socket with --socket")
    return found[0]
