"""Parts of the year on the local clock, as people write them: ``Mon-Fri``, ``17:00-21:00``, ``1 Jun - 15 Sep``."""

import re
from calendar import monthrange
from datetime import date, datetime

from loadmgr.model.calendar import ALL_MONTHS, ALL_WEEKDAYS, LEAP_YEAR, SECONDS_PER_DAY, ClockWindow
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.likeness import nearest
from loadmgr.site_file.reading import Reading
from loadmgr.site_file.tariff_schema import WindowPart

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_SEASON = re.compile(
    r"(?P<first_day>\d{1,2})\.?\s*(?P<first_month>[A-Za-z]+)\s*-\s*(?P<last_day>\d{1,2})\.?\s*(?P<last_month>[A-Za-z]+)"
)


def read_windows(parts: list[WindowPart], path: PathKey, reading: Reading) -> tuple[ClockWindow, ...] | None:
    """Return windows of the local clock, or ``None`` with the faults noted."""
    faults = reading.faults
    out = []
    for index, part in enumerate(parts):
        noted = len(faults.faults)
        months = read_months(part.months, (*path, index, "months"), faults)
        days = _names(part.days, _DAYS, (*path, index, "days"), faults)
        hours = _hours(part.hours, (*path, index, "hours"), faults)
        season = _season(part.season, (*path, index, "season"), faults)
        if len(faults.faults) == noted:
            window = ClockWindow(
                months=months or ALL_MONTHS,
                weekdays=days or ALL_WEEKDAYS,
                start_s=hours[0],
                end_s=hours[1],
                season=season,
                holidays=reading.holidays,
            )
            out.append(window)
    return tuple(out) if len(out) == len(parts) else None


def read_months(written: str | None, path: PathKey, faults: FaultList) -> frozenset[int]:
    """Return the months of ``Nov-Feb``, 1 is January; none if nothing is written."""
    return frozenset(index + 1 for index in _names(written, MONTHS, path, faults))


def read_instants(written: list[str], path: PathKey, reading: Reading) -> tuple[datetime, ...]:
    """Return local times such as ``2019-07-01 17:00`` as instants."""
    out = []
    for index, text in enumerate(written):
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            advice = "write date and clock, such as 2019-07-01 17:00"
            reading.faults.add((*path, index), f"{text!r} is not a time", advice)
        else:
            out.append(when if when.tzinfo else when.replace(tzinfo=reading.zone))
    return tuple(out)


def read_dates(written: list[str], path: PathKey, faults: FaultList) -> frozenset[date]:
    """Return dates such as ``2019-06-10``."""
    out = set()
    for index, text in enumerate(written):
        try:
            out.add(date.fromisoformat(text))
        except ValueError:
            faults.add((*path, index), f"{text!r} is not a date", "write year, month and day, such as 2019-06-10")
    return frozenset(out)


def _names(written: str | None, names: tuple[str, ...], path: PathKey, faults: FaultList) -> frozenset[int]:
    """Return the indices of ``Mon-Fri`` or ``Sat,Sun``; a range may run over the end of the week or year."""
    if written is None:
        return frozenset()
    found: set[int] = set()
    for piece in written.split(","):
        ends = [_index(word.strip(), names) for word in piece.split("-")]
        if len(ends) not in (1, 2) or None in ends:
            bad = next((w.strip() for w in piece.split("-") if _index(w.strip(), names) is None), piece)
            close = nearest(bad[:3], names)
            advice = (
                f"did you mean {close}?"
                if close
                else f"one of {', '.join(names)}, or a range such as {names[0]}-{names[4]}"
            )
            faults.add(path, f"{bad!r} in {written!r} is not known", advice)
            return frozenset()
        first, last = ends[0] or 0, ends[-1] or 0
        found |= {i % len(names) for i in range(first, last + 1 + (len(names) if last < first else 0))}
    return frozenset(found)


def _index(word: str, names: tuple[str, ...]) -> int | None:
    folded = word.casefold()
    return next((i for i, name in enumerate(names) if len(folded) >= 3 and folded[:3] == name.casefold()), None)


def _hours(written: str | None, path: PathKey, faults: FaultList) -> tuple[int, int]:
    whole = 0, SECONDS_PER_DAY
    if written is None:
        return whole
    match = _HOURS.fullmatch(written.strip())
    numbers = [int(n) for n in match.groups()] if match else []
    if not numbers or numbers[0] > 23 or numbers[2] > 24 or max(numbers[1], numbers[3]) > 59 or numbers[2:] > [24, 0]:
        faults.add(path, f"{written!r} are not hours", 'write 24-hour clock times, such as "17:00-21:00"')
        return whole
    start_s, end_s = numbers[0] * 3600 + numbers[1] * 60, numbers[2] * 3600 + numbers[3] * 60
    if start_s == end_s:
        faults.add(path, f"{written!r} is empty", "leave out `hours` for the whole day")
        return whole
    return start_s, end_s


def _season(written: str | None, path: PathKey, faults: FaultList) -> tuple[tuple[int, int], tuple[int, int]] | None:
    if written is None:
        return None
    match = _SEASON.fullmatch(written.strip())
    if match is not None:
        months = [_index(match[name], MONTHS) for name in ("first_month", "last_month")]
        if None not in months:
            first, last = ((month or 0) + 1 for month in months)
            days = (first, int(match["first_day"])), (last, int(match["last_day"]))
            if all(1 <= day <= monthrange(LEAP_YEAR, month)[1] for month, day in days):
                return days
    faults.add(path, f"{written!r} is not a season", "write its first and last day, such as 1 Jun - 15 Sep")
    return None
