"""The official JSON schemas of 1.6, 2.0.1 and 2.1, compiled on first use, and what a breakage means.

The schemas are data of the `ocpp` package, found without importing it. A fault becomes the error code that the version
prescribes (2.x part 4 section 4.3; 1.6J section 4.2.3) with details that name the field, the rule and the value.
"""

from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ocpp_link.dialect import MAX_ERROR_DESCRIPTION_LENGTH, Fault, Version, actions

_FOLDERS: dict[Version, str] = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}

_FAULT_OF_RULE = {
    "type": Fault.TYPE,
    "required": Fault.OCCURRENCE,
    "minItems": Fault.OCCURRENCE,
    "maxItems": Fault.OCCURRENCE,
    "enum": Fault.PROPERTY,
    "const": Fault.PROPERTY,
    "format": Fault.PROPERTY,
    "maxLength": Fault.PROPERTY,
    "maximum": Fault.PROPERTY,
    "minLength": Fault.PROPERTY,
    "minimum": Fault.PROPERTY,
    "multipleOf": Fault.PROPERTY,
    "pattern": Fault.PROPERTY,
    "uniqueItems": Fault.PROPERTY,
}
_MAX_SHOWN_VALUE = 200


class SchemaFault(NamedTuple):
    """What is wrong with a payload."""

    fault: Fault
    path: tuple[str | int, ...]
    rule: str
    """The schema keyword that is broken."""
    limit: Any
    """What the keyword demands: the enum's values, the maximum, the missing field."""
    value: Any
    """What was found there."""
    description: str

    @property
    def field(self) -> str:
        """Return the place in the payload as ``meterValue[0].timestamp``; the payload itself is ``payload``."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.lstrip(".") or "payload"

    def details(self) -> dict[str, str]:
        """Return the ``errorDetails`` for the peer."""
        try:
            shown = orjson.dumps(self.value, default=repr).decode()
        except TypeError:  # what JSON cannot say, such as an integer beyond 64 bits
            shown = repr(self.value)
        if len(shown) > _MAX_SHOWN_VALUE:
            shown = shown[:_MAX_SHOWN_VALUE] + "..."
        return {"field": self.field, "rule": f"{self.rule}: {_shown_limit(self.limit)}", "value": shown}


def _shown_limit(limit: Any) -> str:
    return ", ".join(map(str, limit)) if isinstance(limit, list) else str(limit)


@cache
def schema_folder(version: Version) -> Path:
    """Return where the schema files of a version lie.

    Raises
    ------
    ModuleNotFoundError
        If the `ocpp` package, whose data they are, is not installed.
    """
    spec = find_spec("ocpp")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package `ocpp` carries the OCPP schemas and is not installed", name="ocpp")
    return Path(spec.origin).parent / _FOLDERS[version] / "schemas"


def load_schema(version: Version, action: str, *, response: bool) -> dict[str, Any]:
    """Read the schema of a request or response as the OCA published it."""
    bare = version == "1.6" or not actions(version)[action].has_response
    suffix = "Response" if response else "" if bare else "Request"
    schema: dict[str, Any] = orjson.loads((schema_folder(version) / f"{action}{suffix}.json").read_bytes())
    return schema


@cache
def _request_validator(version: Version, action: str) -> Any:
    return _compiled(load_schema(version, action, response=False))


@cache
def _response_validator(version: Version, action: str) -> Any:
    return _compiled(load_schema(version, action, response=True))


def _compiled(schema: dict[str, Any]) -> Any:
    import jsonschema_rs  # not before a message has to be checked

    return jsonschema_rs.validator_for(schema, validate_formats=True)


def _validator(version: Version, action: str, *, response: bool) -> Any:
    return (_response_validator if response else _request_validator)(version, action)


def is_valid_request(version: Version, action: str, payload: Any) -> bool:
    """Tell whether a request passes its schema."""
    return request_check(version, action)(payload)


@cache
def request_check(version: Version, action: str) -> Callable[[Any], bool]:
    """Return what tells whether a request passes its schema: the quick question of the hot path."""
    check: Callable[[Any], bool] = _request_validator(version, action).is_valid
    return check


@cache
def response_check(version: Version, action: str) -> Callable[[Any], bool]:
    """Return what tells whether a response passes its schema."""
    check: Callable[[Any], bool] = _response_validator(version, action).is_valid
    return check


def faults(version: Version, action: str, payload: Any, *, response: bool) -> Iterator[SchemaFault]:
    """Yield what is wrong with a payload, nothing if it is valid.

    Examples
    --------
    >>> next(faults("1.6", "Authorize", {}, response=False)).details()
    {'field': 'payload', 'rule': 'required: idTag', 'value': '{}'}
    """
    try:
        for error in _validator(version, action, response=response).iter_errors(payload):
            yield _fault(error)
    except ValueError as error:  # the validator's own recursion limit
        yield SchemaFault(Fault.FORMAT, (), "depth", "", None, _ascii(str(error)))


def first_fault(version: Version, action: str, payload: Any, *, response: bool) -> SchemaFault | None:
    """Return one thing that is wrong with a payload; ``None`` for a valid one."""
    try:
        if (response_check if response else request_check)(version, action)(payload):
            return None
    except ValueError as error:  # a payload of ours that holds something JSON has no form for
        return SchemaFault(Fault.FORMAT, (), "type", "JSON", None, _ascii(str(error)))
    return next(faults(version, action, payload, response=response), None)


def _fault(error: Any) -> SchemaFault:
    rule: str = error.kind.name
    path = tuple(error.instance_path)
    fault = _FAULT_OF_RULE.get(rule, Fault.FORMAT)
    if rule == "type" and not path:
        fault = Fault.FORMAT  # the payload is no object at all
    place = "" if not path else "at " + ".".join(map(str, path)) + ": "
    return SchemaFault(fault, path, rule, error.kind.value, error.instance, _ascii(place + error.message))


def _ascii(text: str) -> str:
    """Return text for an error description: ASCII, at most 255 characters."""
    return text.encode("ascii", "backslashreplace").decode()[:MAX_ERROR_DESCRIPTION_LENGTH]
