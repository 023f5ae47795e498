"""What helps to find a fault, in one archive that can be sent away: secrets and drivers are left out.

Rules
-----
1. Passwords, tokens and keys are masked wherever they stand; the journal's key is never read.
2. Drivers' tokens leave only as the pseudonyms that the journal has; a status that a running process tells likewise.
3. What cannot be had is named in ``missing.txt``; it does not keep the rest from being packed.
"""

import json
import platform
import secrets
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from loadmgr import __version__
from loadmgr.apps.masking import masked, without_logins
from loadmgr.apps.process.local_control import ask_local
from loadmgr.apps.process.places import beside_journal, state_folder
from loadmgr.apps.process.pseudonyms import KEY_BYTES, Pseudonyms
from loadmgr.errors import LoadManagerError
from loadmgr.site_file import check_site
from loadmgr.store.open import open_tables

MOST_ENTRIES = 20_000
"""So many entries of the journal's end are packed."""

_TOKEN_NAMES = frozenset({"id_token", "token"})


def bundle(site: Path, out: Path, *, journal: str | None, socket: Path) -> list[str]:
    """Write the archive; return the names of what is in it.

    Raises
    ------
    OSError
        If it cannot be written, or exists.
    """
    names = Pseudonyms(secrets.token_bytes(KEY_BYTES))  # forgotten with this archive: no name leads back to a token
    parts: dict[str, Callable[[], str]] = {
        "versions.txt": _versions,
        "site.yaml": lambda: masked(site.read_text(encoding="utf-8")),
        "check.json": lambda: masked(_checked(site)),
        "status.json": lambda: _status(socket, names),
    }
    if journal is not None:
        parts["journal.jsonl"] = lambda: "".join(_journal_end(journal, names))
        parts["stations.jsonl"] = lambda: masked(_stations(journal))
    missing = []
    with zipfile.ZipFile(out, "x", zipfile.ZIP_DEFLATED) as archive:
        for name, make in parts.items():
            try:
                archive.writestr(name, make())
            except (LoadManagerError, OSError, UnicodeDecodeError) as error:
                missing.append(f"{name}: {masked(str(error))}\n")
        if missing:
            archive.writestr("missing.txt", "".join(missing))
        return archive.namelist()


def _status(socket: Path, names: Pseudonyms) -> str:
    return without_logins(json.dumps(without_drivers(ask_local(socket, {"do": "status"}), names), indent=1))


def without_drivers(value: Any, names: Pseudonyms) -> Any:
    """Return JSON values with every driver's token under another name."""

    def walk(part: Any) -> Any:
        if isinstance(part, dict):
            return {
                k: _hidden(names, v) if k in _TOKEN_NAMES and isinstance(v, str) else walk(v) for k, v in part.items()
            }
        return [walk(each) for each in part] if isinstance(part, list) else part

    return walk(value)


def _hidden(names: Pseudonyms, token: str) -> str:
    return token if token.startswith("~") else names.of(token)


def _versions() -> str:
    lines = [f"loadmgr {__version__}", f"Python {platform.python_version()}", platform.platform()]
    return "\n".join([*lines, *sorted(f"{d.name} {d.version}" for d in distributions())]) + "\n"


def _checked(site: Path) -> str:
    found = check_site(site)
    return json.dumps(
        {"faults": [str(f) for f in found.faults], "warnings": [str(w) for w in found.warnings]}, indent=1
    )


def _journal_end(place: str, names: Pseudonyms) -> Iterator[str]:
    tables = open_tables(place)
    try:
        for entry in tables.entries(after=max(0, tables.last_number() - MOST_ENTRIES)):
            body = without_drivers(json.loads(entry.body), names)
            line = {"number": entry.number, "at": entry.at.isoformat(), "kind": entry.kind, "body": body}
            yield without_logins(json.dumps(line)) + "\n"
    finally:
        tables.close()


def _stations(place: str) -> str:
    return beside_journal(place, site="", folder=state_folder())["stations"].read_text(encoding="utf-8")
