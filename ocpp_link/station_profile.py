"""What a station can do, and what it does its own way: asked at connection, known by model, learnt, overruled.

Rule 1: every field is ``None`` while nobody knows; a guess is never stored as knowledge.
Rule 2: later knowledge wins in this order: what the station says of itself, what is known of its model, what was learnt
    by trying, what the operator says.
Rule 3: a station that refuses to answer has a profile all the same: an empty one.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from ocpp_link.dialect import Version
from ocpp_link.errors import OcppError
from ocpp_link.numbers import read_number

logger = logging.getLogger(__name__)

QUIRK_FILE = Path(__file__).with_name("quirks.yaml")

PauseMode = Literal["zero", "min", "remote_stop", "change_availability"]
PhaseSwitching = Literal["none", "idle", "live"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StationProfile:
    """What is known of a station; ``None`` where nothing is."""

    smart_charging: bool | None = None
    rate_units: tuple[str, ...] | None = None
    """``A``, ``W`` or both."""
    max_stack_level: int | None = None
    max_periods: int | None = None
    max_profiles: int | None = None
    connectors: int | None = None
    phase_switching: PhaseSwitching | None = None
    meter_interval_s: float | None = None
    measurands: tuple[str, ...] | None = None
    remote_trigger: bool | None = None
    # What models do their own way:
    station_max_profile: bool | None = None
    tx_default_profile: bool | None = None
    tx_profile: bool | None = None
    profile_kind: Literal["Absolute", "Relative"] | None = None
    station_max_kind: Literal["Absolute", "Relative"] | None = None
    stack_level: int | None = None
    """The one level that works."""
    pause_mode: PauseMode | None = None
    zero_ok: bool | None = None
    number_phases: bool | None = None
    """Whether a profile may name its phases."""
    integer_limit: bool | None = None
    repeat_on_resume: bool | None = None
    reply_delay_s: float | None = None
    min_meter_interval_s: float | None = None
    change_availability: bool | None = None
    wait_for_boot: bool | None = None
    ping: bool | None = None
    probe_measurands: bool | None = None
    fragile_measurands: tuple[str, ...] | None = None

    def overruled_by(self, other: "StationProfile") -> "StationProfile":
        """Return this profile with everything that ``other`` knows.

        Examples
        --------
        >>> asked = StationProfile(rate_units=("A", "W"), max_stack_level=9)
        >>> asked.overruled_by(StationProfile(rate_units=("A",))).rate_units
        ('A',)
        """
        known = {each.name: getattr(other, each.name) for each in fields(other)}
        return replace(self, **{name: value for name, value in known.items() if value is not None})


def profile_from(raw: Mapping[str, Any]) -> StationProfile:
    """Return a profile from plain values, as the quirk file and operators write them.

    Raises
    ------
    ValueError
        If a name is no field of a profile; the message names it.
    """
    names = {each.name for each in fields(StationProfile)}
    unknown = set(raw) - names
    if unknown:
        raise ValueError(f"profile must hold only {', '.join(sorted(names))}; got {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    return StationProfile(**values)


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
        If an entry is none; the message names it.
    """
    from ruamel.yaml import YAML

    entries = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return tuple(_quirk(entry) for entry in entries)


def _quirk(entry: Mapping[str, Any]) -> Quirk:
    try:
        patterns = {key: re.compile(str(entry.get(key, "")), re.IGNORECASE) for key in ("vendor", "model", "firmware")}
        return Quirk(name=str(entry["name"]), profile=profile_from(entry["profile"]), **patterns)
    except (KeyError, re.error, ValueError) as error:
        raise ValueError(f"quirk {entry.get('name', '?')}: {error}") from error


def known_quirks(
    vendor: str, model: str, firmware: str = "", *, quirks: Iterable[Quirk] | None = None
) -> StationProfile:
    """Return what is known of a model; an empty profile for one that is not in the file.

    Examples
    --------
    >>> known_quirks("EV-Box", "Elvi 2.1").stack_level
    0
    """
    for quirk in load_quirks():
        if quirk.matches(vendor.strip(), model.strip(), firmware.strip()):
            return quirk.profile
    return StationProfile()


# --- what a station says of itself ---

KEYS_16 = (
    "SupportedFeatureProfiles",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "MaxChargingProfilesInstalled",
    "ConnectorSwitch3to1PhaseSupported",
    "ACPhaseSwitchingSupported",
    "NumberOfConnectors",
    "MeterValueSampleInterval",
    "MeterValuesSampledData",
)
VARIABLES_2 = (
    ("SmartChargingCtrlr", "Available"),
    ("SmartChargingCtrlr", "Enabled"),
    ("SmartChargingCtrlr", "RateUnit"),
    ("SmartChargingCtrlr", "ProfileStackLevel"),
    ("SmartChargingCtrlr", "PeriodsPerSchedule"),
    ("SmartChargingCtrlr", "Entries"),
    ("SmartChargingCtrlr", "Phases3to1"),
    ("SampledDataCtrlr", "TxUpdatedInterval"),
    ("SampledDataCtrlr", "TxUpdatedMeasurands"),
)


