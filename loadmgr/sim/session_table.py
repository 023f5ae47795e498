"""Session tables: arrivals, departures and energy from files; every bad row is named, none is mended.

``read_sessions`` refuses a table with bad rows; ``read_table`` leaves them out and says which they are.
:mod:`loadmgr.sim.session_layouts` knows how sources write their tables.
"""

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.session import SessionRecord
from loadmgr.model.units import require_utc
from loadmgr.sim.session_layouts import COLUMNS, PLAIN, Cells, Layout, read_rows

__all__ = ["COLUMNS", "Refusal", "SessionTable", "read_sessions", "read_table", "write_table"]

MOST_NAMED = 20
"""Bad rows that are named in one message; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A row that was left out: where, and what is wrong there."""

    row: int
    column: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTable:
    """The good rows of a table, and what is wrong with the others.

    Parameters
    ----------
    sessions : tuple of SessionRecord
        In order of arrival, then of the file.
    refusals : tuple of Refusal
        The others, in order of the file. Row 1 is the heading; of JSON it is the first item.
    """

    sessions: tuple[SessionRecord, ...]
    refusals: tuple[Refusal, ...] = ()
    path: Path | None = None
    layout: str = PLAIN.name

    @property
    def faults(self) -> tuple[str, ...]:
        """One line per bad row: file, row, column, what is wrong."""
        return tuple(f"{self.path}: row {r.row}, column {r.column}: {r.text}" for r in self.refusals)

    @property
    def summary(self) -> str:
        """How many rows were left out, and on account of which columns."""
        count, of = len(self.refusals), len(self.refusals) + len(self.sessions)
        by_column = Counter(refusal.column for refusal in self.refusals).most_common()
        where = ", ".join(f"{n} in column {column}" for column, n in by_column)
        return f"{count} bad row{'' if count == 1 else 's'} of {of} left out" + (f": {where}" if where else "")


def read_sessions(path: Path, *, evses: Collection[EvseId] | None = None) -> tuple[SessionRecord, ...]:
    """Return the sessions of a table in order of arrival, then of the file.

    Parameters
    ----------
    path : Path
    evses : collection of EvseId, optional
        EVSEs of the site, as for :func:`read_table`.

    Raises
    ------
    InputError
        With one line per bad row: file, row, column, what is wrong. Row 1 is the heading.
    """
    table = read_table(path, evses=evses)
    if table.refusals:
        more = len(table.faults) - MOST_NAMED
        counted = [f"{path}: {more} more bad rows"] if more > 0 else []
        raise InputError("\n".join([*table.faults[:MOST_NAMED], *counted]))
    return table.sessions


def read_table(path: Path, *, evses: Collection[EvseId] | None = None) -> SessionTable:
    """Return the good rows of a table, and what is wrong with the others.

    Parameters
    ----------
    path : Path
        CSV (also ``.gz``), Parquet, or the JSON of ACN-Data; the layout is known by its columns.
    evses : collection of EvseId, optional
        EVSEs of the site: a row that names another one is bad. Places of ACN-Data and ElaadNL are those of another
        site; where they are not among these, their sessions take the lowest free EVSE.

    Raises
    ------
    InputError
        If the file cannot be read, or is of no known layout.
    """
    layout, _, rows = read_rows(path)
    found: list[tuple[int, SessionRecord]] = []
    refusals: list[Refusal] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        cells = layout.cells(row)
        try:
            _check_width(row)
            session = _session(cells, layout, seen, evses)
        except _CellError as error:
            refusals.append(Refusal(row=number, column=layout.sources[error.column], text=str(error)))
        else:
            seen[session.session_id] = number
            found.append((number, session))
    found.sort(key=lambda pair: pair[1].arrival)
    sessions, overlaps = _without_overlaps(found, layout)
    return SessionTable(
        sessions=sessions,
        refusals=tuple(sorted((*refusals, *overlaps), key=lambda refusal: refusal.row)),
        path=path,
        layout=layout.name,
    )


