"""The profiles of a site's stations: asked, known by model, learnt, overruled; over connections and restarts.

Rule 1: later knowledge wins in this order: what the station says of itself, what is known of its model, what was learnt
    by trying, what the operator says.
Rule 2: what was learnt counts for the station that taught it: another model or firmware under the same id starts anew,
    and a refusal unlearns.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

from ocpp_link.quirks import Quirk, known_quirks, read_yaml
from ocpp_link.station_profile import StationProfile, profile_from

logger = logging.getLogger(__name__)


class Nameplate(NamedTuple):
    """What a station calls itself in its BootNotification."""

    vendor: str
    model: str
    firmware: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What of a station outlives connections and restarts."""

    plate: Nameplate | None = None
    asked: StationProfile = field(default_factory=StationProfile)
    learnt: StationProfile = field(default_factory=StationProfile)


class ProfileMemory(Protocol):
    """Where what is known of stations is kept: a `ProfileFile`, or a database of the user's."""

    def load(self) -> Mapping[str, Remembered]:
        """Return everything that was saved, by station id."""

    def save(self, station_id: str, remembered: Remembered) -> None:
        """Keep what is known of one station, in place of what was kept before."""


class ProfileBook:
    """What is known of each station of a site.

    Parameters
    ----------
    overrides
        What the operator says, by station id; see `load_overrides`.
    memory
        Where the rest is kept; without it, a restart forgets.
    quirks
        What is known of models; the shipped file if absent.
    """

    def __init__(
        self,
        *,
        overrides: Mapping[str, StationProfile] | None = None,
        memory: ProfileMemory | None = None,
        quirks: Iterable[Quirk] | None = None,
    ) -> None:
        self._overrides = dict(overrides or {})
        self._memory = memory
        self._quirks = None if quirks is None else tuple(quirks)
        self._known: dict[str, Remembered] = {} if memory is None else dict(memory.load())
        self._whole: dict[str, StationProfile] = {}  # asked with every message, made when something new is known

    def booted(self, station_id: str, payload: Mapping[str, Any]) -> None:
        """Take note of a station's nameplate, as its BootNotification has it."""
        told = payload.get("chargingStation", payload)
        plate = Nameplate(
            told.get("vendorName", told.get("chargePointVendor", "")),
            told.get("model", told.get("chargePointModel", "")),
            told.get("firmwareVersion", ""),
        )
        known = self._remembered(station_id)
        if known.plate not in (None, plate):
            logger.info("%s is another model or firmware now: what was learnt of it counts no more", station_id)
            known = Remembered()
        self._keep(station_id, replace(known, plate=plate))

    def asked(self, station_id: str, profile: StationProfile) -> None:
        """Take note of what a station says of itself."""
        self._keep(station_id, replace(self._remembered(station_id), asked=profile))

    def heard(self, station_id: str, profile: StationProfile) -> None:
        """Take note of what a station says of itself beside what it said before."""
        self.asked(station_id, self._remembered(station_id).asked.overruled_by(profile))

    def learn(self, station_id: str, profile: StationProfile) -> None:
        """Take note of what trying has shown."""
        known = self._remembered(station_id)
        self._keep(station_id, replace(known, learnt=known.learnt.overruled_by(profile)))

    def unlearn(self, station_id: str) -> None:
        """Forget what trying had shown: the station refuses it now."""
        self._keep(station_id, replace(self._remembered(station_id), learnt=StationProfile()))

    def profile(self, station_id: str) -> StationProfile:
        """Return all that is known of a station, the operator's word last."""
        whole = self._whole.get(station_id)
        if whole is None:
            whole = self._remembered(station_id).asked.overruled_by(self.manners(station_id))
            self._whole[station_id] = whole
        return whole

    def manners(self, station_id: str) -> StationProfile:
        """Return what is known of a station beside what it says of itself."""
        known = StationProfile()
        for source in self._sources(station_id)[1:]:
            known = known.overruled_by(source[1])
        return known

    def report(self, station_id: str) -> dict[str, tuple[Any, str]]:
        """Return each field that is known, and who says so: the station, its model, trying, or the operator."""
        return {
            name: (value, who) for who, profile in self._sources(station_id) for name, value in profile.known().items()
        }

    def nameplate(self, station_id: str) -> Nameplate | None:
        """Return what a station calls itself; ``None`` for one that never booted here."""
        return self._remembered(station_id).plate

    @property
    def stations(self) -> tuple[str, ...]:
        """The ids of the stations of which anything is known, in order."""
        return tuple(sorted({*self._known, *self._overrides}))

    # Private methods.

    def _remembered(self, station_id: str) -> Remembered:
        return self._known.get(station_id, Remembered())

    def _sources(self, station_id: str) -> tuple[tuple[str, StationProfile], ...]:
        known = self._remembered(station_id)
        model = StationProfile() if known.plate is None else known_quirks(*known.plate, quirks=self._quirks)
        return (
            ("station", known.asked),
            ("model", model),
            ("learnt", known.learnt),
            ("operator", self._overrides.get(station_id, StationProfile())),
        )

    def _keep(self, station_id: str, remembered: Remembered) -> None:
        if remembered == self._known.get(station_id):
            return
        self._known[station_id] = remembered
        self._whole.pop(station_id, None)
        if self._memory is not None:
            try:
                self._memory.save(station_id, remembered)
            except OSError as error:
                logger.warning("what is known of %s cannot be kept: %s", station_id, error)


