"""The draw that has to be assumed of an EVSE: what it may take, not what it last took.

Rules
-----
1. Never seen, not yet proven to hold its fail-safe, or disobeying: the installed maximum on every phase it can use.
2. Obeying, with a transaction: the highest limit that it may hold, on the phases that the vehicle was seen to use.
3. Obeying, without a transaction: what its default profile allows, because a vehicle starts there.
4. Offline: the higher of both, if the station is known to keep its profiles; else the installed maximum.
5. Holding a profile of others that lets more flow than ours (PriorityCharging, LocalGeneration): the installed maximum.
6. A current above 0 and below the minimum counts as the minimum: a vehicle pauses there, or takes the minimum.
7. Whoever takes the place of its vehicle plugs in unheard, on any phase, and may draw what the default profile allows:
   leases end with their transaction. On phases that the vehicle leaves free that counts like a draw of now.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from loadmgr.composite.transaction import StationTransaction
from loadmgr.control.decision import Standing
from loadmgr.control.safety.envelope import Envelope, at_least, constant, from_points, highest, widened
from loadmgr.control.safety.holding import FailSafeStage, Terms, limit_envelope
from loadmgr.control.safety.skew import skew_s
from loadmgr.control.state import Charging, EvseRecord, SiteState
from loadmgr.model.profile import ProfilePurpose
from loadmgr.model.topology import CurrentType, Phase, Trust

LOW_VOLTAGE_RATIO = 0.9
"""A power limit lets more current through when the voltage is low (EN 50160: down to 0.9 of nominal)."""

OUTLOOK_S = 26 * 3600
"""How far ahead the profiles that a station holds are looked at: longer than any lease, and a day of its windows."""

OUTLOOK_KEPT_S = 3600


NOTHING = constant(0.0)


@dataclass(frozen=True, slots=True)
class Assumed:
    """What may be drawn over time, and the grid phases on which; and what the next vehicle may draw anywhere.

    Parameters
    ----------
    envelope : Envelope
        Draw of the vehicle that is there; of an EVSE without a transaction of whoever comes.
    phases : tuple of Phase
        Where it is drawn.
    next_envelope : Envelope
        Draw of whoever takes the place of that vehicle with nobody alive to hear of it, on all phases of the EVSE.
    next_phases : tuple of Phase
        Phases that the vehicle leaves free.
    over_a : float
        What the vehicle draws beyond its limit, whatever that is: within what is no disobedience [A].
    """

    envelope: Envelope
    phases: tuple[Phase, ...]
    next_envelope: Envelope = NOTHING
    next_phases: tuple[Phase, ...] = ()
    over_a: float = 0.0


RAISING = (ProfilePurpose.PRIORITY_CHARGING, ProfilePurpose.LOCAL_GENERATION)
"""Purposes of OCPP 2.1 that overrule a limit of ours (K21.FR.04), or add to it."""


def is_raised(record: EvseRecord) -> bool:
    """Return whether an EVSE holds a profile of others that lets more flow than ours."""
    return any(i.profile.purpose in RAISING for installed in record.foreign.values() for i in installed)


def standing_of(state: SiteState, record: EvseRecord) -> Standing:
    """Return how far an EVSE can be relied on."""
    station = state.stations[record.evse.station]
    if not station.seen:
        return Standing.UNKNOWN
    if not station.connected:
        return Standing.OFFLINE
    if record.holding.stage is not FailSafeStage.READ_BACK:
        return Standing.SETTING_UP
    return Standing.OBEYING if record.obedience.disobeying_since is None else Standing.DISOBEYING


def vehicle_phases(record: EvseRecord) -> tuple[Phase, ...]:
    """Return the grid phases on which the vehicle draws: those that were seen, else every one of the EVSE."""
    if record.charging is None or record.phases_seen is None:
        return record.evse.phases
    return tuple(record.evse.phases[i] for i in record.phases_seen)


def phases_reckoned(record: EvseRecord) -> int:
    """Return on how many phases a vehicle surely charges: energy is never promised on phases that nobody has seen.

    So a new vehicle is planned early, shows its phases in its first readings, and may then be moved to cheaper hours.
    """
    if record.charging is None or record.phases_seen is not None:
        return len(vehicle_phases(record))
    if record.evse.current_type is CurrentType.DC:
        return len(record.evse.phases)
    return min(record.charging.vehicle.phases or 1, len(record.evse.phases))


def w_per_a_at_worst(state: SiteState, record: EvseRecord) -> float:
    """Return the least power that goes with 1 A per phase [W]: low voltage, and one phase unless more are proven."""
    evse = record.evse
    if evse.current_type is CurrentType.DC:
        phases = len(evse.phases)
    else:
        phases = 1 if record.phases_seen is None or record.charging is None else len(record.phases_seen)
    return LOW_VOLTAGE_RATIO * state.site.voltage_v * phases


def held_envelope(state: SiteState, record: EvseRecord, now: datetime, *, in_transaction: bool) -> Envelope:
    """Return the highest limit that an EVSE may hold over time, wherever its clock stands within its skew."""
    charging = record.charging if in_transaction else None
    w_per_a = w_per_a_at_worst(state, record)
    key = (None if charging is None else charging.transaction, w_per_a)
    kept = record.holding.cache.get(key)
    now_s = now.timestamp()
    if kept is not None and 0.0 <= now_s - kept[0] < OUTLOOK_KEPT_S:
        return kept[1]
    timing, off_s = state.site.timing, skew_s(state, record.evse.station)
    envelope = _told_envelope(state, record, charging, start=now - timedelta(seconds=off_s + timing.settle_s))
    envelope = widened(envelope, early_s=off_s, late_s=off_s + timing.settle_s)
    record.holding.cache[key] = (now_s, envelope)
    return envelope


def _told_envelope(state: SiteState, record: EvseRecord, charging: Charging | None, *, start: datetime) -> Envelope:
    """Return the highest limit that an EVSE may hold over time if its clock is right."""
    transaction = None
    if charging is not None:
        transaction = StationTransaction(
            evse_id=record.evse.number, transaction_id=charging.transaction, started_at=charging.started
        )
        start = max(start, charging.started)  # before it, a profile relative to the transaction says nothing
    terms = Terms(
        number=record.evse.number,
        settings=state.settings_of(record.evse.station),
        transaction=transaction,
        max_a=record.evse.max_a,
        w_per_a=w_per_a_at_worst(state, record),
    )
    worlds = record.holding.worlds(in_transaction=transaction is not None)
    return limit_envelope(worlds, terms, start=start, duration_s=OUTLOOK_S)


def lowest_ahead_a(state: SiteState, record: EvseRecord, now: datetime, *, ahead_s: float) -> float:
    """Return the lowest limit that an EVSE holds from now on for a while, if its clock is right [A]."""
    w_per_a, now_s = w_per_a_at_worst(state, record), now.timestamp()
    key = (None if record.charging is None else record.charging.transaction, w_per_a)
    kept = record.holding.told.get(key)
    if kept is None or not 0.0 <= now_s - kept[0] < OUTLOOK_KEPT_S:
        kept = (now_s, _told_envelope(state, record, record.charging, start=now))
        record.holding.told[key] = kept
    return kept[1].least_over(now_s, now_s + ahead_s)


def limit_now_a(state: SiteState, record: EvseRecord, now: datetime) -> float:
    """Return the highest limit that an EVSE may hold at this instant, whether or not its vehicle has settled [A]."""
    envelope = held_envelope(state, record, now, in_transaction=record.charging is not None)
    return envelope.at(now.timestamp())


def surely_held_a(state: SiteState, record: EvseRecord, now: datetime) -> float:
    """Return the least that an EVSE may hold at this instant by what is known of it, if its clock is right [A].

    Whoever is to have more than that may be raised in truth, however much is assumed of him.
    """
    charging = record.charging
    transaction = None
    if charging is not None:
        transaction = StationTransaction(
            evse_id=record.evse.number, transaction_id=charging.transaction, started_at=charging.started
        )
    terms = Terms(
        number=record.evse.number,
        settings=state.settings_of(record.evse.station),
        transaction=transaction,
        max_a=record.evse.max_a,
        w_per_a=w_per_a_at_worst(state, record),
    )
    return min(
        limit_envelope((world,), terms, start=now, duration_s=1).at(now.timestamp())
        for world in record.holding.worlds()
    )


def allowed_now_a(state: SiteState, record: EvseRecord, now: datetime) -> float:
    """Return the highest limit that a draw at this instant may still follow [A].

    Old limits count while a vehicle may take to settle, also where only a reading ends what is assumed of it: one that
    still shows the old current afterwards is disobedience, or a circuit would stay overfull and nobody would be cut.
    """
    if is_raised(record):
        return record.evse.max_a
    settle = timedelta(seconds=state.site.timing.settle_s)
    settling = (s.limit_a for s in record.holding.settling if now <= (s.until or s.since + settle))
    return max(limit_now_a(state, record, now), *settling, 0.0)


def assumed_of(state: SiteState, record: EvseRecord, now: datetime) -> Assumed:
    """Return what has to be assumed of an EVSE from now on if no further message arrives."""
    evse = record.evse
    worst = Assumed(constant(evse.max_a), evse.phases)
    if is_raised(record):
        return worst
    match standing_of(state, record):
        case Standing.UNKNOWN | Standing.SETTING_UP | Standing.DISOBEYING:
            return worst
        case Standing.OFFLINE:
            keeps = state.stations[evse.station].known.keeps_profiles is Trust.YES
            proven = record.holding.stage is FailSafeStage.READ_BACK and record.obedience.disobeying_since is None
            if not (keeps and proven):
                return worst
            either = (held_envelope(state, record, now, in_transaction=t) for t in (True, False))
            return Assumed(_settling(highest(either), record), evse.phases)
        case Standing.OBEYING:
            held = held_envelope(state, record, now, in_transaction=record.charging is not None)
            envelope, phases = _lifted(_settling(held, record), evse.min_a), vehicle_phases(record)
            if record.charging is None:
                return Assumed(envelope, phases)
            following = _lifted(held_envelope(state, record, now, in_transaction=False), evse.min_a)
            over_a = 0.0 if record.draw is None else record.draw.over_a
            return Assumed(envelope, phases, following, tuple(p for p in evse.phases if p not in phases), over_a)


def _settling(envelope: Envelope, record: EvseRecord) -> Envelope:
    for old in record.holding.settling:
        envelope = at_least(envelope, old.limit_a, until_s=None if old.until is None else old.until.timestamp())
    return envelope


def _lifted(envelope: Envelope, min_a: float) -> Envelope:
    points = zip(envelope.starts_s, envelope.limits_a, strict=True)
    return from_points([(s, min_a if 0.0 < a < min_a else a) for s, a in points])
