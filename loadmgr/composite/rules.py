"""May this profile be installed? The checks of SetChargingProfile, in one order, first fault answers.

Rules
-----
1. Order: what the station supports, EVSE, purpose and EVSE, schedule, transaction, duplicates, capacity. A refused
   request changes nothing.
2. Each refusal names reason code, requirement and field. Where a requirement binds the CSMS only (K01.FR.03, 06, 19,
   20, 22, 34, 39) the station may refuse, and does.
3. In 1.6 an unknown connector is a CALLERROR (errata 3.39); everything else is the status Rejected.
"""

from collections.abc import Sequence
from datetime import datetime

from loadmgr.composite.bound import MAX_PROFILES
from loadmgr.composite.compiled import Compiled, is_over, seconds
from loadmgr.composite.rules_schedule import check_schedule
from loadmgr.composite.rules_v2x import check_schedule_21, check_support, has_phase_values
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.transaction import NeedsTold, StationTransaction
from loadmgr.composite.verdict import ACCEPTED, Verdict, refused
from loadmgr.model.profile import ChargingProfile, OcppVersion, ProfileKind, ProfilePurpose

_ALWAYS = 1 << 62
_TX_LAYER = (ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT, ProfilePurpose.PRIORITY_CHARGING)


def check_profile(
    profile: ChargingProfile,
    *,
    evse_id: int,
    settings: StationSettings,
    transaction: StationTransaction | None,
    installed: Sequence[Compiled],
    now: datetime,
) -> Verdict:
    """Return whether SetChargingProfile is accepted.

    Parameters
    ----------
    profile : ChargingProfile
    evse_id : int
    settings : StationSettings
    transaction : StationTransaction, optional
        The one that runs on ``evse_id``.
    installed : sequence of Compiled
        What the station holds.
    now : datetime
        Receipt.
    """
    v21, when = settings.version is OcppVersion.V21, seconds(now)
    return (
        (check_support(profile, settings) if v21 else None)
        or _check_purpose(profile, evse_id, settings)
        or _check_schedules(profile, settings, transaction)
        or _check_transaction(profile, settings, transaction)
        or _check_needs(profile, settings, transaction)
        or (_check_phase_to_use(profile, evse_id, installed, when=when) if v21 else None)
        or _check_duplicates(profile, evse_id, settings, installed, when=when)
        or _check_capacity(profile, evse_id, settings, installed, when=when)
        or ACCEPTED
    )


def check_start_profile(
    profile: ChargingProfile,
    *,
    evse_id: int,
    settings: StationSettings,
    installed: Sequence[Compiled],
    now: datetime,
) -> Verdict:
    """Return whether the profile of a RemoteStartTransaction or RequestStartTransaction is accepted.

    It must be a TxProfile without a transaction id, because the transaction is yet to come (1.6 section 5.11,
    K05.FR.02); otherwise the start is refused (K05.FR.05).
    """
    v16 = settings.version is OcppVersion.V16
    if profile.purpose is not ProfilePurpose.TX:
        requirement = "1.6 5.11" if v16 else "K05.FR.05"
        return refused("InvalidProfile", requirement, "purpose", "a start takes a TxProfile only")
    if profile.transaction_id is not None:
        requirement = "1.6 5.11" if v16 else "K05.FR.02"
        return refused("InvalidProfile", requirement, "transaction_id", "the transaction has no id yet")
    return (
        (check_support(profile, settings) if settings.version is OcppVersion.V21 else None)
        or _check_purpose(profile, evse_id, settings)
        or _check_schedules(profile, settings, None)
        or _check_capacity(profile, evse_id, settings, installed, when=seconds(now))
        or ACCEPTED
    )


def replaced_by(
    profile: ChargingProfile, *, evse_id: int, settings: StationSettings, installed: Sequence[Compiled]
) -> list[Compiled]:
    """Return what an accepted profile replaces.

    The same id anywhere. In 1.6 also the same purpose and stack level on the same connector (sections 5.16.3, 5.16.4;
    both can fire at once), whatever its validity.
    """
    v16 = settings.version is OcppVersion.V16
    return [
        c
        for c in installed
        if c.profile.profile_id == profile.profile_id
        or (
            v16
            and c.evse_id == evse_id
            and c.profile.purpose is profile.purpose
            and c.profile.stack_level == profile.stack_level
        )
    ]