class ProfileFile:
    """A `ProfileMemory` in a file: one JSON object a line, the last of a station counts.

    Parameters
    ----------
    path
        The file; made when the first station is saved.

    Raises
    ------
    ValueError
        If the file holds something else; the message names the line. A last line that was cut off is left out.
    OSError
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        self._found = dict(_line(path, number, text) for number, text in enumerate(lines, 1) if text.endswith("\n"))

    def load(self) -> Mapping[str, Remembered]:
        """Return what the file held when it was opened."""
        return self._found

    def save(self, station_id: str, remembered: Remembered) -> None:
        """Append a line; the first time, the file is written anew with what is still of use."""
        if self._file is None:
            begun = self._path.with_name(self._path.name + ".new")
            begun.write_text("".join(_text(*each) for each in self._found.items()), encoding="utf-8")
            begun.replace(self._path)
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write(_text(station_id, remembered))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _text(station_id: str, known: Remembered) -> str:
    fields: dict[str, Any] = {"station": station_id}
    if known.plate is not None:
        fields |= known.plate._asdict()
    return json.dumps(fields | {"asked": known.asked.known(), "learnt": known.learnt.known()}) + "\n"


def _line(path: Path, number: int, text: str) -> tuple[str, Remembered]:
    try:
        found = json.loads(text)
        plate = Nameplate(*(str(found[name]) for name in Nameplate._fields)) if "vendor" in found else None
        profiles = {name: profile_from(found[name]) for name in ("asked", "learnt")}
        return str(found["station"]), Remembered(plate=plate, **profiles)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: line {number}: no station profile: {error}") from error


def load_overrides(path: Path) -> dict[str, StationProfile]:
    """Read what the operator says of stations: a YAML mapping of station ids to fields of `StationProfile`.

    Raises
    ------
    ValueError
        If it says something else; the message names file, station and field.
    OSError
        If it cannot be read.
    """
    raw = read_yaml(path)
    if not isinstance(raw, Mapping):
        kind = type(raw).__name__
        raise ValueError(f"{path}: must be a mapping of station ids to fields, got {kind}")  # noqa: TRY004 - a file
    found: dict[str, StationProfile] = {}
    for station_id, said in raw.items():
        if not isinstance(said, Mapping):
            where = f"{path}: station {station_id}"
            raise ValueError(f"{where}: must be a mapping of fields, got {said!r}")  # noqa: TRY004 - a file
        try:
            found[str(station_id)] = profile_from(said)
        except ValueError as error:
            raise ValueError(f"{path}: station {station_id}: {error}") from error
    return found
