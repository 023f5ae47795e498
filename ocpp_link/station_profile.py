"""What a station can do, and what it does its own way.

Rule 1: every field is ``None`` while nobody knows; a guess is never stored as knowledge.
Rule 2: whatever is read from a file is checked when it is read: a fault names the field and what would be right.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

PauseMode = Literal["zero", "min", "remote_stop", "change_availability"]
PhaseSwitching = Literal["none", "idle", "live"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StationProfile:
    """What is known of a station; ``None`` where nothing is."""

    # What stations say of themselves:
    smart_charging: bool | None = None
    rate_units: tuple[str, ...] | None = None
    """``A``, ``W`` or both."""
    max_stack_level: int | None = None
    max_periods: int | None = None
    max_profiles: int | None = None
    connectors: int | None = None
    phase_switching: PhaseSwitching | None = None
    """Whether it goes from three phases to one: never, before a transaction, or at any time by itself."""
    meter_interval_s: float | None = None
    measurands: tuple[str, ...] | None = None
    remote_trigger: bool | None = None
    # What models do their own way:
    station_max_profile: bool | None = None
    """Whether it follows a ChargePointMaxProfile (2.x: ChargingStationMaxProfile)."""
    tx_default_profile: bool | None = None
    tx_profile: bool | None = None
    transaction_in_profile: bool | None = None
    """Whether a TxProfile names its transaction, as it should; some stations refuse one that does."""
    keeps_durations: bool | None = None
    """Whether a profile ends when its ``duration`` says so; one that does not gets no lease."""
    profile_kind: Literal["Absolute", "Relative"] | None = None
    stack_level: int | None = None
    """The one level that works."""
    pause_mode: PauseMode | None = None
    zero_ok: bool | None = None
    integer_limit: bool | None = None
    """Limits have to be whole numbers."""
    repeat_on_resume: bool | None = None
    """The first limit after a pause is ignored, the same once more is followed."""
    change_availability: bool | None = None
    """Whether it may be taken out of service: some models do not come back."""
    reply_delay_s: float | None = None
    """It drops the connection when StartTransaction is answered sooner [s]."""
    min_meter_interval_s: float | None = None
    """It does not measure more often [s]."""
    fragile_measurands: tuple[str, ...] | None = None
    """Measurands that it must never be asked to sample."""
    probe_measurands: bool | None = None
    """Whether several lists of measurands may be tried; some restart over each."""
    energy_scale: float | None = None
    """Its energies are to be multiplied by this: 1000 where kWh are called Wh."""
    wait_for_boot: bool | None = None
    """It must not be asked to boot: it would again and again."""
    ping: bool | None = None
    """Whether it answers pings."""

    def overruled_by(self, other: "StationProfile") -> "StationProfile":
        """Return this profile with everything that ``other`` knows.

        Examples
        --------
        >>> asked = StationProfile(rate_units=("A", "W"), max_stack_level=9)
        >>> asked.overruled_by(StationProfile(rate_units=("A",))).rate_units
        ('A',)
        """
        return replace(self, **other.known())

    def known(self) -> dict[str, Any]:
        """Return what is known, by field; an empty mapping is an empty profile."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: value for name, value in values if value is not None}


def profile_from(raw: Mapping[str, Any]) -> StationProfile:
    """Return a profile from plain values, as quirk files and operators write them.

    Raises
    ------
    ValueError
        If a name is no field of a profile, or its value is none that the field takes; the message names it.

    Examples
    --------
    >>> profile_from({"rate_units": ["W"], "zero_ok": False}).known()
    {'rate_units': ('W',), 'zero_ok': False}
    >>> profile_from({"zero_ok": "no"})
    Traceback (most recent call last):
    ...
    ValueError: zero_ok must be true or false, got 'no'
    """
    unknown = sorted(set(map(str, raw)) - set(_KINDS))
    if unknown:
        raise ValueError(
            f"{', '.join(unknown)} is no field of a station profile; there are {', '.join(sorted(_KINDS))}"
        )
    values: dict[str, Any] = {}
    for name, given in raw.items():
        wanted, read = _KINDS[name]
        values[name] = read(given)
        if values[name] is None:
            raise ValueError(f"{name} must be {wanted}, got {given!r}")
    return StationProfile(**values)


_Reader = Callable[[Any], Any]
_Kind = tuple[str, _Reader]


def _one_of(*words: str) -> _Kind:
    return "one of " + ", ".join(words), lambda raw: raw if raw in words else None


def _number(raw: Any) -> float | None:
    plain = isinstance(raw, int | float) and not isinstance(raw, bool)
    return float(raw) if plain and math.isfinite(raw) and raw >= 0 else None


def _words(raw: Any) -> tuple[str, ...] | None:
    listed = isinstance(raw, list | tuple) and all(isinstance(each, str) and each for each in raw)
    return tuple(raw) if listed else None


def _units(raw: Any) -> tuple[str, ...] | None:
    words = _words(raw)
    return tuple(sorted(words)) if words and set(words) <= {"A", "W"} else None


_YES_OR_NO: _Kind = ("true or false", lambda raw: raw if isinstance(raw, bool) else None)
_COUNT: _Kind = (
    "a whole number of 0 or more",
    lambda raw: raw if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0 else None,
)
_SECONDS: _Kind = ("a number of seconds of 0 or more", _number)
_LIST: _Kind = ("a list of words", _words)

_KINDS: dict[str, _Kind] = {each.name: _YES_OR_NO for each in fields(StationProfile)} | {
    "rate_units": ("a list of A and W", _units),
    "max_stack_level": _COUNT,
    "max_periods": _COUNT,
    "max_profiles": _COUNT,
    "connectors": _COUNT,
    "phase_switching": _one_of("none", "idle", "live"),
    "meter_interval_s": _SECONDS,
    "measurands": _LIST,
    "profile_kind": _one_of("Absolute", "Relative"),
    "stack_level": _COUNT,
    "pause_mode": _one_of("zero", "min", "remote_stop", "change_availability"),
    "reply_delay_s": _SECONDS,
    "min_meter_interval_s": _SECONDS,
    "fragile_measurands": _LIST,
    "energy_scale": ("a number above 0", lambda raw: _number(raw) or None),
}
