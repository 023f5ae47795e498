"""What helps to find a fault, in one archive that can be sent away: secrets and drivers are left out.

Rules
-----
1. Passwords, tokens and keys are masked wherever they stand; the journal's key is never read.
2. Drivers' tokens leave only as the pseudonyms that the journal has; a status that a running process tells likewise.
3. What cannot be had is named in ``missing.txt``; it does not keep the rest from being packed.
"""

import json
import platform
import re
import secrets
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from loadmgr import __version__
from loadmgr.apps.local_control import ask_local
from loadmgr.apps.places import beside_journal, state_folder
from loadmgr.apps.pseudonyms import KEY_BYTES, Pseudonyms
from loadmgr.errors import LoadManagerError
from loadmgr.site_file import check_site
from loadmgr.store.open import open_tables

MOST_ENTRIES = 20_000
"""So many entries of the journal's end are packed."""

_SECRET = re.compile(r"(?im)^(\s*-?\s*[\w-]*(?:password|secret|token|key)\w*\s*[:=]\s*)(\S.*)$")
_LOGIN = re.compile(r"(\w+://)[^\s/@:]+:[^\s/@]+@")
_TOKEN_NAMES = frozenset({"id_token", "token"})


def masked(text: str) -> str:
    """Return a text without the secrets that a configuration may hold.

    Examples
    --------
    >>> masked("password: hunter2")
    'password: (masked)'
    >>> masked("url: postgresql://me:hunter2@db/x")
    'url: postgresql://(masked)@db/x'
    """
    return _LOGIN.sub(r"\1(masked)@", _SECRET.sub(r"\1(masked)", text))


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
        "check.json": lambda: _checked(site),
        "status.json": lambda: json.dumps(without_drivers(ask_local(socket, {"do": "status"}), names), indent=1),
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
            yield (
                json.dumps({"number": entry.number, "at": entry.at.isoformat(), "kind": entry.kind, "body": body})
                + "\n"
            )
    finally:
        tables.close()


def _stations(place: str) -> str:
    return beside_journal(place, site="", folder=state_folder())["stations"].read_text(encoding="utf-8")
