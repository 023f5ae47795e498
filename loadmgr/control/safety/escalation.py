"""What is done about a station that accepts a limit and draws more: a ladder, climbed until readings show obedience.

Rules
-----
1. From the first excess until it is proven again the EVSE counts with its installed maximum (``assumption``): nothing
   on the ladder makes room for anybody, and so nothing on it is urgent for the others.
2. A rung is left only when a reading after it still shows the excess, or the station refused it. The form that worked
   is kept for the session, because the station would ignore the usual one again.
3. Where the circuit cannot hold the installed maximum although everybody else is down, forms are skipped: pause, stop;
   the first reading that shows a pause to be ignored ends it, so that all is done within the reaction time.
4. A pause is no proof: 0 A may be all that it knows. After a quiet while it is tried with the minimum again.
5. A driver loses the session with the last rung, so where the circuits hold all that the EVSE can draw it has to go on
   for a while before.
6. What is known of the model leaves rungs out (quirks 1, 2, 11, 15, 18, 20, 44): some models do not come back from
   being taken out of service.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from loadmgr.control.command import Command, SetAvailability, StopTransaction, Urgency
from loadmgr.control.decision import Standing
from loadmgr.control.safety.assumption import standing_of
from loadmgr.control.safety.circuits import LoadBook
from loadmgr.control.safety.failsafe import Step
from loadmgr.control.safety.rung import Escalation, LeaseForm, Rung
from loadmgr.control.sending.form import pauses_at_zero
from loadmgr.control.sending.pending import Purpose
from loadmgr.control.sending.profiles import is_lasting, limit_command, minimum_a, takes_unit, usual_form
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import Charging, EvseRecord, SiteState
from loadmgr.control.traits import PauseMode
from loadmgr.control.watch import is_helpless
from loadmgr.model.profile import ProfileKind, ProfilePurpose, RateUnit
from loadmgr.model.topology import CurrentType, LimitBy

RESENDS = 2
"""So often the limit is sent again as it was: a message may have been lost inside the station."""

LONGEST_WAIT_FACTOR = 8
"""The last rung is tried again ever more slowly, up to so many times the usual wait."""


def rungs_of(state: SiteState, record: EvseRecord) -> tuple[Rung, ...]:
    """Return the ladder of an EVSE: what its station is not known to be deaf to, or to be harmed by."""
    evse, station = record.evse, state.stations[record.evse.station]
    traits = station.traits
    other = RateUnit.W if usual_form(state, record).unit is RateUnit.A else RateUnit.A
    alone = len(state.site.evses_of(evse.station)) == 1
    mode = None if traits is None else traits.pause_mode
    shared = station.station.limit_by is LimitBy.STATION_MAXIMUM  # the other purposes are somebody else's
    ladder = [Rung.RESEND]
    if evse.current_type is CurrentType.AC and takes_unit(station, other):
        ladder.append(Rung.OTHER_UNIT)
    if not shared and (traits is None or traits.kind is None):
        ladder.append(Rung.OTHER_KIND)
    if not shared and (traits is None or traits.takes_tx_default is not False):
        ladder.append(Rung.AS_DEFAULT)
    if not shared and alone and (traits is None or traits.takes_maximum is not False):
        ladder.append(Rung.AS_MAXIMUM)
    if pauses_at_zero(station) and mode in (None, PauseMode.ZERO):
        ladder.append(Rung.PAUSE)
    ladder.append(Rung.STOP)
    return tuple(ladder)


def escalation_steps(
    state: SiteState,
    record: EvseRecord,
    *,
    hurry: bool,
    settings: ControlSettings,
    now: datetime,
    first_id: int,
) -> list[Step]:
    """Return what is sent now to an EVSE that disobeys.

    Parameters
    ----------
    hurry : bool
        Its installed maximum does not fit, whatever the others do.
    first_id : int
        Id of the first command.
    """
    evse = record.evse
    if any(p.evse == evse.id and p.purpose in (Purpose.LEASE, Purpose.ESCALATION) for p in state.pending.values()):
        return []
    if record.charging is None:
        return back_in_service(state, record, settings=settings, now=now, first_id=first_id)
    rung = _rung_due(state, record, hurry=hurry, settings=settings, now=now)
    if rung is None:
        return []
    before = record.escalation
    if before is None or before.rung is not rung:
        record.escalation = Escalation(rung=rung, since=now, at=now)
    else:
        record.escalation = Escalation(rung=rung, since=before.since, at=now, tries=before.tries + 1)
    probing = rung is Rung.RESEND and before is not None and before.rung is Rung.PAUSE
    return _act(state, record, record.charging, rung, probing=probing, first_id=first_id, now=now)


def escalation_due(state: SiteState, record: EvseRecord, settings: ControlSettings) -> datetime | None:
    """Return when the ladder of an EVSE is to be looked at again."""
    on = record.escalation
    if on is None or record.obedience.disobeying_since is None:
        return None
    if on.rung is Rung.PAUSE and not _still_exceeds(state, record, on):
        return _quiet_since(record, on) + timedelta(seconds=settings.quarantine_s)
    return on.at + timedelta(seconds=_wait_s(on, settings))


def _rung_due(
    state: SiteState, record: EvseRecord, *, hurry: bool, settings: ControlSettings, now: datetime
) -> Rung | None:
    ladder, on = rungs_of(state, record), record.escalation
    if on is None or on.rung not in ladder:
        return _hardest_first(ladder) if hurry else ladder[0]
    if on.refused:
        return _next(ladder, on.rung)
    if hurry and on.rung not in (Rung.PAUSE, Rung.STOP) and not _has_left(record):
        return _hardest_first(ladder)
    ignored = _still_exceeds(state, record, on)
    in_vain = hurry and ignored and on.rung is not Rung.STOP
    if not in_vain and now < on.at + timedelta(seconds=_wait_s(on, settings)):
        return None
    if not ignored:
        return _renewal(state, record, on, hurry=hurry, settings=settings, now=now)
    if on.rung is Rung.RESEND and on.tries < RESENDS:
        return Rung.RESEND
    following = _next(ladder, on.rung)
    if following is Rung.STOP and not hurry and not _had_its_chance(record, settings, now):
        return None
    return following


def _had_its_chance(record: EvseRecord, settings: ControlSettings, now: datetime) -> bool:
    since = record.obedience.disobeying_since
    return since is None or now >= since + timedelta(seconds=settings.quarantine_s)


def _hardest_first(ladder: tuple[Rung, ...]) -> Rung:
    return Rung.PAUSE if Rung.PAUSE in ladder else Rung.STOP


def _next(ladder: tuple[Rung, ...], rung: Rung) -> Rung:
    return ladder[min(ladder.index(rung) + 1, len(ladder) - 1)]


def _has_left(record: EvseRecord) -> bool:
    """Return whether the latest reading of an EVSE that disobeys shows no excess."""
    excess, left = record.obedience.excess_at, record.obedience.left_at
    return excess is None or (left is not None and left > excess)


def _still_exceeds(state: SiteState, record: EvseRecord, on: Escalation) -> bool:
    excess = record.obedience.excess_at
    if excess is None or _has_left(record):
        return False
    return excess > on.at + timedelta(seconds=state.site.timing.settle_s)


def _renewal(
    state: SiteState, record: EvseRecord, on: Escalation, *, hurry: bool, settings: ControlSettings, now: datetime
) -> Rung | None:
    """Return the rung again where its limit would run out, or the first one where a pause has been quiet for long."""
    tried = _quiet_since(record, on) + timedelta(seconds=settings.quarantine_s)
    if on.rung is Rung.PAUSE and not hurry and now >= tried:
        return Rung.RESEND
    if on.rung is Rung.STOP or is_lasting(state, record):
        return None
    return on.rung if now >= on.at + timedelta(seconds=state.site.failsafe.lease_s / 2.0) else None


def _wait_s(on: Escalation, settings: ControlSettings) -> float:
    if on.rung is Rung.STOP:
        return float(settings.resend_s * min(LONGEST_WAIT_FACTOR, 2 ** (on.tries - 1)))
    return float(settings.resend_s)


def _quiet_since(record: EvseRecord, on: Escalation) -> datetime:
    return max(on.since, record.obedience.excess_at or on.since)


def _act(
    state: SiteState,
    record: EvseRecord,
    charging: Charging,
    rung: Rung,
    *,
    probing: bool,
    first_id: int,
    now: datetime,
) -> list[Step]:
    evse = record.evse
    if rung is Rung.STOP:
        return _stop(state, record, charging, first_id)
    record.form = form_of(state, record, rung)
    record.holding.ignores(record.form.ignored)
    limit_a = min(record.obedience.disobeyed_a, evse.min_a)  # low enough to tell obedience from what it did anyway
    if limit_a >= evse.min_a or probing:
        limit_a = minimum_a(state, record)
    current_a = 0.0 if rung is Rung.PAUSE else limit_a
    command = limit_command(state, record, charging, current_a, command_id=first_id, now=now)
    command = replace(command, urgency=Urgency.SAFETY, reason=f"it ignores its limit: {rung.value}")
    return [(command, Purpose.ESCALATION, evse.id)]


def form_of(state: SiteState, record: EvseRecord, rung: Rung) -> LeaseForm:
    """Return the form in which a rung sends its limit."""
    usual, own = usual_form(state, record), state.stations[record.evse.station].form
    match rung:
        case Rung.RESEND:
            return record.form
        case Rung.OTHER_UNIT:
            return replace(own, unit=RateUnit.W if usual.unit is RateUnit.A else RateUnit.A)
        case Rung.OTHER_KIND:
            absolute = usual.kind is ProfileKind.ABSOLUTE
            return LeaseForm(kind=ProfileKind.RELATIVE if absolute else ProfileKind.ABSOLUTE)
        case Rung.AS_DEFAULT:
            return LeaseForm(purpose=ProfilePurpose.TX_DEFAULT)
        case Rung.AS_MAXIMUM:
            return LeaseForm(purpose=ProfilePurpose.CHARGE_POINT_MAX)
        case _:
            return own


def _stop(state: SiteState, record: EvseRecord, charging: Charging, first_id: int) -> list[Step]:
    """Return the commands of the last rung: out of service first, so that nothing starts again by itself."""
    evse, traits = record.evse, state.stations[record.evse.station].traits
    commands: list[Command] = []
    if (traits is None or traits.change_availability is not False) and not record.out_of_service:
        record.out_of_service = True
        commands.append(
            SetAvailability(
                id=first_id,
                station=evse.station,
                number=evse.number,
                operative=False,
                urgency=Urgency.SAFETY,
                reason="it ignores its limit: out of service",
            )
        )
    commands.append(
        StopTransaction(
            id=first_id + len(commands),
            station=evse.station,
            transaction=charging.transaction,
            urgency=Urgency.SAFETY,
            reason="it ignores its limit: its transaction is stopped",
        )
    )
    return [(command, Purpose.ESCALATION, evse.id) for command in commands]


def back_in_service(
    state: SiteState, record: EvseRecord, *, settings: ControlSettings, now: datetime, first_id: int
) -> list[Step]:
    """Return the command that lets an EVSE serve again once it was quiet for a while; its maximum stays reserved."""
    if not record.out_of_service:
        return []
    if any(p.evse == record.evse.id and p.purpose is Purpose.ESCALATION for p in state.pending.values()):
        return []
    excess, stood = record.obedience.excess_at, record.retry_at
    if stood is not None and now < stood:
        return []
    if excess is not None and now < excess + timedelta(seconds=settings.quarantine_s):
        return []
    record.retry_at = now + timedelta(seconds=settings.resend_s)
    command = SetAvailability(
        id=first_id,
        station=record.evse.station,
        number=record.evse.number,
        operative=True,
        reason="back in service: it has to prove itself",
    )
    return [(command, Purpose.ESCALATION, record.evse.id)]


def escalate(
    state: SiteState, book: LoadBook, *, settings: ControlSettings, now: datetime, first_id: int
) -> list[Step]:
    """Return what is sent to EVSEs that disobey, and to those that did."""
    steps: list[Step] = []
    for record in state.evses.values():
        if not state.stations[record.evse.station].connected:
            continue
        next_id = first_id + len(steps)
        if standing_of(state, record) is Standing.DISOBEYING:
            hurry = is_helpless(state, book, record.evse.id, now)
            steps += escalation_steps(state, record, hurry=hurry, settings=settings, now=now, first_id=next_id)
        else:
            steps += back_in_service(state, record, settings=settings, now=now, first_id=next_id)
    return steps
