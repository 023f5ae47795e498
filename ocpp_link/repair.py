"""The tolerant reading of what real stations send: named mends, each recorded.

Rule 1: a mend is tried only where the official schema (or JSON itself) found a fault, so a clean message costs nothing.
Rule 2: a mend never invents a fact that control or billing relies on. A time that cannot be read becomes 1970, which
    `meter` and every other reader take for what it is: a clock that is known to be wrong.
Rule 3: the messages that a station would discard for ever, or cannot work without (transactions, boot, status), are
    read with every mend; others only with those that cannot change what was meant.
Rule 4: what no mend covers stays a fault, and the caller refuses the message.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from ocpp_link import schemas
from ocpp_link.dialect import TRANSACTION_ACTIONS, Version
from ocpp_link.numbers import read_number
from ocpp_link.schemas import SchemaFault

_MAX_PASSES = 8
"""A mend can uncover another fault (a number that becomes a text that is too long); deeper chains are not mended."""

NEVER = "1970-01-01T00:00:00Z"
"""Stands for a time that could not be read."""

_VITAL = TRANSACTION_ACTIONS | {"BootNotification", "Heartbeat", "StatusNotification"}

_DESCRIPTIVE = frozenset(
    {
        "additionalInfo",
        "chargeBoxSerialNumber",
        "chargePointModel",
        "chargePointSerialNumber",
        "chargePointVendor",
        "firmwareVersion",
        "iccid",
        "imsi",
        "info",
        "meterSerialNumber",
        "meterType",
        "model",
        "serialNumber",
        "techInfo",
        "vendorErrorCode",
        "vendorId",
        "vendorName",
    }
)
"""Texts for people: shortening one loses nothing that anything depends on. Identifiers are never shortened."""

_MISSING = {
    "chargePointModel": "",
    "chargePointVendor": "",
    "errorCode": "NoError",
    "model": "",
    "reason": "Unknown",
    "timestamp": NEVER,
    "vendorName": "",
}
"""What a vital message is read with where a required field is missing."""


class Mended(NamedTuple):
    """A payload after mending."""

    payload: Any
    mends: tuple[str, ...]
    """Names of the mends that were applied, in order."""
    fault: SchemaFault | None
    """What is still wrong."""


class _Place(NamedTuple):
    """The container that holds the faulty value, and its key there."""

    container: Any
    key: Any


def mend(version: Version, action: str, payload: Any, *, response: bool) -> Mended:
    """Mend a payload in place as far as the named mends reach.

    Examples
    --------
    >>> mend("1.6", "Heartbeat", None, response=False)
    Mended(payload={}, mends=('null_payload',), fault=None)
    """
    mends: list[str] = []
    if payload is None:
        payload = {}
        mends.append("null_payload")
    table = _VITAL_MENDS if action in _VITAL and not response else _HARMLESS_MENDS
    for _ in range(_MAX_PASSES):
        found = list(schemas.faults(version, action, payload, response=response))
        if action in TRANSACTION_ACTIONS:
            found = [fault for fault in found if not _is_empty_list(fault, mends)]
        if not found:
            return Mended(payload, tuple(mends), None)
        # Later list items first: removing one must not move the others that are still to be mended.
        applied = [_mend_one(payload, fault, table) for fault in reversed(found)]
        mends.extend(name for name in applied if name is not None)
        if None in applied:
            return Mended(payload, tuple(mends), found[len(found) - 1 - applied.index(None)])
    return Mended(payload, tuple(mends), schemas.first_fault(version, action, payload, response=response))


def _is_empty_list(fault: SchemaFault, mends: list[str]) -> bool:
    """Take a required but empty list of a transaction message as it is: it says nothing, and that is no harm."""
    if fault.rule != "minItems" or fault.value != []:
        return False
    if "empty_list_kept" not in mends:
        mends.append("empty_list_kept")
    return True


_Attempt = Callable[[Any, SchemaFault], str | None]
_Table = dict[str, tuple[_Attempt, ...]]


def _mend_one(payload: Any, fault: SchemaFault, table: _Table) -> str | None:
    for attempt in table.get(fault.rule, ()):
        name = attempt(payload, fault)
        if name is not None:
            return name
    return None


def _find(payload: Any, path: tuple[str | int, ...]) -> Any:
    """Return what lies at a path; ``None`` if an earlier mend of the same pass removed it."""
    for step in path:
        try:
            payload = payload[step]
        except (KeyError, IndexError, TypeError):
            return None
    return payload


def _place(payload: Any, path: tuple[str | int, ...]) -> _Place | None:
    if not path:
        return None
    container, key = _find(payload, path[:-1]), path[-1]
    held = key in container if isinstance(container, dict) else isinstance(container, list) and key < len(container)  # type: ignore[operator]
    return _Place(container, key) if held else None


def _replace(payload: Any, fault: SchemaFault, value: Any, name: str) -> str | None:
    place = _place(payload, fault.path)
    if place is None:
        return None
    place.container[place.key] = value
    return name


def _remove(payload: Any, path: tuple[str | int, ...], name: str) -> str | None:
    place = _place(payload, path)
    if place is None:
        return None
    del place.container[place.key]
    return name


def _drop_null(payload: Any, fault: SchemaFault) -> str | None:
    """Read ``null`` as absent: optional fields are left out, but several peers write null (SteVe)."""
    return _remove(payload, fault.path, "null_dropped") if fault.value is None else None


def _drop_empty(payload: Any, fault: SchemaFault) -> str | None:
    """Read an empty text as absent where a number, an enumeration or a time is demanded."""
    return _remove(payload, fault.path, "empty_text_dropped") if fault.value == "" else None


_LARGEST_WHOLE = 2**53
"""Larger floats are whole by accident, and no integer of OCPP comes near; JSON writers refuse to write some."""


def _number_to_text(payload: Any, fault: SchemaFault) -> str | None:
    """Read a JSON number where 1.6 demands a text: sampled values, mostly."""
    if fault.limit != ["string"] or type(fault.value) not in (int, float):
        return None
    return _replace(payload, fault, str(fault.value), "number_as_text")


def _text_to_number(payload: Any, fault: SchemaFault) -> str | None:
    """Read a text where a number is demanded, with a decimal comma and blanks around it."""
    if not isinstance(fault.value, str) or not set(fault.limit) & {"number", "integer"}:
        return None
    number = read_number(fault.value)
    if number is None:
        return None
    whole = number.is_integer() and abs(number) <= _LARGEST_WHOLE
    return _replace(payload, fault, int(number) if whole else number, "text_as_number")


def _whole_float(payload: Any, fault: SchemaFault) -> str | None:
    """Read 3.0 where an integer is demanded."""
    if fault.limit != ["integer"] or not isinstance(fault.value, float) or not fault.value.is_integer():
        return None
    if abs(fault.value) > _LARGEST_WHOLE:
        return None
    return _replace(payload, fault, int(fault.value), "whole_float_as_integer")


def _fraction(payload: Any, fault: SchemaFault) -> str | None:
    """Round a register reading that 1.6 demands in whole Wh."""
    if fault.limit != ["integer"] or not isinstance(fault.value, float) or abs(fault.value) > _LARGEST_WHOLE:
        return None
    if fault.path[-1:] not in (("meterStart",), ("meterStop",)):
        return None
    return _replace(payload, fault, round(fault.value), "register_rounded")


def _text_to_boolean(payload: Any, fault: SchemaFault) -> str | None:
    """Read ``"true"`` where true is demanded."""
    words = {"true": True, "false": False}
    if fault.limit != ["boolean"] or not isinstance(fault.value, str) or fault.value.strip().lower() not in words:
        return None
    return _replace(payload, fault, words[fault.value.strip().lower()], "text_as_boolean")


def _single_to_list(payload: Any, fault: SchemaFault) -> str | None:
    """Read a lone object where a list is demanded."""
    if fault.limit != ["array"] or not isinstance(fault.value, dict):
        return None
    return _replace(payload, fault, [fault.value], "single_as_list")


def _drop_unexpected(payload: Any, fault: SchemaFault) -> str | None:
    """Ignore fields that the schema does not know: vendors add some."""
    target = _find(payload, fault.path)
    if not isinstance(target, dict):
        return None
    for name in fault.limit:
        target.pop(name, None)
    return "unexpected_field_dropped"


def _enum_by_case(payload: Any, fault: SchemaFault) -> str | None:
    """Read an enumeration value that is right but for case or blanks."""
    if not isinstance(fault.value, str):
        return None
    wanted = fault.value.strip().casefold()
    match = next((option for option in fault.limit if option.casefold() == wanted), None)
    return None if match is None else _replace(payload, fault, match, "enum_case")


def _enum_other(payload: Any, fault: SchemaFault) -> str | None:
    """Read an unknown value as the enumeration's own word for it: ``Other``, ``OtherError``."""
    match = next((option for option in fault.limit if option in ("Other", "OtherError")), None)
    return None if match is None else _replace(payload, fault, match, "unknown_enum_as_other")


