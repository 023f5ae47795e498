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
from typing import NamedTuple

from loadmgr.composite.compiled import NOTHING, UNBOUNDED, Record


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
    records : list of Record
    local : bool
        Whether the origin is on the wall clock; such an entry must be placed first (local_time).
    """

    valid_from: int
    valid_to: int
    origin: int | None
    step_s: int
    length_s: int
    starts: list[int]
    records: list[Record]
    local: bool


Leading = tuple[list[int], list[Record], bool]
"""Starts [s after the window's], the record that leads from each, and whether that is ``NOTHING`` anywhere."""

Gaps = list[tuple[int, int]]


def fill(entries: list[Entry], start: int, length_s: int) -> Leading:
    """Return what leads on ``[start, start + length_s)``, the first start being 0.

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
    records: list[Record] = []
    out = (times, records)
    gaps = [(0, length_s)]
    runs = 0
    for entry in entries:
        before = len(times)
        gaps = _fill_gaps(entry, gaps, start, out)
        runs += len(times) > before
        if not gaps:
            break
    for gap_start, _ in gaps:
        times.append(gap_start)
        records.append(NOTHING)
    if runs + bool(gaps) > 1:
        order = sorted(range(len(times)), key=times.__getitem__)
        return [times[i] for i in order], [records[i] for i in order], bool(gaps)
    return times, records, bool(gaps)


def _fill_gaps(entry: Entry, gaps: Gaps, start: int, out: tuple[list[int], list[Record]]) -> Gaps:
    """Append the pieces of ``entry`` that lie in ``gaps``; return what stays open."""
    valid_from, valid_to, origin, step_s, length_s, starts, entry_records, _ = entry
    times, records = out
    origin = 0 if origin is None else origin - start
    valid_from -= start
    valid_to -= start
    left: Gaps = []
    for gap_start, gap_end in gaps:
        low = gap_start if gap_start > valid_from else valid_from
        high = gap_end if gap_end < valid_to else valid_to
        cursor = gap_start
        # nothing before the first origin (K01.FR.30); the running occurrence is the last one that began
        occurrence = low - (low - origin) % step_s if step_s and low > origin else origin
        while occurrence < high:
            piece_end = occurrence + length_s
            if piece_end > low:
                piece_end = piece_end if piece_end < high else high
                piece = occurrence + starts[0]
                piece = piece if piece > low else low
                if piece < piece_end:
                    if piece > cursor:
                        left.append((cursor, piece))
                    # from the period that runs at the piece's start to the last one that starts in it
                    first = bisect_right(starts, piece - occurrence)
                    last = bisect_left(starts, piece_end - occurrence, first)
                    times.append(piece)
                    times += [occurrence + s for s in starts[first:last]]
                    records += entry_records[first - 1 : last]
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
    for valid_from, valid_to, origin, step_s, length_s, starts, records, _ in entries:
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
            return records[place - 1], until if until < change else change
        if offset < starts[0]:
            again = when - offset + starts[0]
        elif step_s:
            again = when - offset + step_s
        else:
            continue
        until = until if until < again else again
    return NOTHING, until
