"""Limits from outside in a file that another program writes: JSON or CSV, watched by its time of change.

Rules
-----
1. The writer replaces the file as a whole (writes beside it and renames); what does not parse is no limit and no word
   of life: the last one holds until its source counts as silent.
2. Every change of the file, a mere touch too, is a word of life. What it no longer names is taken away. A file that was
   last changed longer ago than the heartbeat is none when it is first read: after a restart it lifts no silence.
3. A file that cannot be used is a fault with file, place and field for as long as it stays so.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadmgr.control.outside.outside import LimitChanged
from loadmgr.errors import InputError
from loadmgr.feeds.dead_man import DeadMan, lower, lower_phases
from loadmgr.model.ids import CircuitId
from loadmgr.model.topology import PhaseLimits

KEYS = frozenset({"circuit", "limit_a", "limit_w", "until", "vehicles_only"})
PHASES = ("L1", "L2", "L3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One limit as a file says it; both limits ``None`` says that there is none."""

    circuit: CircuitId
    limit_a: PhaseLimits | None = None
    limit_w: float | None = None
    until: datetime | None = None
    vehicles_only: bool = False


def lowered(told: Told, dead_man: DeadMan) -> Told:
    """Return what may be old as it may count: on the dead man's circuit, the lower of it and what silence brings."""
    if told.circuit != dead_man.circuit:
        return told
    limit_a = lower_phases(told.limit_a, dead_man.silent_limit_a)
    return replace(told, limit_a=limit_a, limit_w=lower(told.limit_w, dead_man.silent_limit_w))


class LimitFile:
    """A file of limits.

    Parameters
    ----------
    path : Path
        ``.csv``, or JSON: a list of limits.
    dead_man : DeadMan
        Whose circuit stands for limits that name none, and what holds when the file stands still.
    remembered : bool
        What the file last said is known: its heartbeat counts from there, and no first word takes that back.
    """

    def __init__(self, path: Path, dead_man: DeadMan, *, remembered: bool = False) -> None:
        self.id = dead_man.source
        self._path = path
        self._dead_man = dead_man
        self._words = LimitWords(dead_man)
        self._seen: tuple[int, int, int] | None = None
        self._fault: str | None = None
        self._began = self._remembered = remembered

    def poll(self, now: datetime) -> list[LimitChanged]:
        """Return what the file says if it changed since the last poll.

        Raises
        ------
        InputError
            If it cannot be used; the next poll goes on.
        """
        first = [] if self._began else self._dead_man.begin(now)
        self._began = True
        try:
            news = self._read(now)
        except InputError:
            if first:
                return first  # before anything was heard the dead man comes first; the next poll tells the fault
            raise
        return first + news

    def _read(self, now: datetime) -> list[LimitChanged]:
        try:
            status = self._path.stat()
        except OSError as fault:  # what it said holds until the dead man decides
            raise InputError(
                f"{self._path}: cannot be read: {fault.strerror}; write one that names no limit where there is none"
            ) from None
        mark = (status.st_mtime_ns, status.st_size, status.st_ino)
        if mark == self._seen:
            if self._fault is not None:
                raise InputError(self._fault)
            return []
        is_old = self._seen is None and self._is_old(status.st_mtime, now)
        self._seen, self._fault = mark, None
        try:
            told = read_limits(self._path, default_circuit=self._dead_man.circuit)
        except InputError as fault:
            self._fault = str(fault)
            raise
        if not is_old:
            return self._words.of(told, now)
        words = self._words.of([lowered(each, self._dead_man) for each in told], now)
        return [word for word in words if not (self._remembered and word.circuit == self._dead_man.circuit)]

    def _is_old(self, changed_s: float, now: datetime) -> bool:
        heartbeat_s = self._dead_man.heartbeat_s
        return heartbeat_s is not None and now.timestamp() - changed_s > heartbeat_s


class LimitWords:
    """What a source names as words; what it no longer names is taken away.

    Parameters
    ----------
    dead_man : DeadMan
        Whose circuit is always spoken of.
    """

    def __init__(self, dead_man: DeadMan) -> None:
        self._dead_man = dead_man
        self._named: frozenset[CircuitId] = frozenset()

    def of(self, told: Sequence[Told], now: datetime) -> list[LimitChanged]:
        """Return the words for the limits that a source names now."""
        named = frozenset(t.circuit for t in told)
        mine = self._dead_man.circuit
        gone = [Told(circuit=c) for c in sorted(self._named - named - {mine})]
        self._named = named
        own = next((t for t in told if t.circuit == mine), Told(circuit=mine))
        words = [*(t for t in told if t.circuit != mine), *gone]
        return [self._dead_man.word(_as_word(t), now) for t in (own, *words)]