def write_table(path: Path, sessions: Collection[SessionRecord]) -> None:
    """Write sessions as a plain table: CSV, or Parquet by its suffix."""
    import pandas as pd

    rows = [{column: getattr(session, column) for column in COLUMNS} for session in sessions]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"phases": "Int64"})
    if path.suffix.lower() == ".parquet":
        frame.to_parquet(path, index=False)
        return
    for column in ("arrival", "departure", "estimated_departure"):
        frame[column] = [None if pd.isna(when) else when.isoformat() for when in frame[column]]
    frame.to_csv(path, index=False, lineterminator="\n")


def _without_overlaps(
    found: list[tuple[int, SessionRecord]], layout: Layout
) -> tuple[tuple[SessionRecord, ...], list[Refusal]]:
    """Leave out who comes to a place that is still taken; nobody charges two vehicles at one EVSE."""
    taken: dict[EvseId, tuple[datetime, int]] = {}
    kept, refusals = [], []
    for number, session in found:
        until, by_row = taken.get(session.evse, (session.arrival, 0)) if session.evse else (session.arrival, 0)
        if until > session.arrival:
            text = f"EVSE {session.evse} is taken until {until.isoformat()} by row {by_row}"
            refusals.append(Refusal(row=number, column=layout.sources["arrival"], text=text))
            continue
        if session.evse is not None:
            taken[session.evse] = (session.departure, number)
        kept.append(session)
    return tuple(kept), refusals


class _CellError(ValueError):
    """What is wrong with one cell."""

    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column = column


def _check_width(row: Cells) -> None:
    if "" in row:
        raise _CellError("phases", "the row has more cells than the heading")


def _session(cells: Cells, layout: Layout, seen: dict[str, int], evses: Collection[EvseId] | None) -> SessionRecord:
    if not cells["session_id"]:
        raise _CellError("session_id", "is empty")
    if cells["session_id"] in seen:
        raise _CellError("session_id", f"{cells['session_id']} is also in row {seen[cells['session_id']]}")
    arrival, departure = _time(cells, "arrival", layout), _time(cells, "departure", layout)
    if departure <= arrival:
        raise _CellError("departure", f"{cells['departure']} does not lie after the arrival {cells['arrival']}")
    phases = _number(cells, "phases", layout)
    if phases not in (None, 1.0, 2.0, 3.0):
        raise _CellError("phases", f"{cells['phases']} is not 1, 2 or 3")
    requested_wh = _number(cells, "energy_requested_wh", layout)
    if requested_wh is None:
        raise _CellError("energy_requested_wh", "is empty")
    estimated = _time(cells, "estimated_departure", layout) if cells.get("estimated_departure") else None
    return SessionRecord(
        session_id=SessionId(cells["session_id"]),
        evse=_evse(cells, layout, evses),
        arrival=arrival,
        departure=departure,
        estimated_departure=estimated,
        energy_requested_wh=requested_wh,
        energy_delivered_wh=_number(cells, "energy_delivered_wh", layout),
        max_a=_number(cells, "max_a", layout),
        phases=None if phases is None else int(phases),
    )


def _evse(cells: Cells, layout: Layout, evses: Collection[EvseId] | None) -> EvseId | None:
    name = EvseId(cells.get("evse", ""))
    if not name or (layout is not PLAIN and name not in (evses or ())):
        return None
    if evses is not None and name not in evses:
        known = ", ".join(list(evses)[:8]) + (", ..." if len(evses) > 8 else "")
        raise _CellError("evse", f"{name} is not an EVSE of the site, which has {known}")
    return name


def _time(cells: Cells, column: str, layout: Layout) -> datetime:
    try:
        return require_utc(layout.when(cells[column]), name=column)
    except ValueError as error:
        written = repr(cells[column])
        raise _CellError(column, f"{written} is not a time with zone, such as 2019-06-04T12:00+02:00") from error


def _number(cells: Cells, column: str, layout: Layout) -> float | None:
    written = cells.get(column, "")
    if not written:
        return None
    try:
        value = layout.number(column, written)
    except ValueError as error:
        raise _CellError(column, f"{written!r} is not a number") from error
    if not math.isfinite(value) or value < 0.0:
        raise _CellError(column, f"{written} must be 0 or above")
    return value
