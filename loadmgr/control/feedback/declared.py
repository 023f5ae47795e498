"""What was declared for a session: by driver, vehicle, calendar or rule; who is nearer to the driver counts.

Rules
-----
1. Each thing that can be said (departure, need, priority, what the vehicle is) has a source of its own. A source gives
   way to those above it in ``RANKS``; of equals the last word counts.
2. What was never said stays open: habits and defaults answer for it when a plan is made, and nobody is held to them.
"""

import math
from datetime import datetime, timedelta

from loadmgr.control.observation import SessionDeclared, VehicleDeclared
from loadmgr.control.state import Charging, EvseRecord, SiteState
from loadmgr.model.ids import TransactionId
from loadmgr.model.session import EnergyNeed, VehicleLimits

DECLARATION_KEPT_S = 900
"""How long a declaration without a transaction waits for the next one [s]."""

BY_NOBODY, BY_RULE, BY_CALENDAR, BY_VEHICLE = "default", "rule", "calendar", "vehicle"

RANKS = {BY_NOBODY: 0, BY_RULE: 1, BY_CALENDAR: 2, BY_VEHICLE: 3}
"""Sources that give way to others; whoever is not named here, a driver or an operator, gives way to nobody."""


def declare(state: SiteState, record: EvseRecord, seen: SessionDeclared) -> None:
    """Take what was declared for the running session, or keep it for the next one."""
    charging = record.charging
    if charging is None:
        record.declared = seen
        return
    if seen.transaction is not None and seen.transaction != charging.transaction:
        return
    apply_declaration(charging, seen)
    state.triggers.append(f"{record.evse.id}: {seen.source} said what it needs")


def declared_before(record: EvseRecord, transaction: TransactionId, at: datetime) -> SessionDeclared | None:
    """Return what was declared for the next session, if it is this one and was not long ago; it is then used up."""
    waiting, record.declared = record.declared, None
    if waiting is None or waiting.transaction not in (None, transaction):
        return None
    return waiting if at - waiting.at <= timedelta(seconds=DECLARATION_KEPT_S) else None


def from_vehicle(record: EvseRecord, seen: VehicleDeclared) -> SessionDeclared:
    """Return what a vehicle said as a declaration; it speaks of energy from now on, a session counts from its start.

    A vehicle counts seconds until it leaves, and its station makes a time of day of them: one that has passed is of a
    clock that was never set, and says nothing.
    """
    departure = seen.departure if seen.departure is not None and seen.departure > seen.at else None
    delivered = 0.0 if record.charging is None else record.charging.ledger.delivered_wh
    limits = VehicleLimits(min_a=_possible(seen.min_a), max_a=_possible(seen.max_a), max_w=_possible(seen.max_w))
    asked_wh = _possible(seen.energy_wh)
    return SessionDeclared(
        at=seen.at,
        evse=record.evse.id,
        departure=departure,
        need=None if asked_wh is None else EnergyNeed(wanted_wh=asked_wh + delivered),
        vehicle=None if limits == VehicleLimits() else limits,
        source=BY_VEHICLE,
    )


def _possible(value: float | None) -> float | None:
    """Return what a vehicle said, or nothing where it cannot be: cars send -1 for what they do not know."""
    return value if value is not None and 0.0 <= value < math.inf else None


def apply_declaration(charging: Charging, seen: SessionDeclared) -> None:
    """Put what was declared into a session; what was not said, or said by somebody nearer, stays."""
    if seen.departure is not None and _takes(charging, "departure", seen):
        charging.departure = max(seen.departure, charging.started)
    if seen.need is not None and _takes(charging, "need", seen):
        charging.need = seen.need
    if seen.priority is not None and _takes(charging, "priority", seen):
        charging.priority = seen.priority
    if seen.vehicle is not None and _takes(charging, "vehicle", seen):
        charging.vehicle = seen.vehicle
    if seen.discharge is not None and _takes(charging, "discharge", seen):
        charging.discharge = seen.discharge
    if rank(seen.source) >= rank(charging.source):
        charging.source = seen.source


def _takes(charging: Charging, what: str, seen: SessionDeclared) -> bool:
    """Return whether a source may say this of a session, and remember that it did."""
    if rank(seen.source) < rank(charging.said_by.get(what, BY_NOBODY)):
        return False
    charging.said_by[what] = seen.source
    return True


def rank(source: str) -> int:
    """Return how near a source is to the driver; higher counts."""
    return RANKS.get(source, len(RANKS))
