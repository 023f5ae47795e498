"""What is known of models: the quirk file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ocpp_link.station_profile import StationProfile, profile_from

QUIRK_FILE = Path(__file__).with_name("quirks.yaml")

_KEYS = frozenset({"name", "vendor", "model", "firmware", "profile", "seen"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """What is known of a model."""

    name: str
    vendor: re.Pattern[str]
    model: re.Pattern[str]
    firmware: re.Pattern[str]
    profile: StationProfile

    def matches(self, vendor: str, model: str, firmware: str) -> bool:
        """Tell whether a station is of this model."""
        pairs = ((self.vendor, vendor), (self.model, model), (self.firmware, firmware))
        return all(pattern.match(text) is not None for pattern, text in pairs)


@cache
def load_quirks(path: Path = QUIRK_FILE) -> tuple[Quirk, ...]:
    """Read a quirk file; the shipped one unless another is named.

    Raises
    ------
    ValueError
        If an entry is none; the message names file, entry and field.
    """
    entries = read_yaml(path)
    if not isinstance(entries, list):
        kind = type(entries).__name__
        raise ValueError(f"{path}: a quirk file must be a list of entries, got {kind}")  # noqa: TRY004 - a file
    return tuple(_quirk(path, number, entry) for number, entry in enumerate(entries, start=1))


def read_yaml(path: Path) -> Any:
    """Return the plain values of a YAML file.

    Raises
    ------
    ValueError
        If it is no YAML; the message names file and line.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f": line {mark.line + 1}"
        raise ValueError(f"{path}{line}: {getattr(error, 'problem', None) or error}") from error


def _quirk(path: Path, number: int, entry: Any) -> Quirk:
    name = f"entry {number}"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise ValueError(f"{path}: {name} must have a name")  # noqa: TRY004 - a file
    name = entry["name"]
    unknown = set(entry) - _KEYS
    if unknown or not isinstance(entry.get("profile"), Mapping):
        what = f"has {', '.join(sorted(unknown))}" if unknown else "lacks a profile"
        raise ValueError(f"{path}: quirk {name}: {what}; an entry has {', '.join(sorted(_KEYS))}")
    try:
        patterns = {key: re.compile(str(entry.get(key, "")), re.IGNORECASE) for key in ("vendor", "model", "firmware")}
        return Quirk(name=name, profile=profile_from(entry["profile"]), **patterns)
    except (re.error, ValueError) as error:
        raise ValueError(f"{path}: quirk {name}: {error}") from error


def known_quirks(
    vendor: str, model: str, firmware: str = "", *, quirks: Iterable[Quirk] | None = None
) -> StationProfile:
    """Return what is known of a model; an empty profile for one that is not in the file.

    Parameters
    ----------
    quirks
        Entries to look through; the shipped ones if absent.

    Examples
    --------
    >>> known_quirks("EV-Box", "Elvi 2.1").stack_level
    0
    """
    for quirk in load_quirks() if quirks is None else quirks:
        if quirk.matches(vendor.strip(), model.strip(), firmware.strip()):
            return quirk.profile
    return StationProfile()
