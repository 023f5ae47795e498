"""A site file that is read again while its site runs: taken over only if it checks, and told what is different."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from loadmgr.control.safety.certificate import build_certificate
from loadmgr.errors import SiteFileError
from loadmgr.model.topology import Site
from loadmgr.site_file import SiteFile, load_site

_MEMBERS = {
    "circuits": "circuit",
    "evses": "EVSE",
    "stations": "station",
    "meters": "meter",
    "pv": "plant",
    "batteries": "battery",
    "cabinets": "cabinet",
}
"""Lists of a site whose members have ids, and the word for one of them."""


def reread(path: Path, *, certified: bool) -> SiteFile:
    """Return the content of a site file as it is now.

    Raises
    ------
    SiteFileError
        If it has faults, or its fail-safe cannot be proven although a proof is asked for.
    InputError
        If it cannot be opened.
    """
    site_file = load_site(path)
    if certified:
        require_certificate(site_file)
    return site_file


def require_certificate(site_file: SiteFile) -> None:
    """Refuse a site whose limits are not proven to hold with the controller dead.

    Raises
    ------
    SiteFileError
        With one line for each circuit, phase and time that does not fit, and the option that starts it all the same.
    """
    faults = unproven(site_file)
    if faults:
        lines = "".join(f"\n  {fault}" for fault in faults)
        raise SiteFileError(
            f"{site_file.path}: there is no certificate; prove its stations (loadmgr station prove ID) or mend the "
            f"fail-safe; to start all the same, say --without-certificate:{lines}"
        )


def unproven(site_file: SiteFile) -> tuple[str, ...]:
    """Return where limits may not hold with the controller dead; empty where they are proven to."""
    return build_certificate(site_file.site).faults


def changed(old: SiteFile, new: SiteFile) -> list[str]:
    """Return what differs between two readings of a site file, in words; empty where nothing does."""
    out = []
    for name, word in _MEMBERS.items():
        out += _members(word, getattr(old.site, name), getattr(new.site, name))
    out += [
        name for name in _names(Site) if name not in _MEMBERS and getattr(old.site, name) != getattr(new.site, name)
    ]
    out += [
        name.replace("_", " ")
        for name in _names(SiteFile)
        if name not in ("path", "site", "listen") and getattr(old, name) != getattr(new, name)
    ]
    if old.listen != new.listen:
        out.append("listen (from the next start on)")
    return out


def _names(kind: type[Site] | type[SiteFile]) -> list[str]:
    """Return the names of all fields: what is added to a site file one day cannot be left out here."""
    return [field.name for field in fields(kind)]


def _members(word: str, old: Sequence[Any], new: Sequence[Any]) -> list[str]:
    before, after = {each.id: each for each in old}, {each.id: each for each in new}
    out = [f"{word} {name} (gone)" for name in before if name not in after]
    out += [f"{word} {name} (new)" for name in after if name not in before]
    return out + [f"{word} {name}" for name in after if name in before and before[name] != after[name]]
