"""Schedules on the wall clock (``useLocalTime`` of OCPP 2.1).

Rules
-----
1. Only the wall clock of the start counts; its offset is ignored, and validity is not affected (K01.FR.90).
2. Over a change of the clock the schedule follows the wall clock: the periods of the skipped hour are skipped, those of
   the repeated hour run twice (K01.FR.91). A duration counts seconds of that axis, so 24 h daily fill every local day.
3. Between two changes the offset is constant, and there the schedule is an ordinary one. So a local entry becomes one
   entry for each such span, clipped to it.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from loadmgr.composite.stack import Entry

_DAY_S = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = int((datetime(2, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
_LAST = int((datetime(9998, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds())


def place_local(entries: list[Entry], zone: ZoneInfo | None, start: int, end: int) -> list[Entry]:
    """Return ``entries`` with each local one replaced by ordinary ones that hold on ``[start, end)``.

    Without a zone the wall clock shows UTC.
    """
    if not any(entry.local for entry in entries):
        return entries
    spans = [(start, end, 0)] if zone is None else offset_spans(zone, start, end)
    out: list[Entry] = []
    for entry in entries:
        if not entry.local or entry.origin is None:
            out.append(entry)
            continue
        for span_start, span_end, offset_s in spans:
            valid_from, valid_to = max(entry.valid_from, span_start), min(entry.valid_to, span_end)
            if valid_from < valid_to:
                placed = entry._replace(
                    valid_from=valid_from, valid_to=valid_to, origin=entry.origin - offset_s, local=False
                )
                out.append(placed)
    return out


def offset_spans(zone: ZoneInfo, start: int, end: int) -> list[tuple[int, int, int]]:
    """Return ``(start, end, offset)`` of the spans of constant offset [s] that make up ``[start, end)``."""
    spans = []
    span_start, offset_s = start, _offset_s(zone, start)
    known = start
    while known < end:
        probe = min(known + _DAY_S, end)
        probed = _offset_s(zone, probe)
        if probed != offset_s:
            low, high = known, probe  # the offset is still the old one at low, no more at high
            while high - low > 1:
                middle = (low + high) // 2
                if _offset_s(zone, middle) == offset_s:
                    low = middle
                else:
                    high = middle
            spans.append((span_start, high, offset_s))
            span_start, offset_s = high, _offset_s(zone, high)
            probe = high
        known = probe
    if span_start < end:
        spans.append((span_start, end, offset_s))
    return spans


def _offset_s(zone: ZoneInfo, when: int) -> int:
    instant = _EPOCH + timedelta(seconds=min(max(when, _FIRST), _LAST))
    return int((instant.astimezone(zone).utcoffset() or timedelta(0)).total_seconds())
