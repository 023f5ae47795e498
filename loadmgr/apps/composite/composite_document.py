"""The document that ``loadmgr composite`` reads: a station's state and a list of operations on its profiles.

Every fault is an :class:`InputError` that names the document, the operation and the field; nothing is computed from a
document that has one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loadmgr.bridge.fields import Fields
from loadmgr.bridge.profile_json import OPERATION_MODES, PURPOSES, UNITS, profile_from_json
from loadmgr.bridge.profile_messages import clear_criteria_from_json, first_unit
from loadmgr.composite.clearing import ClearCriteria
from loadmgr.composite.settings import MAX_EVSES, StationSettings
from loadmgr.composite.transaction import StationTransaction
from loadmgr.errors import InputError
from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import ChargingProfile, ChargingSchedule, OcppVersion, RateUnit
from loadmgr.model.units import require_utc

_VERSIONS = {version.value: version for version in OcppVersion}


class Current(Enum):
    """Kind of current of the station's EVSEs."""

    AC = "AC"
    DC = "DC"


_CURRENTS = {current.value: current for current in Current}


class ProfileAction(Enum):
    """What an operation does with a profile."""

    SET = "set"
    START = "start"
    LOAD = "load"


_PLACES = {
    "evses": "station.evses",
    "voltage_v": "defaults.voltage_v",
    "default_phases": "defaults.phases",
    "default_current_a": "defaults.current_a",
    "default_power_w": "defaults.power_w",
}
"""Where a document has what the settings call otherwise."""

_ACTIONS = {action.value: action for action in ProfileAction}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOperation:
    """Install a profile: by the rules, as a remote start's, or as it is."""

    action: ProfileAction
    evse_id: int
    profile: ChargingProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearOperation:
    """Clear profiles."""

    criteria: ClearCriteria


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOperation:
    """List the installed profiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeOperation:
    """Ask for a composite schedule."""

    evse_id: int
    start: datetime
    duration_s: int
    unit: RateUnit


Operation = ProfileOperation | ClearOperation | ListOperation | CompositeOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A station's state and what is done with its profiles, in order."""

    now: datetime
    settings: StationSettings
    transactions: tuple[StationTransaction, ...]
    operations: tuple[Operation, ...]
    offline_since: datetime | None = None
    priority_charging_active: bool = False
    random_delays_s: tuple[int, ...] | None = None
    soc_percent: float | None = None


@dataclass(slots=True)
class _Evses:
    """The highest EVSE that a document mentions: so many has a station that does not say."""

    highest: int = field(default=1)

    def mention(self, evse_id: int) -> int:
        """Note an EVSE and return it."""
        self.highest = max(self.highest, evse_id)
        return evse_id


def read_document(data: object, *, place: str) -> Document:
    """Return the document that ``data`` describes.

    Parameters
    ----------
    data : object
        A parsed JSON object.
    place : str
        Which document, for messages.

    Raises
    ------
    InputError
        With the place, the operation and the field at fault.
    """
    fields = Fields(data, place)
    version = fields.needed_choice("ocpp_version", _VERSIONS)
    now = _instant(fields, "now")
    evses = _Evses()
    transactions = _transactions(fields, version, evses)
    offline_for_s = fields.integer("offline_for_s", minimum=0)
    random_delays_s = None if fields.raw("random_delays") is None else fields.integers("random_delays", minimum=0)
    if random_delays_s and random_delays_s[0] != 0:
        raise InputError(f"{fields.at('random_delays[0]')}: must be 0, got {random_delays_s[0]}")
    soc_percent = fields.number("soc")
    if soc_percent is not None and not 0.0 <= soc_percent <= 100.0:
        raise InputError(f"{fields.at('soc')}: must lie in 0..100 (percent), got {soc_percent:g}")
    priority = fields.flag("priority_charging_active")
    raw_operations = fields.items("operations")
    if raw_operations is None:
        raise InputError(f"{fields.at('operations')}: missing")
    operations = tuple(
        _operation(item, place=f"{place}, operation {number}", version=version, evses=evses)
        for number, item in enumerate(raw_operations, start=1)
    )
    settings = _settings(fields, version, evses)
    fields.close()
    return Document(
        now=now,
        settings=settings,
        transactions=transactions,
        operations=tuple(operation(settings) for operation in operations),
        offline_since=None if offline_for_s is None else now - timedelta(seconds=offline_for_s),
        priority_charging_active=bool(priority),
        random_delays_s=random_delays_s,
        soc_percent=soc_percent,
    )


def fixed_delays(delays_s: tuple[int, ...]) -> Callable[[ChargingSchedule], tuple[int, ...]]:
    """Return a draw of random delays that always gives ``delays_s``, and 0 for periods beyond."""

    def draw(schedule: ChargingSchedule) -> tuple[int, ...]:
        return tuple(delays_s[i] if i < len(delays_s) else 0 for i in range(len(schedule.periods)))

    return draw


