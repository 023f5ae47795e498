"""Session tables: arrivals, departures and energy from files; every bad row is named, and none is mended unasked.

``read_sessions`` refuses a table with bad rows; ``read_table`` leaves them out and says which they are. With
``repair`` it mends first what leaves no choice, and names that too:

- a time without a zone is the clock of a zone that is given, unless clocks show it twice or skip it;
- a row that occurs twice, the same in every cell, counts once;
- a vehicle that is still at an EVSE when the next one comes has left by then.

:mod:`loadmgr.sim.session_layouts` knows how sources write their tables.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.session import SessionRecord
from loadmgr.model.units import require_utc
from loadmgr.sim.bad_rows import BadRows, RowNote, by_column
from loadmgr.sim.session_layouts import COLUMNS, PLAIN, Cells, Layout, RawRow, read_rows

__all__ = ["COLUMNS", "SessionTable", "load_table", "read_sessions", "read_table", "write_table"]

MOST_NAMED = 20
"""Bad rows that are named in one message; the rest are counted."""

ZERO = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTable:
    """The good rows of a table, and what is wrong with the others.

    Parameters
    ----------
    sessions : tuple of SessionRecord
        In order of arrival, then of the file.
    refusals : tuple of RowNote
        The others, in order of the file. Row 1 is the heading; of JSON it is the first item.
    mended : tuple of RowNote
        What was done to rows that were bad and are good now.
    """

    sessions: tuple[SessionRecord, ...]
    refusals: tuple[RowNote, ...] = ()
    mended: tuple[RowNote, ...] = ()
    path: Path | None = None
    layout: str = PLAIN.name

    @property
    def faults(self) -> tuple[str, ...]:
        """One line per bad row that was left out: file, row, column, what is wrong."""
        return tuple(self._line(note) for note in self.refusals)

    @property
    def mends(self) -> tuple[str, ...]:
        """One line per mend: file, row, column, what was done."""
        return tuple(self._line(note) for note in self.mended)

    @property
    def summary(self) -> str:
        """How many rows were mended and left out, and on account of which columns; empty where all were good."""
        mended, bad = len({note.row for note in self.mended}), len(self.refusals)
        said = []
        if mended:
            said.append(f"{mended} row{'' if mended == 1 else 's'} mended: {by_column(self.mended)}")
        if bad:
            of = bad + len(self.sessions)
            said.append(f"{bad} bad row{'' if bad == 1 else 's'} of {of} left out: {by_column(self.refusals)}")
        return "\n".join(said)

    def refused(self) -> InputError:
        """Return the error that names the bad rows, and counts them where there are several."""
        bad = len(self.refusals)
        of = bad + len(self.sessions)
        counted = [f"{self.path}: {bad} bad rows of {of}: {by_column(self.refusals)}"] if bad > 1 else []
        return InputError("\n".join([*self.faults[:MOST_NAMED], *counted]))

    def _line(self, note: RowNote) -> str:
        return f"{self.path}: row {note.row}, column {note.column}: {note.text}"


def load_table(
    path: Path, *, evses: Collection[EvseId] | None = None, on_bad_rows: BadRows, time_zone: str | None = None
) -> SessionTable:
    """Return the sessions of a table as asked: all or an error, the good ones, or what can be mended as well.

    Raises
    ------
    InputError
        If the file cannot be read, or has bad rows and ``on_bad_rows`` says stop.
    """
    if on_bad_rows is BadRows.STOP:
        return SessionTable(sessions=read_sessions(path, evses=evses), path=path)
    return read_table(path, evses=evses, repair=on_bad_rows is BadRows.REPAIR, time_zone=time_zone)


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
        With one line per bad row: file, row, column, what is wrong; and how many, if several. Row 1 is the heading.
    """
    table = read_table(path, evses=evses)
    if table.refusals:
        raise table.refused()
    return table.sessions


