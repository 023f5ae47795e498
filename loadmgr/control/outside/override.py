"""What people order about an EVSE: kept until it ends, and told in words.

Rules
-----
1. An order lowers what an EVSE may be given, or puts it first; no circuit's limit gives way to it.
2. The last order counts. One without an end is over with the session that ran when it came, or else with the next one.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from loadmgr.control.alarm import Severity
from loadmgr.control.outside.outside import Override, OverrideSet
from loadmgr.control.state import EvseRecord, SiteState
from loadmgr.model.ids import TransactionId
from loadmgr.model.topology import Site

BOOST_PRIORITY = 1000
"""Of an EVSE that is boosted: the highest class that there is."""


def fold_override(state: SiteState, seen: OverrideSet) -> None:
    """Take an order, or take one back."""
    record = state.evses.get(seen.evse)
    if record is None:
        state.alarms.raise_unknown(
            "EVSE",
            seen.evse,
            at=seen.at,
            severity=Severity.NOTE,
            seen=f"{seen.by or 'somebody'} gave an order about {seen.evse}",
            advice="correct the id of the EVSE",
        )
        return
    running = None if record.charging is None or seen.until is not None else record.charging.transaction
    nothing = seen.limit_a is None and not seen.boost
    if record.override is not None:
        _end(record)
    record.override = None if nothing else Override(order=seen, transaction=running)
    state.triggers.append(f"{seen.evse}: {said(seen, state.site)}")


def order_of(record: EvseRecord, now: datetime) -> OverrideSet | None:
    """Return the order in force about an EVSE."""
    held = record.override
    if held is None or (held.order.until is not None and held.order.until <= now):
        return None
    running = None if record.charging is None else record.charging.transaction
    return held.order if held.transaction in (None, running) else None


def bind_order(record: EvseRecord, transaction: TransactionId) -> None:
    """Let an order without an end, which came while nobody was there, end with the session that begins."""
    held = record.override
    if held is not None and held.order.until is None and held.transaction is None:
        record.override = Override(order=held.order, transaction=transaction)


def drop_ended(state: SiteState, now: datetime) -> None:
    """Forget the orders that have ended, and have a new plan made."""
    for record in state.evses.values():
        if record.override is not None and order_of(record, now) is None:
            _end(record)
            state.triggers.append(f"{record.evse.id}: an order ended")


def _end(record: EvseRecord) -> None:
    """End an order; whoever was paused by it need not stay off for the sake of its contactor's rest."""
    record.override, record.off_since = None, None


def said(order: OverrideSet, site: Site) -> str:
    """Return an order in words.

    Examples
    --------
    An order reads "paused by ann", "limited to 10 A by ann until 18:00", "first by order of ann".
    """
    by = order.by or "hand"
    if order.boost:
        words = f"first by order of {by}"
    elif order.limit_a is None:
        return f"no more orders, by {by}"
    else:
        words = f"paused by {by}" if order.limit_a == 0.0 else f"limited to {order.limit_a:g} A by {by}"
    if order.until is None:
        return words
    return f"{words} until {order.until.astimezone(ZoneInfo(site.time_zone)):%H:%M}"
