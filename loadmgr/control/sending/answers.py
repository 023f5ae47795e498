"""What the answers to commands change: what stations hold, how far their fail-safe is proven, and what is tried next.

Rules
-----
1. ``ACCEPTED`` installs, ``REJECTED`` and ``TOO_OFTEN`` change nothing, anything else leaves a doubt: the higher limit
   counts. What is refused as too often is sent again as it was, since nothing speaks against its form.
2. A read-back that shows more than what should hold means that something else is installed: everything is cleared and
   set anew, at once the first time and then ever more slowly: stations keep profiles in flash. One that shows nothing
   (many stations answer badly) proves nothing, and the acknowledgement stands.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.control.alarm import Severity
from loadmgr.control.command import ClearProfile, SetAvailability, SetProfile
from loadmgr.control.observation import CommandAnswered, CompositeReported, Outcome
from loadmgr.control.outside.foreign import fold_composite_limit
from loadmgr.control.safety.assumption import limit_now_a, w_per_a_at_worst
from loadmgr.control.safety.holding import FailSafeStage, Settling, given_back
from loadmgr.control.sending.form import failsafe_forms, limit_as_usual, limit_by_maximum, may_limit_by_maximum
from loadmgr.control.sending.pending import Pending, Purpose
from loadmgr.control.sending.profiles import failsafe_of
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import EvseRecord, SiteState, StationRecord
from loadmgr.model.ids import EvseId
from loadmgr.model.profile import ProfilePurpose, RateUnit
from loadmgr.model.units import CURRENT_TOLERANCE_A

READ_BACK_TOLERANCE_A = 0.11
"""Answers are rounded to a tenth, by some up [A]."""

READ_BACKS_TRIED = 3
"""A station that leaves so many read-backs unanswered is believed by its acknowledgement."""

REFUSALS_OF_A_FORM = 2
"""One refusal may have other reasons (a transaction that just ended); after so many the form is changed."""

CLEARS_TRIED = 2
"""After so many clears in vain, a person has to look."""

NOT_TAKEN = (Outcome.REJECTED, Outcome.TOO_OFTEN)
"""Answers that say for sure that nothing was changed."""

REFUSED = (Outcome.REJECTED, Outcome.FAILED)
"""Answers of a station that does not take what it was sent, and would not take it a second time."""

LONGEST_WAIT_DOUBLINGS = 6
"""So often the wait before the next clear is doubled: from a minute to half an hour."""


def fold_answer(state: SiteState, seen: CommandAnswered, settings: ControlSettings) -> None:
    """Fold how a command ended."""
    pending = state.pending.pop(seen.command, None)
    if pending is None:
        _fold_late(state, seen)
        return
    station = state.stations[pending.station]
    if seen.outcome in (Outcome.ACCEPTED, *NOT_TAKEN):
        station.heard_at = seen.at
    match pending.purpose:
        case Purpose.LEASE | Purpose.FAILSAFE | Purpose.MAXIMUM:
            _fold_profile(state, pending, seen, settings)
        case Purpose.ESCALATION:
            _fold_profile(state, pending, seen, settings)
            _fold_escalation(state, pending, seen)
        case Purpose.READ_BACK:
            if seen.outcome is not Outcome.ACCEPTED:
                _not_read_back(state, pending, seen)
        case Purpose.CLEAR | Purpose.LEFTOVER:
            _fold_clear(station, pending, seen, settings)
        case Purpose.CAPABILITIES | Purpose.FOREIGN | Purpose.READING:
            pass
    _alarm_silence(state, pending, seen)


def _fold_clear(station: StationRecord, pending: Pending, seen: CommandAnswered, settings: ControlSettings) -> None:
    if pending.purpose is Purpose.CLEAR:
        station.clear_first = False
    elif isinstance(pending.command, ClearProfile) and seen.outcome in (Outcome.ACCEPTED, Outcome.REJECTED):
        station.leftovers = tuple(i for i in station.leftovers if i != pending.command.profile_id)
    else:
        station.retry_at = seen.at + timedelta(seconds=settings.resend_s)


def _alarm_silence(state: SiteState, pending: Pending, seen: CommandAnswered) -> None:
    if seen.outcome is Outcome.TIMED_OUT:
        state.alarms.raise_alarm(
            "no answer",
            pending.station,
            at=seen.at,
            severity=Severity.WARNING,
            cause=f"station {pending.station} did not answer: {pending.purpose.value}",
            advice="what it was asked counts as not done; look at its network if this goes on",
        )
    elif seen.outcome in (Outcome.ACCEPTED, *NOT_TAKEN):
        state.alarms.clear("no answer", pending.station, at=seen.at)


def _fold_profile(state: SiteState, pending: Pending, seen: CommandAnswered, settings: ControlSettings) -> None:
    command = pending.command
    if not isinstance(command, SetProfile):
        return
    evses = state.site.evses_of(pending.station) if pending.evse is None else (state.site.evse_by_id[pending.evse],)
    for evse in evses:
        record = state.evses[evse.id]
        if seen.outcome is Outcome.ACCEPTED:
            installed = InstalledProfile(evse_id=command.number, profile=command.profile)
            _install(state, record, command.id, installed, at=seen.at)
        elif seen.outcome in NOT_TAKEN:
            record.holding.refused(command.id)
    match pending.purpose:
        case Purpose.LEASE:
            _fold_lease(state, pending, seen, settings)
        case Purpose.FAILSAFE:
            _fold_failsafe(state, pending, seen, settings)
        case Purpose.MAXIMUM:
            _fold_maximum(state, pending, seen, settings)


def _install(state: SiteState, record: EvseRecord, command: int, installed: InstalledProfile, *, at: datetime) -> None:
    profile = installed.profile
    charging = record.charging
    if profile.purpose is ProfilePurpose.TX and (
        charging is None or profile.transaction_id not in (None, charging.transaction)
    ):
        return  # its transaction is over, and the profile with it
    before = limit_now_a(state, record, at)
    record.holding.acknowledged(command, installed)
    record.changed_at = at
    after = limit_now_a(state, record, at)
    if before > after + CURRENT_TOLERANCE_A:
        # Without a transaction nothing is delivered, so there is nothing to measure.
        trusted = record.obedience.proven or charging is None
        until = at + timedelta(seconds=state.site.timing.settle_s) if trusted else None
        record.holding.settling.append(Settling(limit_a=before, below_a=after, since=at, until=until))
    elif profile.purpose is record.form.purpose:
        given_back(record.holding, after)


def _without_extras(state: SiteState, record: EvseRecord, pending: Pending, *, at: datetime) -> bool:
    """Return whether a lease was refused that asked for more than a limit; it is not asked for again in this session.

    So a station that takes limits is never taken for one that refuses them because it cannot feed back, or change
    phases.
    """
    if not isinstance(pending.command, SetProfile) or record.charging is None:
        return False
    first = pending.command.profile.schedules[0].periods[0]
    if first.setpoint is None and first.phases is None:
        return False
    if first.setpoint is not None:
        what, record.discharge_refused, record.discharge_a = "to feed back", True, 0.0
    else:
        what, record.phases_seen = "to change its phases", None
        record.phases_refused, record.phases_lease, record.phases_wanted = True, None, None
        record.holding.touched()
    subject = record.evse.id
    state.alarms.raise_alarm(
        "more than a limit refused",
        subject,
        at=at,
        severity=Severity.NOTE,
        cause=f"{subject} refused {what}, which the site file and its station say that it can",
        advice="nothing to do: it is limited as before; mend the site file if it goes on",
    )
    state.triggers.append(f"{subject} refused {what}")
    return True


def _fold_lease(state: SiteState, pending: Pending, seen: CommandAnswered, settings: ControlSettings) -> None:
    record = state.evses[_evse_of(pending)]
    subject = record.evse.id
    if seen.outcome is Outcome.ACCEPTED:
        record.refusals = 0
        if record.obedience.disobeying_since is None:
            record.retry_at = None  # else its limit is sent again at a pace of its own
        state.alarms.clear("limit refused", subject, at=seen.at)
        return
    if seen.outcome in REFUSED and _without_extras(state, record, pending, at=seen.at):
        return
    if seen.outcome is Outcome.TOO_OFTEN:
        record.retry_at = seen.at + timedelta(seconds=settings.resend_s)
        state.triggers.append(f"{subject}: limit {seen.outcome.value}")
        return
    record.refusals += 1
    record.retry_at = seen.at + timedelta(seconds=settings.resend_s * min(8, 2 ** (record.refusals - 1)))
    told = seen.outcome in REFUSED
    charging, often = record.charging is not None, record.refusals >= REFUSALS_OF_A_FORM
    if charging and often and (told or seen.outcome is Outcome.TIMED_OUT):
        # Some refuse a kind of schedule, some answer it with an error, and some not at all (quirks 6 and 7).
        state.stations[pending.station].lease_form += 1
    if charging and told:
        state.alarms.raise_alarm(
            "limit refused",
            subject,
            at=seen.at,
            severity=Severity.WARNING,
            cause=f"{subject} refused its limit{_because(seen)}; what it holds counts on",
            advice="look whether the station's own load balancing or another backend governs it",
        )
    state.triggers.append(f"{subject}: limit {seen.outcome.value}")


def _fold_failsafe(state: SiteState, pending: Pending, seen: CommandAnswered, settings: ControlSettings) -> None:
    record = state.evses[_evse_of(pending)]
    station = state.stations[pending.station]
    subject = record.evse.id
    if seen.outcome is Outcome.ACCEPTED:
        record.holding.stage = max(record.holding.stage, FailSafeStage.ACKNOWLEDGED)
        record.holding.reinstall = False
        state.alarms.clear("no fail-safe", subject, at=seen.at)
        return
    if seen.outcome not in REFUSED:
        station.retry_at = seen.at + timedelta(seconds=settings.resend_s)
    elif _is_refusal(state, pending):
        _next_failsafe_form(state, station, seen, settings)
    state.alarms.raise_alarm(
        "no fail-safe",
        subject,
        at=seen.at,
        severity=Severity.DANGER,
        cause=f"the fail-safe of {subject} was {seen.outcome.value}{_because(seen)}",
        advice="until it is acknowledged the EVSE counts with its installed maximum; other forms are tried",
    )


def _because(seen: CommandAnswered) -> str:
    """Return what a station gave as its reason, to be put behind what it did."""
    return f": {seen.reason}" if seen.reason else ""


def _is_refusal(state: SiteState, pending: Pending) -> bool:
    """Return whether it was the present form that was refused: EVSEs of one station are asked at the same time."""
    record, command = state.evses[_evse_of(pending)], pending.command
    wanted = failsafe_of(state, record, state.stations[pending.station]).profile
    return isinstance(command, SetProfile) and command.profile == wanted


def _next_failsafe_form(
    state: SiteState, station: StationRecord, seen: CommandAnswered, settings: ControlSettings
) -> None:
    """Try the next form of a fail-safe at once; after the last one the station maximum, then all of them again."""
    station.failsafe_form += 1
    station.retry_at = seen.at + timedelta(seconds=settings.resend_s)
    if station.usual is not None and station.form.whole:
        limit_as_usual(state, station)
    elif station.failsafe_form < failsafe_forms(station):
        station.retry_at = seen.at
    elif may_limit_by_maximum(state, station):
        limit_by_maximum(state, station)
        station.retry_at = seen.at
    elif station.failsafe_form >= 2 * failsafe_forms(station):
        station.failsafe_form = 0


def _fold_escalation(state: SiteState, pending: Pending, seen: CommandAnswered) -> None:
    """Note a rung that the station did not take: the next one comes at once."""
    record, command = state.evses[_evse_of(pending)], pending.command
    accepted = seen.outcome is Outcome.ACCEPTED
    if isinstance(command, SetAvailability):
        if command.operative:
            record.out_of_service = not accepted
        elif seen.outcome in REFUSED:
            record.out_of_service = False
    elif isinstance(command, SetProfile) and record.escalation is not None and not accepted:
        record.escalation = replace(record.escalation, refused=seen.outcome in REFUSED)


def _fold_maximum(state: SiteState, pending: Pending, seen: CommandAnswered, settings: ControlSettings) -> None:
    if seen.outcome is Outcome.TOO_OFTEN:
        station = state.stations[pending.station]
        station.maximum_asked, station.retry_at = False, seen.at + timedelta(seconds=settings.resend_s)
    elif seen.outcome is Outcome.REJECTED:
        _note_no_maximum(state, pending, seen)
    elif seen.outcome is Outcome.ACCEPTED:
        state.alarms.clear("no station maximum", pending.station, at=seen.at)


def _note_no_maximum(state: SiteState, pending: Pending, seen: CommandAnswered) -> None:
    state.alarms.raise_alarm(
        "no station maximum",
        pending.station,
        at=seen.at,
        severity=Severity.NOTE,
        cause=f"station {pending.station} takes no station maximum{_because(seen)}",
        advice="none is needed: its default profile is the fail-safe",
    )


def _not_read_back(state: SiteState, pending: Pending, seen: CommandAnswered) -> None:
    record = state.evses[_evse_of(pending)]
    if seen.outcome is Outcome.TIMED_OUT:
        record.holding.read_backs_lost += 1
    if seen.outcome in REFUSED or record.holding.read_backs_lost >= READ_BACKS_TRIED:
        record.holding.read_backs_lost = 0
        _inconclusive(state, record, seen, f"answered no read-back ({seen.outcome.value})")


def _inconclusive(state: SiteState, record: EvseRecord, seen: CommandAnswered | CompositeReported, why: str) -> None:
    if record.holding.stage is FailSafeStage.ACKNOWLEDGED:
        record.holding.stage = FailSafeStage.READ_BACK
        state.triggers.append(f"{record.evse.id} is ready")
    state.alarms.raise_alarm(
        "not read back",
        record.evse.id,
        at=seen.at,
        severity=Severity.NOTE,
        cause=f"{record.evse.id} {why}; that it holds its fail-safe is known from its acknowledgement alone",
        advice="prove it once with the operator present: cut the link and see that it falls back",
    )


def _evse_of(pending: Pending) -> EvseId:
    if pending.evse is None:
        raise ValueError(f"command {pending.command.id} must concern one EVSE")
    return pending.evse


def fold_composite(state: SiteState, seen: CompositeReported, settings: ControlSettings) -> None:
    """Fold what a station says is in force: its fail-safe is proven, or something else is installed."""
    evse_id = state.evse_of.get((seen.station, seen.number))
    station = state.stations.get(seen.station)
    if evse_id is None or station is None:
        return
    record = state.evses[evse_id]
    if record.holding.stage is FailSafeStage.MISSING:
        return
    reported = None if seen.schedule is None else _reported_a(state, record, seen)
    if reported is None:
        _inconclusive(state, record, seen, "gave no schedule that makes sense")
        return
    expected = limit_now_a(state, record, seen.at)
    simulates_nothing = record.charging is None and reported >= record.evse.max_a - READ_BACK_TOLERANCE_A
    if reported <= expected + READ_BACK_TOLERANCE_A:
        station.mismatches = 0
        for kind in ("leftover profile", "not read back"):
            state.alarms.clear(kind, evse_id, at=seen.at)
        fold_composite_limit(state, record, seen, reported_a=reported, expected_a=expected)
        if record.holding.stage is FailSafeStage.ACKNOWLEDGED:
            record.holding.stage = FailSafeStage.READ_BACK
            state.triggers.append(f"{evse_id} is ready")
    elif simulates_nothing and station.mismatches >= CLEARS_TRIED:
        # Without a transaction some stations report their maximum alone, whatever default is set.
        _inconclusive(state, record, seen, f"reports {reported:.1f} A although nobody charges")
    else:
        _mismatch(state, record, seen, reported_a=reported, expected_a=expected)
        if station.mismatches >= CLEARS_TRIED:
            wait_s = settings.resend_s * 2 ** min(station.mismatches - 1, LONGEST_WAIT_DOUBLINGS)
            station.retry_at = seen.at + timedelta(seconds=wait_s)


def _reported_a(state: SiteState, record: EvseRecord, seen: CompositeReported) -> float | None:
    if seen.schedule is None or not seen.schedule.periods:
        return None
    limit = seen.schedule.periods[0].limit
    if limit is None or limit < 0.0:
        return None
    if seen.schedule.unit is RateUnit.W:
        limit /= w_per_a_at_worst(state, record)
    return min(limit, record.evse.max_a)


def _mismatch(
    state: SiteState, record: EvseRecord, seen: CompositeReported, *, reported_a: float, expected_a: float
) -> None:
    station = state.stations[record.evse.station]
    station.mismatches += 1
    station.clear_first = True
    for evse in state.site.evses_of(record.evse.station):
        state.evses[evse.id].holding.forgotten()
    state.alarms.raise_alarm(
        "leftover profile",
        record.evse.id,
        at=seen.at,
        severity=Severity.DANGER,
        cause=f"{record.evse.id} reports a limit of {reported_a:.1f} A where {expected_a:.1f} A should hold",
        advice="its profiles are cleared and set again; look for another backend or app that governs it, and at its"
        " clock",
    )
    state.triggers.append(f"{record.evse.id} holds something else")


def _fold_late(state: SiteState, seen: CommandAnswered) -> None:
    """Take an answer that came after the command was given up."""
    for record in state.evses.values():
        for doubt in record.holding.doubtful:
            if doubt.command != seen.command:
                continue
            if seen.outcome is Outcome.ACCEPTED:
                _install(state, record, doubt.command, doubt.installed, at=seen.at)
            elif seen.outcome in NOT_TAKEN:
                record.holding.refused(doubt.command)
            break