def read_table(
    path: Path, *, evses: Collection[EvseId] | None = None, repair: bool = False, time_zone: str | None = None
) -> SessionTable:
    """Return the good rows of a table, and what is wrong with the others.

    Parameters
    ----------
    path : Path
        CSV (also ``.gz``), Parquet, or the JSON of ACN-Data; the layout is known by its columns.
    evses : collection of EvseId, optional
        EVSEs of the site: a row that names another one is bad. Places of ACN-Data and ElaadNL are those of another
        site; where they are not among these, their sessions take the lowest free EVSE.
    repair : bool
        Whether what leaves no choice is mended.
    time_zone : str, optional
        Of times that are written without one, to mend them with.

    Raises
    ------
    InputError
        If the file cannot be read, or is of no known layout.
    """
    layout, _, rows = read_rows(path)
    reading = _Reading(layout, evses, repair=repair, zone=ZoneInfo(time_zone) if time_zone and repair else None)
    for row in rows:
        reading.take(row)
    sessions = reading.without_overlaps()
    return SessionTable(
        sessions=sessions,
        refusals=tuple(sorted(reading.refusals, key=lambda note: note.row)),
        mended=tuple(sorted(reading.mended, key=lambda note: note.row)),
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
    for column in ("arrival", "departure", "estimated_departure", "must_by"):
        frame[column] = [None if pd.isna(when) else when.isoformat() for when in frame[column]]
    frame.to_csv(path, index=False, lineterminator="\n")


class _Reading:
    """The rows of one table, taken one by one."""

    def __init__(
        self, layout: Layout, evses: Collection[EvseId] | None, *, repair: bool, zone: ZoneInfo | None
    ) -> None:
        self.refusals: list[RowNote] = []
        self.mended: list[RowNote] = []
        self._layout, self._evses, self._repair, self._zone = layout, evses, repair, zone
        self._found: list[tuple[int, SessionRecord]] = []
        self._seen: dict[str, tuple[int, Cells]] = {}

    def take(self, row: RawRow) -> None:
        """Read a row; what is wrong with it, and what was done to it, is noted."""
        number, written = row
        cells = self._layout.cells(written)
        before = self._seen.get(cells["session_id"])
        if self._repair and before is not None and before[1] == cells:
            self._mend(number, "session_id", f"the same as row {before[0]}: counted once")
            return
        noted = len(self.mended)
        try:
            _check_width(written)
            session = self._session(number, cells)
        except _CellError as error:
            del self.mended[noted:]
            self.refusals.append(RowNote(row=number, column=self._layout.sources[error.column], text=str(error)))
        else:
            self._seen[session.session_id] = (number, cells)
            self._found.append((number, session))

    def without_overlaps(self) -> tuple[SessionRecord, ...]:
        """Return the sessions by arrival; nobody charges two vehicles at one EVSE, so one leaves or stays out."""
        taken: dict[EvseId, int] = {}
        kept: list[tuple[int, SessionRecord]] = []
        for number, session in sorted(self._found, key=lambda pair: pair[1].arrival):
            at = taken.get(session.evse) if session.evse else None
            if at is not None and kept[at][1].departure > session.arrival:
                by_row, there = kept[at]
                if not (self._repair and there.arrival < session.arrival):
                    text = f"EVSE {session.evse} is taken until {there.departure.isoformat()} by row {by_row}"
                    column = self._layout.sources["arrival"]
                    self.refusals.append(RowNote(row=number, column=column, text=text))
                    continue
                cut = f"{there.departure.isoformat()} cut to {session.arrival.isoformat()}"
                self._mend(by_row, "departure", f"{cut}, when the vehicle of row {number} comes to EVSE {session.evse}")
                kept[at] = (by_row, replace(there, departure=session.arrival))
            if session.evse is not None:
                taken[session.evse] = len(kept)
            kept.append((number, session))
        return tuple(session for _, session in kept)

    def _mend(self, row: int, column: str, text: str) -> None:
        self.mended.append(RowNote(row=row, column=self._layout.sources[column], text=text))

    def _session(self, number: int, cells: Cells) -> SessionRecord:
        if not cells["session_id"]:
            raise _CellError("session_id", "is empty")
        if cells["session_id"] in self._seen:
            raise _CellError("session_id", f"{cells['session_id']} is also in row {self._seen[cells['session_id']][0]}")
        arrival, departure = self._time(number, cells, "arrival"), self._time(number, cells, "departure")
        if departure <= arrival:
            raise _CellError("departure", f"{cells['departure']} does not lie after the arrival {cells['arrival']}")
        phases = _number(cells, "phases", self._layout)
        if phases not in (None, 1.0, 2.0, 3.0):
            raise _CellError("phases", f"{cells['phases']} is not 1, 2 or 3")
        requested_wh = _number(cells, "energy_requested_wh", self._layout)
        if requested_wh is None:
            raise _CellError("energy_requested_wh", "is empty")
        estimated = self._time(number, cells, "estimated_departure") if cells.get("estimated_departure") else None
        must_wh = _number(cells, "energy_must_wh", self._layout) or 0.0
        if must_wh > requested_wh:
            asked = f"{cells['energy_requested_wh']} in energy_requested_wh"
            raise _CellError("energy_must_wh", f"{cells['energy_must_wh']} is more than the {asked}")
        return SessionRecord(
            session_id=SessionId(cells["session_id"]),
            evse=_evse(cells, self._layout, self._evses),
            arrival=arrival,
            departure=departure,
            estimated_departure=estimated,
            energy_requested_wh=requested_wh,
            energy_delivered_wh=_number(cells, "energy_delivered_wh", self._layout),
            max_a=_number(cells, "max_a", self._layout),
            phases=None if phases is None else int(phases),
            energy_must_wh=must_wh,
            must_by=self._due(number, cells, arrival=arrival, must_wh=must_wh),
            discharge_a=_number(cells, "discharge_a", self._layout) or 0.0,
            discharge_wh=_number(cells, "discharge_wh", self._layout) or 0.0,
        )

    def _due(self, number: int, cells: Cells, *, arrival: datetime, must_wh: float) -> datetime | None:
        if not cells.get("must_by"):
            return None
        due = self._time(number, cells, "must_by")
        if due <= arrival:
            raise _CellError("must_by", f"{cells['must_by']} does not lie after the arrival {cells['arrival']}")
        if not must_wh:
            raise _CellError("must_by", f"{cells['must_by']} is when nothing is due: fill in energy_must_wh")
        return due

    def _time(self, number: int, cells: Cells, column: str) -> datetime:
        written = repr(cells[column])
        try:
            found = self._layout.when(cells[column])
            if found.tzinfo is None and self._zone is not None:
                found = _on_clock(found, self._zone, column)
                self._mend(number, column, f"{written} has no zone: read on the clock of {self._zone.key}")
            return require_utc(found, name=column)
        except _CellError:
            raise
        except ValueError as error:
            raise _CellError(column, f"{written} is not a time with zone, such as 2019-06-04T12:00+02:00") from error


def _on_clock(local: datetime, zone: ZoneInfo, column: str) -> datetime:
    """Return the instant at which the clock of a zone shows a time, which has to be exactly one."""
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    skipped = (first.utcoffset() or ZERO) < (second.utcoffset() or ZERO)
    what = "is skipped by" if skipped else "is shown twice by"
    raise _CellError(column, f"{local.isoformat()} {what} the clock of {zone.key}: write it with its zone")


class _CellError(ValueError):
    """What is wrong with one cell."""

    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column = column


def _check_width(row: Cells) -> None:
    if "" in row:
        raise _CellError("phases", "the row has more cells than the heading")


def _evse(cells: Cells, layout: Layout, evses: Collection[EvseId] | None) -> EvseId | None:
    name = EvseId(cells.get("evse", ""))
    if not name or (layout is not PLAIN and name not in (evses or ())):
        return None
    if evses is not None and name not in evses:
        known = ", ".join(list(evses)[:8]) + (", ..." if len(evses) > 8 else "")
        raise _CellError("evse", f"{name} is not an EVSE of the site, which has {known}")
    return name


def _number(cells: Cells, column: str, layout: Layout) -> float | None:
    written = cells.get(column, "")
    if not written:
        return None
    try:
        value = layout.number(column, written)
    except ValueError as error:
        raise _CellError(column, f"{written!r} is not a number") from error
    if not math.isfinite(value) or value < 0.0:
        raise _CellError(column, f"{written} must be 0 or above and finite")
    return value
