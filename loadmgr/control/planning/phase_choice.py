"""One phase or three: where three phases have no room for the minimum, one may.

Rules
-----
1. Only where the site file says so, the station does not say otherwise, and it is known which phase is left: OCPP 1.6
   charges on its own L1; one of 2.x that can choose is told which, and one that did not say is not switched.
2. Nobody is switched under current: first a limit of 0 A is in force and settled, then the phases change, then a limit
   on them is given like any raise. So while nobody knows on how many phases, there is nothing to count on either.
3. Falling back must not bring the other phases back: an EVSE that falls back to more than 0 A is never switched.
4. After a change it stays for ``DWELL_S``, whatever comes: contactors wear, and vehicles take a minute to start again.
5. One that draws on a phase that it was to leave counts on every phase, and is not switched again in its session.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from loadmgr.control.decision import Standing
from loadmgr.control.feedback.acceptance import is_resting
from loadmgr.control.outside.override import order_of
from loadmgr.control.planning.discharge import net_wh
from loadmgr.control.planning.requests import upper_bound_a
from loadmgr.control.safety.assumption import limit_now_a, standing_of
from loadmgr.control.safety.circuits import LoadBook
from loadmgr.control.sending.lease_phases import phases_of_lease
from loadmgr.control.sending.profiles import fallback_a, rate_unit
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import EvseRecord, SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.profile import OcppVersion, ProfilePurpose, RateUnit
from loadmgr.model.topology import CurrentType, LimitBy, Trust

DWELL_S = 600.0
"""How long an EVSE stays on as many phases as it was switched to [s]: as EVerest's hysteresis."""

GAIN_RATIO = 1.2
"""Three phases have to bring so much more than one to be worth the pause."""


def may_switch(state: SiteState, record: EvseRecord) -> bool:
    """Return whether an EVSE may be switched between one phase and three within a session."""
    evse, station = record.evse, state.stations[record.evse.station]
    if not evse.switches_phases or len(evse.phases) != 3 or evse.current_type is CurrentType.DC:
        return False
    if fallback_a(state.site, evse) > 0.0 or station.station.zero_ok is Trust.NO or record.phases_refused:
        return False
    said = None if station.capabilities is None else station.capabilities.switches_phases
    known = None if station.traits is None else station.traits.switches_phases
    if (said if known is None else known) is False:
        return False
    lease = record.form.purpose is ProfilePurpose.TX and station.station.limit_by is LimitBy.TRANSACTION
    in_amperes = (record.form.unit or rate_unit(station, evse)) is RateUnit.A
    return lease and in_amperes and (station.version is OcppVersion.V16 or phase_to_use(state, record) is not None)


def phase_to_use(state: SiteState, record: EvseRecord) -> int | None:
    """Return the phase that is charged on alone, of the EVSE's own; ``None`` where nobody knows which it would be.

    One that cannot choose uses its first; one that can has to be told, or it chooses itself (K01.FR.48, 2.x).
    """
    capabilities = state.stations[record.evse.station].capabilities
    if capabilities is None:
        return None
    known = {*capabilities.fixed_phase_evses, *capabilities.choosing_evses}
    return 1 if 0 in known or record.evse.number in known else None


def switch_phases(state: SiteState, now: datetime) -> None:
    """Change the phases of every EVSE that is to change them and surely draws nothing."""
    for record in state.evses.values():
        if record.phases_wanted is None or record.charging is None:
            continue
        if record.phases_wanted == phases_of_lease(record):
            record.phases_wanted = None
            continue
        holding = record.holding
        still = not (holding.settling or holding.doubtful) and limit_now_a(state, record, now) <= 0.0
        quiet = record.changed_at is None or now >= record.changed_at + timedelta(seconds=state.site.timing.settle_s)
        if still and quiet and standing_of(state, record) is Standing.OBEYING:
            record.phases_lease, record.phases_wanted = record.phases_wanted, None
            record.phases_seen = (0,) if record.phases_lease == 1 else None
            record.phases_hint, record.phases_switched_at = None, now
            record.accepts_a, record.accepts_since, record.off_since = None, None, None
            holding.touched()
            state.triggers.append(f"{record.evse.id} charges on {_count(record.phases_lease)} now")


def with_pauses(state: SiteState, targets_a: Mapping[EvseId, float]) -> dict[EvseId, float]:
    """Return the setpoints [A per phase] with nothing for those whose phases are about to change."""
    return {e: 0.0 if state.evses[e].phases_wanted is not None else a for e, a in targets_a.items()}


def choose_phases(
    state: SiteState,
    targets_a: Mapping[EvseId, float],
    *,
    book: LoadBook,
    settings: ControlSettings,
    now: datetime,
) -> None:
    """Note who is to change from three phases to one, or back.

    Parameters
    ----------
    targets_a : mapping
        Setpoints of the plan [A per phase].
    book : LoadBook
        The load when every setpoint is in force.
    """
    for evse_id, target_a in targets_a.items():
        record = state.evses[evse_id]
        if not record.evse.switches_phases or not _may_change(state, record, now):
            continue
        if not (may_switch(state, record) and _hungry(record, settings, now)):
            continue
        most_a = _most_a(state, record, settings, now)
        if phases_of_lease(record) == 1:
            three_a = min(most_a, book.room_on_a(evse_id, record.evse.phases))
            wanted = 3 if three_a >= record.evse.min_a and 3.0 * three_a > GAIN_RATIO * max(target_a, 0.0) else 1
        else:
            alone = record.phases_seen is not None and len(record.phases_seen) == 1
            blocked = target_a <= 0.0 and not alone
            blocked = blocked and book.room_on_a(evse_id, record.evse.phases) < record.evse.min_a
            one_a = min(most_a, book.room_on_a(evse_id, record.evse.phases[:1]))
            wanted = 1 if blocked and one_a >= record.evse.min_a else 3
        if wanted != phases_of_lease(record):
            record.phases_wanted = wanted
            state.triggers.append(f"{evse_id} is to charge on {_count(wanted)}")


def _may_change(state: SiteState, record: EvseRecord, now: datetime) -> bool:
    if record.charging is None or record.phases_wanted is not None or order_of(record, now) is not None:
        return False
    if standing_of(state, record) is not Standing.OBEYING:
        return False
    since = record.phases_switched_at
    return since is None or now >= since + timedelta(seconds=DWELL_S)


def _hungry(record: EvseRecord, settings: ControlSettings, now: datetime) -> bool:
    charging = record.charging
    if charging is None or is_resting(record, now):
        return False
    wanted_wh = settings.need_wh if charging.need is None else charging.need.wanted_wh
    return net_wh(charging) < wanted_wh


def _most_a(state: SiteState, record: EvseRecord, settings: ControlSettings, now: datetime) -> float:
    assert record.charging is not None
    return upper_bound_a(state, record, record.charging, settings=settings, now=now)


def refuse_switching(record: EvseRecord) -> None:
    """Note that an EVSE draws on a phase that it was to leave."""
    record.phases_refused, record.phases_lease, record.phases_wanted = True, None, None


def _count(phases: int) -> str:
    return "one phase" if phases == 1 else f"{phases} phases"
