"""Mending a series: prices and loads as they are downloaded, made into a file that a site can name.

Rules kept here
---------------
1. What is mended is named by row and column. A running site never mends: it refuses, and a person mends with this.
2. Times without a zone are the clock of a zone that is given. Of an hour that is shown twice the first rows come before
   the change and the second ones after it; a row in an hour that clocks skip never was, and is dropped.
3. A row that occurs twice with the same numbers counts once. With other numbers nobody knows which holds: refused.
4. A missing row takes what held at the same time a day before, else what held just before; more than a day is refused.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from loadmgr.errors import InputError
from loadmgr.model.units import require_utc
from loadmgr.site_file.series_csv import number_of

DAY = timedelta(days=1)

Values = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MendedSeries:
    """A series at one step, and what was done to get there.

    Parameters
    ----------
    times : tuple of datetime
        Starts, in UTC.
    rows : tuple of tuple of float
        Numbers of each start, in the order of ``columns``.
    mends : tuple of str
        One line each: file, row, column, what was done.
    """

    columns: tuple[str, ...]
    times: tuple[datetime, ...]
    rows: tuple[Values, ...]
    mends: tuple[str, ...]


def mend_series(path: Path, *, time_zone: str | None = None) -> MendedSeries:
    """Return the series of a CSV file with a column ``start`` and columns of numbers.

    Parameters
    ----------
    path : Path
    time_zone : str, optional
        Of times that are written without one.

    Raises
    ------
    InputError
        Naming the file, row and column, where there is more than one way to mend.
    """
    columns, cells = _read(path)
    reading = _Reading(path, columns, None if time_zone is None else _Clock(ZoneInfo(time_zone)))
    for row, cell in cells:
        reading.take(row, cell)
    times, rows = reading.filled()
    mends = sorted(reading.mends, key=lambda mend: mend[0])
    return MendedSeries(
        columns=columns,
        times=times,
        rows=rows,
        mends=tuple(f"{path}: row {row}, {text}" for row, text in mends),
    )


def _read(path: Path) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """Return the columns beside ``start``, and of each row its number and cells, ``start`` first."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = tuple(name for name in reader.fieldnames or () if name != "start")
            if "start" not in (reader.fieldnames or ()) or not columns:
                found = ", ".join(reader.fieldnames or ()) or "none"
                raise InputError(f"{path}: row 1: columns must be start and one or more of numbers, got {found}")
            return columns, [
                (reader.line_num, [(row[name] or "").strip() for name in ("start", *columns)]) for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


class _Clock:
    """The clock of a zone, read row by row."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._shown: set[datetime] = set()

    def instant(self, local: datetime) -> datetime | None:
        """Return the instant at which the clock shows a time; ``None`` where clocks skip it."""
        first, second = (local.replace(tzinfo=self.zone, fold=fold).astimezone(ZoneInfo("UTC")) for fold in (0, 1))
        if first > second:
            return None
        again = first in self._shown
        self._shown.add(first)
        return second if again else first


class _Reading:
    """The rows of one file, taken one by one; ``mends`` holds what was done, by row."""

    def __init__(self, path: Path, columns: Sequence[str], clock: _Clock | None) -> None:
        self.mends: list[tuple[int, str]] = []
        self._path, self._columns, self._clock = path, columns, clock
        self._known: dict[datetime, tuple[int, Values]] = {}
        self._latest: datetime | None = None

    def take(self, row: int, cells: Sequence[str]) -> None:
        """Read a row: ``start``, then the numbers."""
        when, values = self._when(row, cells[0]), self._values(row, cells[1:])
        if when is None or values is None:
            return
        if when in self._known:
            first, before = self._known[when]
            if before != values:
                raise self._fault(row, f"{cells[0]} is also in row {first}, with other numbers: delete the wrong one")
            self._mend(row, f"the same as row {first}: counted once")
            return
        if self._latest is not None and when < self._latest:
            self._mend(row, f"{cells[0]} comes after a later one: put in order")
        self._latest = when if self._latest is None else max(self._latest, when)
        self._known[when] = (row, values)

    def filled(self) -> tuple[tuple[datetime, ...], tuple[Values, ...]]:
        """Return starts at one step, and their numbers."""
        order = sorted(self._known)
        if len(order) < 2:
            raise InputError(f"{self._path}: needs at least two rows, got {len(order)}")
        step = Counter(later - when for when, later in pairwise(order)).most_common(1)[0][0]
        out = {order[0]: self._known[order[0]][1]}
        for when, later in pairwise(order):
            row, values = self._known[later]
            gap = later - when
            if gap % step:
                raise self._fault(row, f"{later.isoformat()} follows after {gap}, not {step}")
            if gap > DAY + step:
                raise self._fault(row, f"{gap - step} are missing before it, too long to guess")
            for missing in (when + n * step for n in range(1, gap // step)):
                like = missing - DAY if missing - DAY in out else missing - step
                out[missing] = out[like]
                self._mend(row, f"{missing.isoformat()} is missing before it: as {like.isoformat()}")
            out[later] = values
        return tuple(out), tuple(out.values())

    def _mend(self, row: int, text: str, *, column: str = "start") -> None:
        self.mends.append((row, f"column {column}: {text}"))

    def _fault(self, row: int, text: str) -> InputError:
        return InputError(f"{self._path}: row {row}, column start: {text}")

    def _when(self, row: int, text: str) -> datetime | None:
        try:
            found = datetime.fromisoformat(text)
        except ValueError as error:
            raise self._fault(row, f"{text!r} is not a time, such as 2019-06-04T12:00Z") from error
        if found.tzinfo is not None:
            return require_utc(found, name="start")
        if self._clock is None:
            raise self._fault(row, f"{text!r} has no zone: give it with --timezone")
        instant = self._clock.instant(found)
        if instant is None:
            self._mend(row, f"{text} is skipped by the clock of {self._clock.zone.key}: dropped")
        return instant

    def _values(self, row: int, cells: Sequence[str]) -> Values | None:
        named = list(zip(self._columns, cells, strict=True))
        empty = [column for column, cell in named if not cell]
        if empty:
            self._mend(row, "is empty: taken as missing", column=empty[0])
            return None
        return tuple(number_of(cell, f"{self._path}: row {row}, column {column}") for column, cell in named)
