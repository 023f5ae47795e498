"""Series from CSV files: a column ``start`` of instants with zone, and columns of numbers.

Rules kept here
---------------
1. Rows follow each other at one step; a gap or a row that occurs twice is named, never filled.
2. A series that repeats weekly is read on the local clock: an hour that is shown twice counts with its mean, and the
   hour that clocks skip takes the value before it.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from loadmgr.errors import InputError
from loadmgr.model.calendar import SECONDS_PER_DAY, LocalCycle
from loadmgr.model.series import StepFunction
from loadmgr.model.units import require_utc


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """Instants at one step, and a list of values for each column."""

    path: Path
    times: tuple[datetime, ...]
    step_s: int
    columns: dict[str, tuple[float, ...]]

    @property
    def end(self) -> datetime:
        """Where the last value ends to hold."""
        return self.times[-1] + timedelta(seconds=self.step_s)


def read_series(path: Path, columns: Sequence[str], *, every: bool = False) -> SeriesTable:
    """Return the named columns that a CSV file has: all of them with ``every``, else at least one.

    Raises
    ------
    InputError
        Naming the file, row and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            present = _present(path, rows.fieldnames or (), columns, every=every)
            times: list[datetime] = []
            values: dict[str, list[float]] = {c: [] for c in present}
            for row in rows:
                place = f"{path}: row {rows.line_num}"
                times.append(_instant(row["start"], place))
                for column in present:
                    values[column].append(number_of(row[column], f"{place}, column {column}"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    step_s = _step_s(times, path)
    return SeriesTable(path, tuple(times), step_s, {c: tuple(v) for c, v in values.items()})


def _present(path: Path, found: Sequence[str], columns: Sequence[str], *, every: bool) -> list[str]:
    present = [column for column in columns if column in found]
    if "start" not in found or not present or (every and len(present) < len(columns)):
        wanted = (", " if every else " or ").join(columns)
        between = ", " if every else " and "
        raise InputError(f"{path}: row 1: columns must be start{between}{wanted}, got {', '.join(found) or 'none'}")
    return present


def _instant(text: str | None, place: str) -> datetime:
    try:
        return require_utc(datetime.fromisoformat(text or ""), name="start")
    except ValueError as error:
        raise InputError(
            f"{place}, column start: {text!r} is not a time with zone, such as 2019-06-04T12:00Z"
        ) from error


def number_of(text: str | None, place: str) -> float:
    """Return the finite number in a cell.

    Raises
    ------
    InputError
        Naming the place.
    """
    try:
        value = float(text or "")
    except ValueError as error:
        raise InputError(f"{place}: {text!r} is not a number") from error
    if not math.isfinite(value):
        raise InputError(f"{place}: {text!r} is not a finite number")
    return value


def _step_s(times: Sequence[datetime], path: Path) -> int:
    if len(times) < 2:
        raise InputError(f"{path}: needs at least two rows, got {len(times)}")
    step = times[1] - times[0]
    for index in range(1, len(times)):
        found = times[index] - times[index - 1]
        if found != step or found <= timedelta(0):
            what = "occurs twice or goes back" if found <= timedelta(0) else f"follows after {found}, not {step}"
            raise InputError(f"{path}: row {index + 2}, column start: {times[index].isoformat()} {what}")
    return int(step.total_seconds())


def as_step_function(table: SeriesTable, values: Sequence[float]) -> StepFunction:
    """Return values as a step function that ends with the file."""
    return StepFunction(table.times, tuple(values), table.end)


def as_cycle(table: SeriesTable, values: Sequence[float], *, time_zone: str) -> LocalCycle:
    """Return values of whole weeks as a cycle on the local clock.

    Raises
    ------
    InputError
        If the file does not hold whole weeks from local midnight to local midnight.
    """
    zone = ZoneInfo(time_zone)
    first, end = table.times[0].astimezone(zone), table.end.astimezone(zone)
    days = (end.date() - first.date()).days
    midnights = all(t.hour == t.minute == t.second == 0 for t in (first, end))
    if not midnights or days % 7 or SECONDS_PER_DAY % table.step_s:
        raise InputError(
            f"{table.path}: to repeat weekly it must hold whole weeks from midnight to midnight in {time_zone}, "
            f"got {first.isoformat()} to {end.isoformat()}"
        )
    per_day = SECONDS_PER_DAY // table.step_s
    slots: list[list[float]] = [[] for _ in range(days * per_day)]
    for when, value in zip(table.times, values, strict=True):
        local = when.astimezone(zone)
        second = local.hour * 3600 + local.minute * 60 + local.second
        slots[(local.date() - first.date()).days * per_day + second // table.step_s].append(value)
    out: list[float] = []
    for slot in slots:
        out.append(math.fsum(slot) / len(slot) if slot else out[-1])
    return LocalCycle(time_zone=time_zone, first_day=first.date(), step_s=table.step_s, values=tuple(out))