class Asked(Protocol):
    """Who can be asked: a `Station`."""

    @property
    def version(self) -> Version:
        """The OCPP version of the connection."""

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Ask the station."""


async def ask(station: Asked) -> StationProfile:
    """Ask a station what it can do; what it does not say stays unknown.

    A long list of keys is refused by some; then each key is asked for by itself.
    """
    try:
        if station.version == "1.6":
            return from_configuration(await _configuration(station))
        items = [{"component": {"name": component}, "variable": {"name": name}} for component, name in VARIABLES_2]
        return from_variables((await station.call("GetVariables", {"getVariableData": items}))["getVariableResult"])
    except OcppError as error:
        logger.info("station tells nothing of itself: %s", error)
        return StationProfile()


async def _configuration(station: Asked) -> dict[str, str]:
    try:
        return _values(await station.call("GetConfiguration", {"key": list(KEYS_16)}))
    except OcppError:
        found: dict[str, str] = {}
        for key in KEYS_16:
            found |= _values(await station.call("GetConfiguration", {"key": [key]}))
        return found


def _values(answer: Mapping[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in answer.get("configurationKey", ()) if "value" in each}


def from_configuration(values: Mapping[str, str]) -> StationProfile:
    """Read 1.6 configuration keys, in whatever case and quotes stations write them.

    Examples
    --------
    >>> from_configuration({"chargingscheduleallowedchargingrateunit": "'Current', 'Power'"}).rate_units
    ('A', 'W')
    """
    found = {key.casefold(): value for key, value in values.items()}

    def text(key: str) -> str | None:
        return found.get(key.casefold())

    features = _list(text("SupportedFeatureProfiles"))
    folded = None if features is None else {each.casefold() for each in features}
    switching = _boolean(text("ConnectorSwitch3to1PhaseSupported"))
    if switching is None:
        switching = _boolean(text("ACPhaseSwitchingSupported"))
    return StationProfile(
        smart_charging=None if folded is None else "smartcharging" in folded,
        remote_trigger=None if folded is None else "remotetrigger" in folded,
        rate_units=_units(text("ChargingScheduleAllowedChargingRateUnit")),
        max_stack_level=_integer(text("ChargeProfileMaxStackLevel")),
        max_periods=_integer(text("ChargingScheduleMaxPeriods")),
        max_profiles=_integer(text("MaxChargingProfilesInstalled")),
        connectors=_integer(text("NumberOfConnectors")),
        phase_switching=None if switching is None else "idle" if switching else "none",
        meter_interval_s=_number(text("MeterValueSampleInterval")),
        measurands=_list(text("MeterValuesSampledData")),
    )


def from_variables(results: Iterable[Mapping[str, Any]]) -> StationProfile:
    """Read the results of GetVariables (2.x). `Available` that is not reported says nothing (FoxESS)."""
    found = {
        (each["component"]["name"], each["variable"]["name"]): each.get("attributeValue", "")
        for each in results
        if each.get("attributeStatus") == "Accepted"
    }

    def text(component: str, name: str) -> str | None:
        return found.get((component, name))

    smart = "SmartChargingCtrlr"
    switching = _boolean(text(smart, "Phases3to1"))
    available = _boolean(text(smart, "Available"))
    enabled = _boolean(text(smart, "Enabled"))
    return StationProfile(
        smart_charging=False if enabled is False else available,
        rate_units=_units(text(smart, "RateUnit")),
        max_stack_level=_integer(text(smart, "ProfileStackLevel")),
        max_periods=_integer(text(smart, "PeriodsPerSchedule")),
        max_profiles=_integer(text(smart, "Entries")),
        phase_switching=None if switching is None else "idle" if switching else "none",
        meter_interval_s=_number(text("SampledDataCtrlr", "TxUpdatedInterval")),
        measurands=_list(text("SampledDataCtrlr", "TxUpdatedMeasurands")),
        remote_trigger=True,  # every 2.x station has TriggerMessage
    )


def _list(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(part for part in (each.strip(" '\"") for each in text.split(",")) if part)


_UNIT_WORDS = {"a": "A", "current": "A", "w": "W", "power": "W"}


def _units(text: str | None) -> tuple[str, ...] | None:
    parts = _list(text) or ()
    units = {_UNIT_WORDS[part.casefold()] for part in parts if part.casefold() in _UNIT_WORDS}
    return tuple(sorted(units)) or None


def _number(text: str | None) -> float | None:
    return None if text is None else read_number(text)


def _integer(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _boolean(text: str | None) -> bool | None:
    return None if text is None else {"true": True, "false": False}.get(text.strip().casefold())


class ProfileBook:
    """The profiles of a site's stations; what was learnt and what the operator says outlive connections.

    Parameters
    ----------
    overrides
        What the operator says, by station id.
    learnt
        What was learnt before, by station id; see `learnt`.
    """

    def __init__(
        self,
        *,
        overrides: Mapping[str, StationProfile] | None = None,
        learnt: Mapping[str, StationProfile] | None = None,
    ) -> None:
        self._overrides = dict(overrides or {})
        self.learnt: dict[str, StationProfile] = dict(learnt or {})
        """To be stored and handed in again after a restart."""
        self._asked: dict[str, StationProfile] = {}
        self._models: dict[str, StationProfile] = {}

    def booted(self, station_id: str, payload: Mapping[str, Any]) -> None:
        """Take note of a station's nameplate, as its BootNotification has it."""
        plate = payload.get("chargingStation", payload)
        self._models[station_id] = known_quirks(
            plate.get("vendorName", plate.get("chargePointVendor", "")),
            plate.get("model", plate.get("chargePointModel", "")),
            plate.get("firmwareVersion", ""),
        )

    def asked(self, station_id: str, profile: StationProfile) -> None:
        """Take note of what a station says of itself."""
        self._asked[station_id] = profile

    def learn(self, station_id: str, profile: StationProfile) -> None:
        """Take note of what trying has shown."""
        self.learnt[station_id] = self.learnt.get(station_id, StationProfile()).overruled_by(profile)

    def profile(self, station_id: str) -> StationProfile:
        """Return all that is known of a station, the operator's word last."""
        known = StationProfile()
        for source in (self._asked, self._models, self.learnt, self._overrides):
            known = known.overruled_by(source.get(station_id, StationProfile()))
        return known
