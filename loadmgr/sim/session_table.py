"""Session tables: CSV files of arrivals, departures and energy; every bad row is named, none is mended.

``read_sessions`` refuses a table with bad rows; ``read_table`` leaves them out and says which they are.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.session import SessionRecord
from loadmgr.model.units import require_utc

COLUMNS = (
    "session_id",
    "evse",
    "arrival",
    "departure",
    "estimated_departure",
    "energy_requested_wh",
    "energy_delivered_wh",
    "max_a",
    "phases",
)
REQUIRED = ("session_id", "arrival", "departure", "energy_requested_wh")

MOST_NAMED = 20
"""Bad rows that are named in one message; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTable:
    """The good rows of a table, and what is wrong with the others.

    Parameters
    ----------
    sessions : tuple of SessionRecord
        In order of arrival, then of the file.
    faults : tuple of str
        One line per bad row: file, row, column, what is wrong. Row 1 is the heading.
    """

    sessions: tuple[SessionRecord, ...]
    faults: tuple[str, ...]


def read_sessions(path: Path) -> tuple[SessionRecord, ...]:
    """Return the sessions of a table in order of arrival, then of the file.

    Raises
    ------
    InputError
        With one line per bad row: file, row, column, what is wrong. Row 1 is the heading.
    """
    table = read_table(path)
    if table.faults:
        more = len(table.faults) - MOST_NAMED
        counted = [f"{path}: {more} more bad rows"] if more > 0 else []
        raise InputError("\n".join([*table.faults[:MOST_NAMED], *counted]))
    return table.sessions


def read_table(path: Path) -> SessionTable:
    """Return the good rows of a table, and the faults of the others.

    Raises
    ------
    InputError
        If the file cannot be read, or its heading lacks a column or has an unknown one.
    """
    sessions: list[SessionRecord] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            _check_heading(path, tuple(rows.fieldnames or ()))
            for row in rows:
                try:
                    session = _session(row, seen)
                except _CellError as error:
                    faults.append(f"{path}: row {rows.line_num}, column {error.column}: {error}")
                else:
                    seen[session.session_id] = rows.line_num
                    sessions.append(session)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return SessionTable(sessions=tuple(sorted(sessions, key=lambda session: session.arrival)), faults=tuple(faults))


class _CellError(ValueError):
    """What is wrong with one cell."""

    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column = column


def _check_heading(path: Path, found: tuple[str, ...]) -> None:
    missing = [column for column in REQUIRED if column not in found]
    if missing:
        raise InputError(f"{path}: row 1: column {missing[0]} is missing; columns are {', '.join(COLUMNS)}")
    unknown = [column for column in found if column not in COLUMNS]
    if unknown:
        raise InputError(f"{path}: row 1: unknown column {unknown[0]}; columns are {', '.join(COLUMNS)}")


def _session(row: Mapping[str | None, str | None], seen: Mapping[str, int]) -> SessionRecord:
    if None in row:
        raise _CellError("phases", "the row has more cells than the heading")
    cells = {str(column): (text or "").strip() for column, text in row.items()}
    if not cells["session_id"]:
        raise _CellError("session_id", "is empty")
    if cells["session_id"] in seen:
        raise _CellError("session_id", f"{cells['session_id']} is also in row {seen[cells['session_id']]}")
    arrival, departure = _time(cells, "arrival"), _time(cells, "departure")
    if departure <= arrival:
        raise _CellError("departure", f"{cells['departure']} does not lie after the arrival {cells['arrival']}")
    phases = _number(cells, "phases")
    if phases not in (None, 1.0, 2.0, 3.0):
        raise _CellError("phases", f"{cells['phases']} is not 1, 2 or 3")
    requested_wh = _number(cells, "energy_requested_wh")
    if requested_wh is None:
        raise _CellError("energy_requested_wh", "is empty")
    return SessionRecord(
        session_id=SessionId(cells["session_id"]),
        evse=EvseId(cells["evse"]) if cells.get("evse") else None,
        arrival=arrival,
        departure=departure,
        estimated_departure=_time(cells, "estimated_departure") if cells.get("estimated_departure") else None,
        energy_requested_wh=requested_wh,
        energy_delivered_wh=_number(cells, "energy_delivered_wh"),
        max_a=_number(cells, "max_a"),
        phases=None if phases is None else int(phases),
    )


def _time(cells: Mapping[str, str], column: str) -> datetime:
    try:
        return require_utc(datetime.fromisoformat(cells[column]), name=column)
    except ValueError as error:
        written = repr(cells[column])
        raise _CellError(column, f"{written} is not a time with zone, such as 2019-06-04T12:00+02:00") from error


def _number(cells: Mapping[str, str], column: str) -> float | None:
    written = cells.get(column, "")
    if not written:
        return None
    try:
        value = float(written)
    except ValueError as error:
        raise _CellError(column, f"{written!r} is not a number") from error
    if not math.isfinite(value) or value < 0.0:
        raise _CellError(column, f"{written} must be 0 or above")
    return value