def _check_purpose(profile: ChargingProfile, evse_id: int, settings: StationSettings) -> Verdict | None:
    purpose, v16 = profile.purpose, settings.version is OcppVersion.V16
    if not 0 <= evse_id <= settings.evses:
        detail = f"must lie in 0..{settings.evses}, got {evse_id}"
        if v16:
            return refused(
                "UnknownEVSE", "1.6 errata 3.39", "evse_id", detail, call_error="PropertyConstraintViolation"
            )
        return refused("UnknownEVSE", "K01.FR.28", "evse_id", detail)
    if purpose is ProfilePurpose.CHARGE_POINT_MAX and evse_id > 0:
        return refused(
            "InvalidValue", "1.6 3.13.1" if v16 else "K04.FR.03", "evse_id", "the station maximum lives on 0"
        )
    if purpose is ProfilePurpose.CHARGE_POINT_MAX and profile.kind is ProfileKind.RELATIVE:
        requirement = "1.6 3.13.1, read as K01.FR.38" if v16 else "K01.FR.38"
        return refused("InvalidValue", requirement, "kind", "the station maximum must not be relative")
    if purpose is ProfilePurpose.TX and evse_id == 0:
        return refused("InvalidValue", "1.6 3.13.1" if v16 else "K01.FR.16", "evse_id", "a TxProfile needs an EVSE")
    if purpose is ProfilePurpose.EXTERNAL_CONSTRAINTS:
        return refused("InvalidValue", "K01.FR.22", "purpose", "external constraints do not come from the CSMS")
    highest = settings.max_stack_level
    if profile.stack_level < 0 or (highest is not None and profile.stack_level > highest):
        wanted = "must be 0 or more" if highest is None else f"must lie in 0..{highest}"
        return refused(
            "InvalidStackLevel",
            "1.6 9.2 ChargeProfileMaxStackLevel" if v16 else "SmartChargingCtrlr.ProfileStackLevel",
            "stack_level",
            f"{wanted}, got {profile.stack_level}",
        )
    return None


def _check_schedules(
    profile: ChargingProfile, settings: StationSettings, transaction: StationTransaction | None
) -> Verdict | None:
    iso15118 = settings.iso15118 or (transaction is not None and transaction.needs is not None)
    if len(profile.schedules) > 1 and (not iso15118 or profile.purpose is not ProfilePurpose.TX):
        detail = "several schedules need a TxProfile in an ISO 15118 session"
        return refused("InvalidSchedule", "K01.FR.34", "schedules", detail)
    if profile.kind is ProfileKind.RECURRING and profile.recurrency is None:
        return refused(
            "InvalidProfile", "1.6 7.12" if settings.version is OcppVersion.V16 else "K01", "recurrency", "missing"
        )
    for index in range(len(profile.schedules)):
        verdict = check_schedule(profile, index, settings)
        if verdict is None and settings.version is OcppVersion.V21:
            verdict = check_schedule_21(profile, index, settings)
        if verdict is not None:
            return verdict
    return None


def _check_transaction(
    profile: ChargingProfile, settings: StationSettings, transaction: StationTransaction | None
) -> Verdict | None:
    if profile.purpose is not ProfilePurpose.TX:
        return None
    v16 = settings.version is OcppVersion.V16
    if transaction is None:
        requirement = "1.6 5.16.4" if v16 else "K01.FR.09"
        return refused("TxNotFound", requirement, "transaction_id", "no transaction runs on the EVSE")
    if profile.transaction_id is None:
        return None if v16 else refused("MissingParam", "K01.FR.03", "transaction_id", "missing")
    if profile.transaction_id != transaction.transaction_id:
        detail = f"{transaction.transaction_id} runs there, got {profile.transaction_id}"
        return refused("TxNotFound", "1.6 5.16" if v16 else "K01.FR.33", "transaction_id", detail)
    return None


def _check_needs(
    profile: ChargingProfile, settings: StationSettings, transaction: StationTransaction | None
) -> Verdict | None:
    """Refuse what comes before the vehicle of an ISO 15118 session said its needs, or does not fit to them."""
    if profile.purpose is not ProfilePurpose.TX or transaction is None or settings.version is OcppVersion.V16:
        return None
    if transaction.needs is NeedsTold.NOT_YET:
        detail = "the vehicle has not said its needs yet"
        return refused("InvalidMessageSeq", "K15.FR.17, K18.FR.17", "transaction_id", detail)
    if transaction.needs is NeedsTold.IN_TOTAL:
        for index, schedule in enumerate(profile.schedules):
            for number, period in enumerate(schedule.periods):
                if has_phase_values(period):
                    field = f"schedules[{index}].periods[{number}]"
                    detail = "the vehicle named no values for L2 and L3"
                    return refused("PhaseConflict", "K01.FR.143, K01.FR.144", field, detail)
    return None


