"""Departures in a file that another program, or a person, keeps: a depot's timetable, a booking system's export.

Rules
-----
1. The file is read as a whole when it changes. With a fault nothing of it is taken, and what was read before stays.
2. A row is about the stay that ends with its departure: of a vehicle that plugs in, the first row whose departure is
   yet to come.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId
from loadmgr.model.session import EnergyNeed
from loadmgr.model.units import require_utc

COLUMNS = frozenset({"evse", "id_token", "arrival", "departure", "energy_requested_wh", "must_wh", "priority"})

EARLY_S = 2 * 3600
"""Who plugs in before the arrival of a row by more than this is on another stay [s]."""

MOST_NAMED = 20
"""Bad rows that are named in one message; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStay:
    """A stay: whose, until when, and what for.

    Parameters
    ----------
    evse, id_token
        Whose it is: either, or both.
    arrival : datetime, optional
    """

    evse: EvseId | None
    id_token: str | None
    departure: datetime
    arrival: datetime | None = None
    need: EnergyNeed | None = None
    priority: int | None = None


class CalendarFile:
    """A file of stays.

    Parameters
    ----------
    path : Path
        CSV with a heading.
    name_of : callable, optional
        By which name an id token is known inside.
    """

    def __init__(self, path: Path, *, name_of: Callable[[str], str] = str) -> None:
        self.path = path
        self._name_of = name_of
        self._seen: tuple[int, int, int] | None = None
        self._stays: tuple[PlannedStay, ...] = ()

    def changed(self) -> bool:
        """Read the file if it changed since the last time; return whether it did.

        Raises
        ------
        InputError
            If it changed and cannot be used: with one line for each bad row. What it said before stays.
        """
        try:
            status = self.path.stat()
            mark = (status.st_mtime_ns, status.st_size, status.st_ino)
            if mark == self._seen:
                return False
            self._seen = mark
            text = self.path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path}: cannot be read: {error}") from error
        try:
            stays = _stays(text, self.path)
        except csv.Error as error:
            raise InputError(f"{self.path}: is no CSV: {error}") from error
        named = (s if s.id_token is None else replace(s, id_token=self._name_of(s.id_token)) for s in stays)
        self._stays = tuple(sorted(named, key=lambda stay: stay.departure))
        return True

    def stay_of(self, evse: EvseId, id_token: str | None, *, started: datetime) -> PlannedStay | None:
        """Return the stay that began with a vehicle's plugging in; ``None`` where the calendar knows of none."""
        for stay in self._stays:
            if stay.evse not in (None, evse) or stay.id_token not in (None, id_token):
                continue
            early = stay.arrival is not None and started < stay.arrival - timedelta(seconds=EARLY_S)
            if stay.departure > started and not early:
                return stay
        return None


def _stays(text: str, path: Path) -> list[PlannedStay]:
    reader = csv.DictReader(io.StringIO(text))
    heading = set(reader.fieldnames or ())
    for wrong in sorted(heading - COLUMNS):
        raise InputError(f"{path}: row 1: unknown column {wrong!r}; known: {', '.join(sorted(COLUMNS))}")
    if "departure" not in heading or not heading & {"evse", "id_token"}:
        raise InputError(f"{path}: row 1: the columns departure and evse or id_token are needed")
    stays, faults = [], []
    for number, row in enumerate(reader, start=2):
        try:
            stays.append(_stay(row))
        except _CellError as bad:
            faults.append(f"{path}: row {number}, column {bad.column}: {bad}")
    if faults:
        more = [f"and {len(faults) - MOST_NAMED} rows more"] if len(faults) > MOST_NAMED else []
        raise InputError("\n".join([*faults[:MOST_NAMED], *more]))
    return stays


class _CellError(ValueError):
    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column = column


def _stay(row: Mapping[str, str | None]) -> PlannedStay:
    cells = {column: (row.get(column) or "").strip() for column in COLUMNS}
    if row.get(None):  # type: ignore[call-overload]
        raise _CellError("departure", "more cells than the heading has columns")
    if not cells["evse"] and not cells["id_token"]:
        raise _CellError("evse", "neither an evse nor an id_token: say whose stay it is")
    departure = _time(cells, "departure")
    if departure is None:
        raise _CellError("departure", "is empty; write it with its zone, such as 2026-03-02T07:30+01:00")
    arrival = _time(cells, "arrival")
    if arrival is not None and arrival >= departure:
        raise _CellError("arrival", f"{cells['arrival']} is not before the departure {cells['departure']}")
    return PlannedStay(
        evse=EvseId(cells["evse"]) if cells["evse"] else None,
        id_token=cells["id_token"] or None,
        departure=departure,
        arrival=arrival,
        need=_need(cells),
        priority=_priority(cells),
    )


def _time(cells: Mapping[str, str], column: str) -> datetime | None:
    if not cells[column]:
        return None
    try:
        return require_utc(datetime.fromisoformat(cells[column]), name=column)
    except (ValueError, OverflowError):
        advice = "write it with its zone, such as 2026-03-02T07:30+01:00"
        raise _CellError(column, f"{cells[column]!r} is not a time; {advice}") from None


def _need(cells: Mapping[str, str]) -> EnergyNeed | None:
    amounts = dict(_energies(cells))
    if "energy_requested_wh" not in amounts:
        if "must_wh" in amounts:
            raise _CellError("must_wh", "is a part of energy_requested_wh, which is empty")
        return None
    wanted_wh, must_wh = amounts["energy_requested_wh"], amounts.get("must_wh", 0.0)
    if must_wh > wanted_wh:
        raise _CellError("must_wh", f"{must_wh:g} is more than energy_requested_wh, {wanted_wh:g}")
    return EnergyNeed(wanted_wh=wanted_wh, must_wh=must_wh)


def _energies(cells: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    for column in ("energy_requested_wh", "must_wh"):
        if cells[column]:
            try:
                amount = float(cells[column])
            except ValueError:
                amount = -1.0
            if not 0.0 <= amount < 1e7:
                raise _CellError(column, f"{cells[column]!r} is not an energy; write 0 or more, in Wh")
            yield column, amount


def _priority(cells: Mapping[str, str]) -> int | None:
    if not cells["priority"]:
        return None
    try:
        return int(cells["priority"])
    except ValueError:
        raise _CellError("priority", f"{cells['priority']!r} is not a whole number; 0 is usual, higher first") from None