def _as_word(told: Told) -> dict[str, Any]:
    return {
        "circuit": told.circuit,
        "limit_a": told.limit_a,
        "limit_w": told.limit_w,
        "until": told.until,
        "vehicles_only": told.vehicles_only,
    }


def read_limits(path: Path, *, default_circuit: CircuitId) -> tuple[Told, ...]:
    """Return the limits that a file names.

    Raises
    ------
    InputError
        With file, place and field.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"{path}: cannot be read: {fault}") from fault
    rows = _csv_rows(path, text) if path.suffix.casefold() == ".csv" else _json_rows(path, text)
    return _told(str(path), rows, default_circuit)


def limits_in(document: Any, *, place: str, default_circuit: CircuitId) -> tuple[Told, ...]:
    """Return the limits that a JSON document names.

    Raises
    ------
    InputError
        With the place and the field.
    """
    return _told(place, _rows_of(place, document), default_circuit)


def _told(place: str, rows: Iterable[tuple[str, Mapping[str, Any]]], default_circuit: CircuitId) -> tuple[Told, ...]:
    told = tuple(limit_of(f"{place}: {where}", row, default_circuit) for where, row in rows)
    named = [t.circuit for t in told]
    twice = next((c for c in named if named.count(c) > 1), None)
    if twice is not None:
        raise InputError(f"{place}: circuit {twice} is limited twice: write one limit for each circuit")
    return told


def _csv_rows(path: Path, text: str) -> list[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text))
    columns = reader.fieldnames or []
    if not {"limit_a", "limit_w"} & set(columns):
        raise InputError(f"{path}: line 1: the header needs limit_a or limit_w, got {', '.join(columns) or 'nothing'}")
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for row in reader:
        if None in row:
            raise InputError(f"{path}: line {reader.line_num}: more values than columns")
        rows.append((f"line {reader.line_num}", {k: v.strip() for k, v in row.items() if v is not None and v.strip()}))
    return rows


def _json_rows(path: Path, text: str) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        document = json.loads(text)
    except ValueError as fault:
        raise InputError(f"{path}: is not JSON: {fault}") from fault
    return _rows_of(str(path), document)


def _rows_of(place: str, document: Any) -> list[tuple[str, Mapping[str, Any]]]:
    if isinstance(document, dict) and "limits" in document:
        document = document["limits"]
    listed = document if isinstance(document, list) else [document]
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for index, row in enumerate(listed, start=1):
        if not isinstance(row, dict):
            raise InputError(f'{place}: limit {index}: must be an object such as {{"limit_a": 20}}, got {row!r}')
        rows.append((f"limit {index}", {k: v for k, v in row.items() if v is not None}))
    return rows


def limit_of(place: str, row: Mapping[str, Any], default_circuit: CircuitId) -> Told:
    """Return a limit from its fields.

    Raises
    ------
    InputError
        With the place and the field.
    """
    unknown = sorted(set(row) - KEYS)
    if unknown:
        raise InputError(f"{place}: field {unknown[0]} is not known: write {', '.join(sorted(KEYS))}")
    return Told(
        circuit=CircuitId(str(row.get("circuit", default_circuit))),
        limit_a=_field(place, row, "limit_a", _currents_a),
        limit_w=_field(place, row, "limit_w", _not_negative),
        until=_field(place, row, "until", _instant),
        vehicles_only=bool(_field(place, row, "vehicles_only", _truth)),
    )


def _field(place: str, row: Mapping[str, Any], name: str, parse: Callable[[Any], Any]) -> Any:
    if name not in row:
        return None
    try:
        return parse(row[name])
    except (ValueError, TypeError, OverflowError) as fault:
        raise InputError(f"{place}: field {name}: {fault}") from fault


def _not_negative(value: Any) -> float:
    number = -1.0 if isinstance(value, bool) else float(value)
    if not 0.0 <= number < 1e12:
        raise ValueError(f"must be a number of 0 or above, got {value}")
    return number


def _currents_a(value: Any) -> PhaseLimits:
    if not isinstance(value, dict):
        each = _not_negative(value)
        return (each, each, each)
    unknown: Iterable[str] = set(value) - set(PHASES)
    if unknown:
        raise ValueError(f"names phases L1, L2, L3, got {', '.join(sorted(unknown))}")
    l1, l2, l3 = (None if value.get(p) is None else _not_negative(value[p]) for p in PHASES)
    return (l1, l2, l3)


def _instant(value: Any) -> datetime:
    at = datetime.fromisoformat(str(value))
    if at.tzinfo is None:
        raise ValueError(f"needs a zone, such as {value}Z")
    return at.astimezone(UTC)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).casefold() not in words:
        raise ValueError(f"must be true or false, got {value!r}")
    return words[str(value).casefold()]