def _drop_sample(payload: Any, fault: SchemaFault) -> str | None:
    """Drop a sampled value that cannot be read (a vendor's measurand, unit or phase); the others stay."""
    if "sampledValue" not in fault.path:
        return None
    cut = fault.path.index("sampledValue") + 2
    if len(fault.path) < cut:
        return None
    return _remove(payload, fault.path[:cut], "unreadable_sample_dropped")


def _shorten(payload: Any, fault: SchemaFault) -> str | None:
    """Shorten a text for people that is longer than the schema allows."""
    if fault.path[-1:] == () or fault.path[-1] not in _DESCRIPTIVE or not isinstance(fault.value, str):
        return None
    return _replace(payload, fault, fault.value[: fault.limit], "text_shortened")


def _read_time(payload: Any, fault: SchemaFault) -> str | None:
    """Read a time without zone, with a blank for the T, or with a zone without colon."""
    if fault.limit != "date-time" or not isinstance(fault.value, str):
        return None
    try:
        when = datetime.fromisoformat(fault.value.strip())
    except ValueError:
        return None
    if when.tzinfo is None:
        return _replace(payload, fault, when.isoformat() + "Z", "time_without_zone")
    return _replace(payload, fault, when.isoformat(), "time_format")


def _no_time(payload: Any, fault: SchemaFault) -> str | None:
    """Put 1970 for a time that cannot be read at all."""
    return _replace(payload, fault, NEVER, "unreadable_time") if fault.limit == "date-time" else None


def _add_missing(payload: Any, fault: SchemaFault) -> str | None:
    """Fill in a required field that has a neutral value."""
    target = _find(payload, fault.path)
    if fault.limit not in _MISSING or not isinstance(target, dict):
        return None
    target[fault.limit] = _MISSING[fault.limit]
    return f"missing_{fault.limit}"


_HARMLESS_MENDS: _Table = {
    "type": (_drop_null, _text_to_number, _whole_float, _text_to_boolean, _single_to_list),
    "enum": (_drop_null, _enum_by_case),
    "format": (_drop_null, _read_time),
}

_VITAL_MENDS: _Table = {
    "type": (
        _drop_null,
        _number_to_text,
        _text_to_number,
        _whole_float,
        _fraction,
        _text_to_boolean,
        _single_to_list,
        _drop_empty,
        _drop_sample,
    ),
    "enum": (_drop_null, _enum_by_case, _drop_empty, _enum_other, _drop_sample),
    "additionalProperties": (_drop_unexpected,),
    "maxLength": (_shorten,),
    "format": (_read_time, _no_time),
    "required": (_drop_sample, _add_missing),
}