def _instant(fields: Fields, key: str) -> datetime:
    fields.needed(key)
    when = fields.time(key, zone_needed=True)
    assert when is not None
    return require_utc(when, name=key)


def _transactions(fields: Fields, version: OcppVersion, evses: _Evses) -> tuple[StationTransaction, ...]:
    out: list[StationTransaction] = []
    for number, item in enumerate(fields.items("transactions") or []):
        inner = Fields(item, fields.at(f"transactions[{number}]"))
        inner.needed("id")
        v16 = version is OcppVersion.V16
        transaction_id = str(inner.needed_integer("id")) if v16 else inner.text("id") or ""
        evse_id = evses.mention(inner.needed_integer("evse_id", minimum=1))
        if any(other.evse_id == evse_id for other in out):
            raise InputError(f"{inner.at('evse_id')}: EVSE {evse_id} has a transaction already")
        out.append(
            StationTransaction(
                evse_id=evse_id, transaction_id=TransactionId(transaction_id), started_at=_instant(inner, "start")
            )
        )
        inner.close()
    return tuple(out)


def _operation(
    data: object, *, place: str, version: OcppVersion, evses: _Evses
) -> Callable[[StationSettings], Operation]:
    """Return the operation, once the station's settings are known (they name the unit that is missing)."""
    fields = Fields(data, place)
    fields.needed("op")
    word = fields.text("op")
    fields.place = f"{place} ({word})"
    if word in _ACTIONS:
        evse_id = fields.needed_integer("evse_id")
        profile = profile_from_json(fields.needed("profile"), version, place=fields.at("profile"))
        operation: Operation = ProfileOperation(action=_ACTIONS[word], evse_id=evses.mention(evse_id), profile=profile)
    elif word == "clear":
        operation = ClearOperation(
            criteria=clear_criteria_from_json(fields.needed("criteria"), version, place=fields.at("criteria"))
        )
    elif word == "list":
        operation = ListOperation()
    elif word == "composite":
        return _composite(fields, evses)
    else:
        raise InputError(f"{fields.at('op')}: must be one of set, start, load, clear, list, composite, got {word!r}")
    fields.close()
    return lambda settings: operation


def _composite(fields: Fields, evses: _Evses) -> Callable[[StationSettings], Operation]:
    evse_id = evses.mention(fields.needed_integer("evse_id"))
    start = _instant(fields, "start")
    duration_s = fields.needed_integer("duration_s", minimum=0)
    unit = fields.choice("unit", UNITS)
    fields.close()
    return lambda settings: CompositeOperation(
        evse_id=evse_id, start=start, duration_s=duration_s, unit=unit or first_unit(settings)
    )


def _settings(fields: Fields, version: OcppVersion, evses: _Evses) -> StationSettings:
    station = Fields(fields.raw("station") or {}, fields.at("station"))
    defaults = Fields(fields.raw("defaults") or {}, fields.at("defaults"))
    evse_count = station.integer("evses", minimum=1)
    flags = {
        name: station.flag(name)
        for name in (
            "supports_dynamic",
            "supports_local_time",
            "supports_randomized_delay",
            "supports_limit_at_soc",
            "supports_evse_sleep",
            "dc_input_phase_control",
            "allow_missing_start",
        )
    }
    voltage_v = defaults.number("voltage_v")
    try:
        settings = StationSettings(
            version=version,
            evses=min(evses.highest, MAX_EVSES) if evse_count is None else evse_count,
            allowed_units=station.choices("allowed_units", UNITS),
            max_stack_level=station.integer("max_stack_level", minimum=0),
            max_periods=station.integer("max_periods", minimum=1),
            max_profiles=station.integer("max_profiles", minimum=0),
            supply_phases=station.integer("supply_phases", minimum=1),
            direct_current=station.choice("current_type", _CURRENTS) is Current.DC,
            ac_phase_switching=station.flag("ac_phase_switching"),
            operation_modes=station.choices("v2x_modes", OPERATION_MODES),
            additional_purposes=station.choices("additional_purposes", PURPOSES[OcppVersion.V21]),
            max_external_constraints_id=station.integer("max_external_constraints_id"),
            evse_hardware=None,
            station_hardware=None,
            time_zone=_zone(station),
            default_current_a=defaults.number("current_a"),
            default_power_w=defaults.number("power_w"),
            default_phases=defaults.integer("phases"),
            voltage_v=230.0 if voltage_v is None else voltage_v,
            **{name: value for name, value in flags.items() if value is not None},
        )
    except ValueError as error:
        name, _, fault = str(error).partition(" ")
        raise InputError(f"{fields.at(_PLACES.get(name, name))}: {fault}") from None
    station.close()
    defaults.close()
    return settings


def _zone(fields: Fields) -> ZoneInfo | None:
    name = fields.text("time_zone")
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f"{fields.at('time_zone')}: not a time zone: {name!r}") from None
