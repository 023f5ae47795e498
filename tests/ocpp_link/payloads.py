"""Payloads made from the official schemas: the smallest, the fullest, and every one that breaks a single rule."""

import copy
from collections.abc import Iterator
from typing import Any

from ocpp_link import schemas
from ocpp_link.dialect import Fault, Version

Json = Any


def _resolve(node: Json, root: Json) -> Json:
    while "$ref" in node:
        node = root["definitions"][node["$ref"].rsplit("/", 1)[1]]
    return node


def example(version: Version, action: str, *, response: bool, full: bool) -> dict[str, Any]:
    """Return a valid payload: with every field (``full``) or with the required ones."""
    root = schemas.load_schema(version, action, response=response)
    made: dict[str, Any] = _example(root, root, full=full, depth=0)
    return made


def _example(node: Json, root: Json, *, full: bool, depth: int) -> Json:
    node = _resolve(node, root)
    if "enum" in node:
        return node["enum"][0]
    kind = node.get("type")
    if kind == "object" or "properties" in node:
        wanted = set(node.get("required", ()))
        return {
            name: _example(part, root, full=full, depth=depth + 1)
            for name, part in node.get("properties", {}).items()
            if name in wanted or (full and depth < 6 and name != "customData")
        }
    if kind == "array":
        return [_example(node["items"], root, full=full, depth=depth + 1)] * max(1, node.get("minItems", 1))
    if kind == "string":
        texts = {"date-time": "2024-01-17T12:00:00Z", "uri": "https://example.org/"}
        return texts.get(node.get("format"), "x")[: node.get("maxLength", 99)]
    if kind in ("integer", "number"):
        return min(max(1, int(node.get("minimum", 1))), int(node.get("maximum", 1_000_000)))
    return {"boolean": True}.get(kind, "x")


def mutations(version: Version, action: str, *, response: bool) -> Iterator[tuple[str, Json, Fault]]:
    """Yield payloads that break one rule each: what was done, the payload, the fault."""
    root = schemas.load_schema(version, action, response=response)
    valid = example(version, action, response=response, full=True)
    for path, node, required in _places(root, root, valid, ()):
        place = ".".join(map(str, path)) or "payload"
        for text, value, fault in _broken(node):
            yield f"{place}: {text}", _with(valid, path, value), fault
        if required:
            yield f"{place}: missing", _without(valid, path), Fault.OCCURRENCE
        if node.get("additionalProperties") is False and "properties" in node:
            extra = {**_at(valid, path), "noSuchField": 1}
            yield f"{place}: extra field", _with(valid, path, extra), Fault.FORMAT


def _broken(node: Json) -> Iterator[tuple[str, Json, Fault]]:
    kind = node.get("type")
    if "enum" in node:
        yield "not in enum", "NoSuchValue", Fault.PROPERTY
    elif kind == "string":
        yield "number for text", 5, Fault.TYPE
        if "maxLength" in node:
            yield "too long", "x" * (node["maxLength"] + 1), Fault.PROPERTY
        if "format" in node:
            yield "no such time", "yesterday ^", Fault.PROPERTY
    elif kind in ("integer", "number"):
        yield "text for number", "five", Fault.TYPE
        yield from _out_of_range(node)
    elif kind == "array":
        yield "text for list", "x", Fault.TYPE
        if node.get("minItems"):
            yield "empty list", [], Fault.OCCURRENCE


def _out_of_range(node: Json) -> Iterator[tuple[str, Json, Fault]]:
    if "minimum" in node:
        yield "too small", node["minimum"] - 1, Fault.PROPERTY
    if "maximum" in node:
        yield "too large", node["maximum"] + 1, Fault.PROPERTY
    if "multipleOf" in node:
        yield "between steps", 1.05, Fault.PROPERTY


def _places(node: Json, root: Json, value: Json, path: tuple[Any, ...], *, required: bool = False) -> Iterator[Any]:
    node = _resolve(node, root)
    yield path, node, required
    if isinstance(value, dict):
        for name, part in node.get("properties", {}).items():
            if name in value:
                wanted = name in node.get("required", ())
                yield from _places(part, root, value[name], (*path, name), required=wanted)
    elif isinstance(value, list):
        yield from _places(node["items"], root, value[0], (*path, 0))


def _at(payload: Json, path: tuple[Any, ...]) -> Json:
    for step in path:
        payload = payload[step]
    return payload


def _with(payload: Json, path: tuple[Any, ...], value: Json) -> Json:
    if not path:
        return value
    changed = copy.deepcopy(payload)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def _without(payload: Json, path: tuple[Any, ...]) -> Json:
    changed = copy.deepcopy(payload)
    del _at(changed, path[:-1])[path[-1]]
    return changed
