"""``loadmgr messages``: the wire log of stations, and the catalogue of every OCPP action."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from loadmgr.errors import InputError

if TYPE_CHECKING:
    from ocpp_link.dialect import Action, Version
    from ocpp_link.wirelog import WireRecord

DEFAULT_LOG = Path("messages.jsonl")
_POLL_S = 0.3
_BOUNDS = ("format", "maxLength", "minimum", "maximum", "multipleOf")


def messages(  # noqa: PLR0913 - one option each
    action: Annotated[str | None, typer.Argument(metavar="[ACTION]", help="Only this action.")] = None,
    *,
    catalogue: Annotated[bool, typer.Option("--catalogue", help="Print what OCPP has, not what was said.")] = False,
    ocpp: Annotated[str | None, typer.Option("--ocpp", help="Only this version: 1.6, 2.0.1 or 2.1.")] = None,
    log: Annotated[Path, typer.Option("--log", help="The wire log to read.")] = DEFAULT_LOG,
    station: Annotated[str | None, typer.Option("--station", help="Only this station.")] = None,
    peer: Annotated[
        str | None, typer.Option("--peer", help="Only with `station`s, or with the `csms` above a Local Controller.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as messages come.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what stations and controller said to each other, or the catalogue of OCPP's messages."""
    if catalogue:
        for line in _catalogue(action, ocpp, as_json=as_json):
            typer.echo(line)
        return
    if peer not in (None, "station", "csms"):
        raise InputError(f"--peer must be station or csms, got {peer!r}")
    for record in _records(log, follow=follow):
        if station in (None, record.station) and action in (None, record.action) and peer in (None, record.peer):
            typer.echo(json.dumps(record._asdict() | {"at": record.at.isoformat()}) if as_json else _shown(record))


def _records(path: Path, *, follow: bool) -> Iterator["WireRecord"]:
    """Read a log from its oldest file on, and go on where it goes on."""
    from ocpp_link.wirelog import files_of

    if not path.exists():
        raise InputError(f"{path}: there is no such log; `loadmgr run SITE --wire-log {path}` writes one")
    for each in files_of(path)[:-1]:
        with each.open("rb") as file:
            yield from _whole_lines(each, file, first=1)
    while True:
        with path.open("rb") as file:
            number = 1
            while True:
                put_aside = follow and _put_aside(path, file)  # asked first: what was written before is read below
                for record in _whole_lines(path, file, first=number):
                    number += 1
                    yield record
                if put_aside:
                    break
                if not follow:
                    return
                time.sleep(_POLL_S)


def _whole_lines(path: Path, file: BinaryIO, *, first: int) -> Iterator["WireRecord"]:
    """Read every line that is written to its end; a last one that is still being written stays for the next time."""
    from ocpp_link.wirelog import read_line

    number = first
    while (line := file.readline()).endswith(b"\n"):
        try:
            yield read_line(line.decode())
        except ValueError as error:
            raise InputError(f"{path}: line {number}: {error}") from error
        number += 1
    file.seek(-len(line), os.SEEK_CUR)


def _put_aside(path: Path, file: BinaryIO) -> bool:
    """Return whether the log goes on in another file."""
    try:
        return not os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False  # between two files: the next one comes at once


def _shown(record: "WireRecord") -> str:
    arrow = "<" if record.direction == "in" else ">"
    took = "" if record.took_s is None else f" {record.took_s * 1000:.0f} ms"
    said = " ".join(filter(None, (record.action or "?", record.kind, record.outcome)))
    who = f"{record.station} CSMS" if record.peer == "csms" else record.station
    return f"{record.at:%Y-%m-%d %H:%M:%S.%f} {who} {arrow} {said}{took}  {record.text}"


def _catalogue(action: str | None, ocpp: str | None, *, as_json: bool) -> Iterator[str]:
    from difflib import get_close_matches

    from ocpp_link.dialect import VERSIONS, actions

    wanted = [version for version in VERSIONS if ocpp in (None, version)]
    if not wanted:
        raise InputError(f"--ocpp must be one of {', '.join(VERSIONS)}, got {ocpp}")
    rows = [row for version in wanted for row in actions(version).values() if action in (None, row.name)]
    if not rows:
        names = dict.fromkeys(name for version in wanted for name in actions(version))
        alike = [name for name in names if name.casefold() == str(action).casefold()]
        alike = alike or get_close_matches(str(action), names, n=3)
        meant = f"; there is {', '.join(alike)}" if alike else ""
        raise InputError(f"OCPP {' / '.join(wanted)} has no action {action!r}{meant}")
    for row in rows:
        if as_json:
            fields = {kind: _fields(row.version, row, response=kind == "response") for kind in _kinds(row)}
            yield json.dumps(
                {"version": row.version, "action": row.name, "block": row.block, "direction": _direction(row)} | fields
            )
            continue
        yield f"{row.version:6}{row.name:36}{_direction(row):18}{row.block}"
        if action is not None:
            yield from _field_lines(row)


def _kinds(row: "Action") -> tuple[str, ...]:
    return ("request", "response") if row.has_response else ("request",)


def _direction(row: "Action") -> str:
    if row.from_station and row.from_csms:
        return "both ways"
    return "station -> CSMS" if row.from_station else "CSMS -> station"


def _field_lines(row: "Action") -> Iterator[str]:
    for kind in _kinds(row):
        yield f"      {kind}"
        fields = _fields(row.version, row, response=kind == "response")
        width = max(map(len, fields), default=0) + 2
        yield from (f"        {name:{width}}{what}" for name, what in fields.items())


def _fields(version: "Version", row: "Action", *, response: bool) -> dict[str, str]:
    """Return every field of a message by its path: type, bounds, and whether it must be there."""
    from ocpp_link.schemas import load_schema

    root = load_schema(version, row.name, response=response)
    return dict(_walk(root, root, ""))


def _walk(node: dict[str, Any], root: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, part in node.get("properties", {}).items():
        if name == "customData":
            continue
        place = f"{path}.{name}" if path else name
        inner = _resolved(part, root)
        listed = inner.get("type") == "array"
        item = _resolved(inner["items"], root) if listed else inner
        needed = "" if name in node.get("required", ()) else ", optional"
        yield place, f"{'list of ' if listed else ''}{_kind(item)}{needed}"
        yield from _walk(item, root, place + ("[]" if listed else ""))


def _resolved(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = root["definitions"][node["$ref"].rsplit("/", 1)[1]]
    return node


def _kind(node: dict[str, Any]) -> str:
    if "enum" in node:
        return " | ".join(map(str, node["enum"]))
    bounds = ", ".join(f"{rule} {node[rule]}" for rule in _BOUNDS if rule in node)
    return f"{node.get('type', 'any')} ({bounds})" if bounds else str(node.get("type", "any"))
