"""Prices in the JSON documents of those who publish them, as a step function of instants.

Rules
-----
1. A time has a zone: text with one, or POSIX seconds, or milliseconds. So days of 23 and 25 hours need no care.
2. Prices follow each other without a gap, and none is told twice differently: an answer with a hole is refused as a
   whole, because a plan would move everything into the hole, or out of it, for no reason.
3. Where rows do not say when they end, they all last equally long.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from loadmgr.errors import InputError
from loadmgr.feeds.json_place import at_pointer, number_at
from loadmgr.model.series import StepFunction
from loadmgr.site_file.sources import PricePreset

MOST_PER_KWH = 1_000.0
"""A price of more than this, in any currency, is none."""

FIRST_MILLISECONDS = 1e11
LONGEST = timedelta(hours=1)
"""Where rows do not say when they end, none lasts longer."""

Row = tuple[datetime, datetime | None, float]


def prices_in(document: Any, preset: PricePreset) -> StepFunction:
    """Return the prices per kWh of an answer, in the preset's currency.

    Raises
    ------
    InputError
        If there is none, or they have a gap, or one cannot be.
    """
    rows = sorted(set(_rows(document, preset)), key=lambda row: row[0])
    if not rows:
        raise InputError("there is no price in the document")
    ends = _ends(rows)
    for (start, _, _), (later, _, _), end in zip(rows, rows[1:], ends, strict=False):
        if start == later:
            raise InputError(f"there are two prices from {_shown(start)} on")
        if end != later:
            what = "a gap" if end < later else "an overlap"
            raise InputError(
                f"there is {what} in the prices: one ends at {_shown(end)}, the next begins {_shown(later)}"
            )
    return StepFunction(tuple(row[0] for row in rows), tuple(row[2] for row in rows), ends[-1])


def _rows(document: Any, preset: PricePreset) -> Iterator[Row]:
    if not preset.rows:
        starts, values = at_pointer(document, preset.start), at_pointer(document, preset.price)
        if not isinstance(starts, list) or not isinstance(values, list) or len(starts) != len(values):
            raise InputError(f"{preset.start} and {preset.price} of the document are not lists of one length")
        for index, start in enumerate(starts):
            if values[index] is not None:
                yield _instant(start), None, _price(number_at(values, f"/{index}"), preset)
        return
    for pointer in preset.rows:
        rows = at_pointer(document, pointer)
        if not isinstance(rows, list):
            raise InputError(f"{pointer or 'the whole'} of the document is not a list")
        for row in rows:
            end = None if preset.end is None else at_pointer(row, preset.end)
            start = _instant(at_pointer(row, preset.start))
            yield start, None if end is None else _instant(end), _price(number_at(row, preset.price), preset)


def _price(number: float, preset: PricePreset) -> float:
    price = number * preset.per_kwh
    if not abs(price) <= MOST_PER_KWH:
        raise InputError(f"a price of {price:g} per kWh cannot be")
    return round(price, 9)


def _instant(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise InputError(f"{value[:40]!r} is no time") from None
        if at.tzinfo is None:
            raise InputError(f"{value!r} has no zone: twice a year nobody knows when that is")
        return at.astimezone(UTC)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{str(value)[:40]!r} is no time")
    seconds = value / 1000.0 if abs(value) >= FIRST_MILLISECONDS else float(value)
    if not 0.0 <= seconds < 1e10:
        raise InputError(f"{value} is no time of these days")
    return datetime.fromtimestamp(seconds, UTC)


def _ends(rows: Sequence[Row]) -> list[datetime]:
    known = [row[1] for row in rows]
    if all(end is not None for end in known):
        return [end for end in known if end is not None]
    steps = {later[0] - row[0] for row, later in itertools.pairwise(rows)} - {timedelta(0)}
    step = min(steps, default=LONGEST)
    if step > LONGEST:
        raise InputError(f"prices follow each other only every {step}")
    return [row[1] or row[0] + step for row in rows]


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
