"""Reductions that cannot wait for a plan: what the meter has just shown is answered first, and planned for afterwards.

Rules
-----
1. It only lowers: nobody gets more than he may hold now, or was last meant to get.
2. Few are lowered by much, not all by a little: each write wears a station's flash, and the plan that follows at once
   stays near to what it finds. Whoever would be raised last goes first: down to his minimum, and after all others are
   there, down to nothing.
3. Who cannot be told now is no help: a limit of his is under way already, or was just refused.
4. Whoever may hold less than is assumed of him is paused, because his minimum could be more than he has.
5. Water that no vehicle can let off is left to the plan and its alarms; so is what only who comes next could draw.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from loadmgr.control.planning.requests import controllable
from loadmgr.control.safety.assumption import Assumed, limit_now_a
from loadmgr.control.safety.circuits import CircuitRows, LoadBook
from loadmgr.control.safety.envelope import constant
from loadmgr.control.sending.form import pauses_at_zero
from loadmgr.control.sending.pending import Purpose
from loadmgr.control.sending.profiles import minimum_a
from loadmgr.control.sending.reconcile import raise_order
from loadmgr.control.state import SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.units import CURRENT_TOLERANCE_A, floor_to_step


def relieved_a(
    state: SiteState,
    targets_a: Mapping[EvseId, float],
    *,
    assumed: Mapping[EvseId, Assumed],
    rows: CircuitRows,
    now: datetime,
) -> dict[EvseId, float] | None:
    """Return setpoints that fit under every limit as far as lowering them helps; ``None`` where none has to be lowered.

    Parameters
    ----------
    targets_a : mapping
        What was last wanted [A per phase].
    assumed : mapping
        What has to be assumed of every EVSE.
    rows : CircuitRows
        The limits and side loads of now.
    """
    held = _held_a(state, targets_a, now)
    if not held:
        return None
    meant = {e: replace(a, envelope=constant(held[e])) if e in held else a for e, a in assumed.items()}
    book = LoadBook(state.site, rows, meant, now=now, until_s=now.timestamp() + state.site.failsafe.lease_s)
    if not _overfull(book):
        return None
    out = dict(held)
    told_soon = _last_raised_first(state, held, now)
    for to_nothing in (False, True):
        for row in _overfull(book):
            for evse in told_soon:
                _lower(state, book, out, evse, row=row, to_nothing=to_nothing)
    return out if any(out[e] < held[e] - CURRENT_TOLERANCE_A for e in out) else None


def _overfull(book: LoadBook) -> list[int]:
    return [row for row in book.overfull() if not book.rows.lasting[row]]


def _held_a(state: SiteState, targets_a: Mapping[EvseId, float], now: datetime) -> dict[EvseId, float]:
    """Return what every EVSE that follows setpoints has: what it may hold, or less where that is on its way."""
    out = {}
    for record in state.evses.values():
        if controllable(state, record) is not None:
            held = limit_now_a(state, record, now)
            out[record.evse.id] = min(held, targets_a.get(record.evse.id, held))
    return out


def _last_raised_first(state: SiteState, held_a: Mapping[EvseId, float], now: datetime) -> list[EvseId]:
    under_way = {p.evse for p in state.pending.values() if p.purpose is Purpose.LEASE}
    ranked = []
    for evse, current in held_a.items():
        record = state.evses[evse]
        waits = record.retry_at is not None and now < record.retry_at
        if current > 0.0 and record.charging is not None and evse not in under_way and not waits:
            ranked.append((raise_order(record.charging, evse), evse))
    return [evse for _, evse in sorted(ranked, reverse=True)]


def _lower(
    state: SiteState, book: LoadBook, out: dict[EvseId, float], evse: EvseId, *, row: int, to_nothing: bool
) -> None:
    """Lower one EVSE by what a row is still above its limit, to its minimum or to nothing."""
    excess = book.excess_a(row, evse)
    if excess is None or excess <= CURRENT_TOLERANCE_A:
        return
    record = state.evses[evse]
    least = minimum_a(state, record)
    current = floor_to_step(out[evse] - excess, step=record.evse.step_a)
    unsure = len(record.holding.worlds()) > 1  # it may hold less than is assumed: its minimum could be a raise
    if to_nothing or unsure:
        if not pauses_at_zero(state.stations[record.evse.station]):
            return
        current = 0.0 if unsure or current < least else current
    current = max(current, 0.0 if to_nothing or unsure else least)
    if current < out[evse] - CURRENT_TOLERANCE_A:
        out[evse] = current
        book.lower(evse, current)