def _check_phase_to_use(
    profile: ChargingProfile, evse_id: int, installed: Sequence[Compiled], *, when: int
) -> Verdict | None:
    """Refuse a phase to use that contradicts what applies to the same EVSE at the same time (K01.FR.141)."""
    wanted = _phases_to_use(profile)
    if not wanted:
        return None
    for compiled in installed:
        other = compiled.profile
        if other.profile_id == profile.profile_id or _layer(other) == _layer(profile):
            continue  # replaced, or never in force together
        shared = 0 in (compiled.evse_id, evse_id) or compiled.evse_id == evse_id
        if shared and _phases_to_use(other) - wanted and _overlap(other, profile, when):
            detail = f"profile {other.profile_id} uses phase {min(_phases_to_use(other) - wanted)}"
            return refused("PhaseConflict", "K01.FR.141", "schedules[0].periods", detail)
    return None


def _layer(profile: ChargingProfile) -> ProfilePurpose:
    return ProfilePurpose.TX if profile.purpose in _TX_LAYER else profile.purpose


def _phases_to_use(profile: ChargingProfile) -> set[int]:
    return {p.phase_to_use for s in profile.schedules for p in s.periods if p.phase_to_use is not None}


def _check_duplicates(
    profile: ChargingProfile, evse_id: int, settings: StationSettings, installed: Sequence[Compiled], *, when: int
) -> Verdict | None:
    """Refuse what 2.x does not let stand side by side: its store is keyed by id, not by purpose and level."""
    if settings.version is OcppVersion.V16:
        return None
    for compiled in installed:
        other = compiled.profile
        if other.profile_id == profile.profile_id:
            if other.purpose is ProfilePurpose.EXTERNAL_CONSTRAINTS:
                detail = "an external constraint holds this id and is not replaced"
                return refused("DuplicateProfile", "K01.FR.05", "profile_id", detail)
            continue
        if other.purpose is not profile.purpose or other.stack_level != profile.stack_level:
            continue
        field = "stack_level"
        detail = f"profile {other.profile_id} holds this purpose and level"
        if profile.purpose is ProfilePurpose.TX:
            if compiled.evse_id == evse_id and other.transaction_id == profile.transaction_id:
                return refused("DuplicateProfile", "K01.FR.39", field, f"{detail} for the transaction")
        elif profile.purpose is ProfilePurpose.TX_DEFAULT and (compiled.evse_id == 0) is not (evse_id == 0):
            requirement = "K01.FR.52" if evse_id == 0 else "K01.FR.53"
            return refused("DuplicateProfile", requirement, field, f"{detail} on EVSE {compiled.evse_id}")
        elif compiled.evse_id == evse_id and _overlap(other, profile, when):
            return refused("DuplicateProfile", "K01.FR.06", "valid_from", f"{detail} at an overlapping time")
    return None


def _overlap(installed: ChargingProfile, new: ChargingProfile, when: int) -> bool:
    """Return whether two validities overlap; half open, and one without a start begins with its receipt."""
    starts = [
        -_ALWAYS if installed.valid_from is None else seconds(installed.valid_from),
        when if new.valid_from is None else seconds(new.valid_from),
    ]
    ends = [_ALWAYS if p.valid_to is None else seconds(p.valid_to) for p in (installed, new)]
    return max(starts) < min(ends)


def most_profiles(settings: StationSettings) -> int:
    """Return how many profiles a station holds at most."""
    return MAX_PROFILES if settings.max_profiles is None else settings.max_profiles


def _check_capacity(
    profile: ChargingProfile, evse_id: int, settings: StationSettings, installed: Sequence[Compiled], *, when: int
) -> Verdict | None:
    """Refuse one profile too many; a replacement at the limit must pass, and what has expired makes room."""
    most = most_profiles(settings)
    if len(installed) < most:
        return None
    installed = [c for c in installed if not is_over(c, when)]
    gone = replaced_by(profile, evse_id=evse_id, settings=settings, installed=installed)
    if len(installed) - len(gone) + 1 > most:
        requirement = "1.6 9.4" if settings.version is OcppVersion.V16 else "SmartChargingCtrlr.Entries"
        detail = f"the station holds at most {most} profiles"
        return refused("TooManyElements", requirement, "profile_id", detail)
    return None
