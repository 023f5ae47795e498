"""Sessions of which something is told late: what began without a link, and ends that were not said.

Rules
-----
1. History feeds ledgers and never the control: a transaction that is told of afterwards has a ledger of its own,
   until something live names it. Then it is the session of its EVSE, with the energy that it has.
2. A session that was found to be over without its last register waits for it: when the end is told at last, the session
   is told again with its whole energy. Of what is told of one transaction the last counts.
3. So many are remembered for each station; the oldest makes room, as it stands.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from loadmgr.control.feedback.energy import Ledger, with_register, with_value
from loadmgr.control.observation import EvseReading, TransactionEnded, TransactionStarted
from loadmgr.control.state import Charging, EndedSession, EvseRecord, LateSession, SiteState, StationRecord
from loadmgr.model.ids import TransactionId

LATE_REMEMBERED = 16
"""Sessions for each station of which something may still come."""

OLDEST = timedelta(days=30)
"""A start that is said to be older is one of a clock that was never set."""

TOLD_AGAIN_WH = 0.5
"""A session is told again where at least this much came to light [Wh]."""


def evse_of_transaction(state: SiteState, station: StationRecord, transaction: TransactionId) -> EvseRecord | None:
    """Return the record of a station's EVSE at which a transaction runs; ``None`` where it runs at none."""
    for evse in state.site.evses_of(station.station.id):
        record = state.evses[evse.id]
        if record.charging is not None and record.charging.transaction == transaction:
            return record
    return None


def begin_late(state: SiteState, record: EvseRecord, station: StationRecord, seen: TransactionStarted) -> None:
    """Open the ledger of a transaction that began without a link, unless it is known."""
    name = seen.transaction
    running = evse_of_transaction(state, station, name) is not None
    if running or name in station.ended or name in station.late:
        return
    began = grows_since(record, seen)
    charging = Charging(
        transaction=name,
        started=began,
        ledger=Ledger(at=began, register_wh=seen.meter_wh),
        id_token=seen.id_token,
    )
    wait_for(state, station, LateSession(evse=record.evse.id, charging=charging))


def began_at(seen: TransactionStarted) -> datetime:
    """Return when a transaction began: by the station's clock, unless that was never set or is ahead."""
    began = seen.started_at
    return seen.at if began is None or not timedelta(0) < seen.at - began < OLDEST else began


def grows_since(record: EvseRecord, seen: TransactionStarted) -> datetime:
    """Return since when the register of a start may have grown: it may be told long after it happened."""
    began = began_at(seen)
    return began if record.before is None else min(seen.at, max(began, record.before.ended))


def wait_for(state: SiteState, station: StationRecord, session: LateSession) -> None:
    """Remember a session of which something may still come."""
    station.late[session.charging.transaction] = session
    while len(station.late) > LATE_REMEMBERED:
        oldest = station.late.pop(next(iter(station.late)))
        if oldest.ended is None:
            state.ended.append(
                EndedSession(evse=oldest.evse, charging=oldest.charging, ended=state.last_at or oldest.charging.started)
            )


def take_late(station: StationRecord, transaction: TransactionId) -> Charging | None:
    """Return what was told late of a transaction that is found to run, and wait for it no more."""
    late = station.late.get(transaction)
    if late is None or late.ended is not None:
        return None
    return station.late.pop(transaction).charging


def read_late(station: StationRecord, seen: EvseReading, *, max_w: float) -> None:
    """Feed the ledger of a transaction that is over, or was told of late."""
    late = None if seen.transaction is None else station.late.get(seen.transaction)
    if late is not None and seen.energy_wh is not None:
        late.charging.ledger = with_value(
            late.charging.ledger, seen.energy_wh, measured_at=seen.measured_at, at=seen.at, max_w=max_w
        )


def end_late(state: SiteState, station: StationRecord, seen: TransactionEnded, *, max_w: float) -> None:
    """Take the end of a transaction of which it was waited for, and tell of it with what it brings."""
    late = None if seen.transaction is None else station.late.pop(seen.transaction, None)
    if late is None:
        return
    told_wh = late.charging.ledger.delivered_wh
    if seen.meter_wh is not None:
        late.charging.ledger = with_register(late.charging.ledger, seen.meter_wh, at=seen.at, max_w=max_w)
    if late.ended is not None and late.charging.ledger.delivered_wh < told_wh + TOLD_AGAIN_WH:
        return
    ended = late.ended or seen.ended_at or seen.at
    state.ended.append(EndedSession(evse=late.evse, charging=late.charging, ended=max(ended, late.charging.started)))


def completed(charging: Charging, seen: TransactionStarted, *, since: datetime, max_w: float) -> Ledger:
    """Return the ledger of a session that was found running, now that its start is told."""
    ledger = charging.ledger
    if ledger.from_wh is None or seen.meter_wh is None or ledger.resets or not seen.meter_wh <= ledger.from_wh:
        return ledger
    begun = with_register(Ledger(at=since, register_wh=seen.meter_wh), ledger.from_wh, at=seen.at, max_w=max_w)
    return replace(
        ledger,
        delivered_wh=ledger.delivered_wh + begun.delivered_wh,
        refused_wh=ledger.refused_wh + begun.refused_wh,
        from_wh=None,
    )
