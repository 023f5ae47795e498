"""Which period leads: the stack of one purpose, or of the transaction's purposes, at every instant.

Rules
-----
1. Inside a purpose the highest stack level that *has a period* at t leads (2.0.1 section 3.5, K01.FR.17). A profile
   that is valid but has no period at t blocks nothing; so says OCPP 1.6 section 5.16.4, against the letter of 3.13.2.
2. A TxProfile overrules TxDefaultProfiles wherever it has a period, whatever the levels (K02.FR.08); an active
   PriorityCharging overrules both (K21.FR.04). So the transaction's purposes are one list, in that order.
3. On a level that two profiles hold, the newest installation leads; rules allow no such tie but direct loading does.
4. Gap filling: the top profile fills the window, only what it leaves open goes one level down. The work is linear in
   the pieces produced: at most (window / recurrence + 2) x periods for each profile, and one more for each gap.
"""

from bisect import bisect_left, bisect_right
from itertools import islice
from typing import NamedTuple

from loadmgr.composite.compiled import NO_CODE, NOTHING, UNBOUNDED, Compiled, Record
from loadmgr.composite.conversion import NO_LIMIT
from loadmgr.model.profile import SchedulePeriod


class Entry(NamedTuple):
    """A compiled profile placed in time, clipped to its validity.

    Parameters
    ----------
    valid_from, valid_to : int
        Half open [s since the epoch].
    origin : int or None
        Start of the first occurrence; ``None`` is the start of the window (a simulated transaction, K08.FR.06).
    step_s, length_s : int
        Distance and length of occurrences [s].
    starts : list of int
        Not empty.
    keys, codes : list of int
    periods : list of SchedulePeriod
    owner : Compiled
    local : bool
        Whether the origin is on the wall clock; such an entry must be placed first (local_time).
    """

    valid_from: int
    valid_to: int
    origin: int | None
    step_s: int
    length_s: int
    starts: list[int]
    keys: list[int]
    codes: list[int]
    periods: list[SchedulePeriod]
    owner: Compiled
    local: bool


Limits = tuple[list[int], list[int], list[int], bool]
"""Starts [s after the window's], key and phase code that lead from each, and whether nothing leads anywhere."""

Leading = tuple[list[int], list[Record]]
"""Starts [s after the window's], and the record that leads from each; ``NOTHING`` where none does."""

Gaps = list[tuple[int, int]]


def fill(entries: list[Entry], start: int, length_s: int) -> Limits:
    """Return the limits that lead on ``[start, start + length_s)``, the first start being 0.

    Who decides them is not looked at: keys and codes lie in lists of their own, so that an answer over cold memory
    touches nothing else.

    Parameters
    ----------
    entries : list of Entry
        The highest first.
    start : int
        Of the window [s since the epoch].
    length_s : int
        Of the window [s].
    """
    times: list[int] = []
    keys: list[int] = []
    codes: list[int] = []
    gaps = [(0, length_s)]
    runs = 0
    for entry in entries:
        before = len(times)
        gaps = _fill_gaps(entry, gaps, start, (times, keys, codes))
        runs += len(times) > before
        if not gaps:
            break
    if gaps:
        times += [gap_start for gap_start, _ in gaps]
        keys += [NO_LIMIT] * len(gaps)
        codes += [NO_CODE] * len(gaps)
    if runs > 1 or (runs and gaps):
        order = sorted(range(len(times)), key=times.__getitem__)
        return [times[i] for i in order], [keys[i] for i in order], [codes[i] for i in order], bool(gaps)
    return times, keys, codes, bool(gaps)


def leading(entries: list[Entry], start: int, length_s: int) -> Leading:
    """Return the records that lead on ``[start, start + length_s)``; parameters as for :func:`fill`."""
    records = [record_of(entry, place) for entry in entries for place in range(len(entry.starts))]
    numbers = iter(range(len(records)))
    numbered = [entry._replace(keys=list(islice(numbers, len(entry.starts)))) for entry in entries]
    times, led, _, _ = fill(numbered, start, length_s)
    return times, [NOTHING if number == NO_LIMIT else records[number] for number in led]


def record_of(entry: Entry, place: int) -> Record:
    """Return the record of a period of an entry."""
    return entry.keys[place], entry.codes[place], entry.owner, entry.periods[place]


def _fill_gaps(entry: Entry, gaps: Gaps, start: int, out: tuple[list[int], list[int], list[int]]) -> Gaps:
    """Append to ``out`` what of ``entry`` lies in ``gaps``: times, keys and codes; return what stays open."""
    valid_from, valid_to, origin, step_s, length_s, starts, entry_keys, entry_codes, _, _, _ = entry
    times, keys, codes = out
    origin = 0 if origin is None else origin - start
    valid_from -= start
    valid_to -= start
    lead_s = starts[0]
    left: Gaps = []
    for gap_start, gap_end in gaps:
        low = gap_start if gap_start > valid_from else valid_from
        high = gap_end if gap_end < valid_to else valid_to
        cursor = gap_start
        # nothing before the first origin (K01.FR.30); the running occurrence is the last one that began
        occurrence = low - (low - origin) % step_s if step_s and low > origin else origin
        while occurrence < high:
            piece, first = occurrence + lead_s, 0
            if piece < low:  # it joins in: the period that runs at that instant is active
                piece, first = low, bisect_right(starts, low - occurrence) - 1
            piece_end, last = occurrence + length_s, None
            if piece_end > high:
                piece_end, last = high, bisect_left(starts, high - occurrence, first)
            if piece < piece_end:
                if piece > cursor:
                    left.append((cursor, piece))
                times.append(piece)
                times += [occurrence + s for s in starts[first + 1 : last]]
                keys += entry_keys[first:last]
                codes += entry_codes[first:last]
                cursor = piece_end
            if not step_s:
                break
            occurrence += step_s
        if cursor < gap_end:
            left.append((cursor, gap_end))
    return left


def leading_at(entries: list[Entry], when: int, until: int = UNBOUNDED) -> tuple[Record, int]:
    """Return what leads at ``when`` and an instant until which it surely does.

    The same rules as :func:`fill` for one instant: no list is built.

    Parameters
    ----------
    entries : list of Entry
        The highest first, each with an origin.
    when : int
        [s since the epoch].
    until : int
        What is known to hold no longer than this.
    """
    for valid_from, valid_to, origin, step_s, length_s, starts, keys, codes, periods, owner, _ in entries:
        if when >= valid_to or origin is None:
            continue
        if when < valid_from or when < origin:
            begin = valid_from if valid_from > origin else origin
            until = until if until < begin else begin
            continue
        offset = (when - origin) % step_s if step_s else when - origin
        if starts[0] <= offset < length_s:
            place = bisect_right(starts, offset)
            change = when - offset + (starts[place] if place < len(starts) else length_s)
            change = change if change < valid_to else valid_to
            place -= 1
            record = (keys[place], codes[place], owner, periods[place])
            return record, until if until < change else change
        if offset < starts[0]:
            again = when - offset + starts[0]
        elif step_s:
            again = when - offset + step_s
        else:
            continue
        until = until if until < again else again
    return NOTHING, until
