"""A profile made ready for stacking: once, when it is installed.

Rules
-----
1. Times are whole seconds since the epoch: every instant is floored (starts and ends alike, so durations stay whole).
2. A period becomes a key, its limit, and a phase code, of which the lowest is the lowest phase count
   (:mod:`loadmgr.composite.conversion`). With its owner and itself it is a record.
3. Periods at or after the end of the occurrence are never executed (OCPP 1.6 section 5.16.4, K01.FR.11).
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from loadmgr.composite.conversion import NO_LIMIT, READ_TOLERANCE
from loadmgr.composite.settings import StationSettings
from loadmgr.model.ids import ProfileId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)

_ZERO = timedelta(0)

UNBOUNDED = 1 << 62
"""A second that never comes: where there is no end."""

DAY_S = 86_400

_AGES = 5_000_000
"""So many days, or weeks, reach back before every calendar."""


@dataclass(slots=True, kw_only=True, eq=False)
class Compiled:
    """A compiled schedule of a profile.

    Parameters
    ----------
    profile : ChargingProfile
    schedule : ChargingSchedule
    evse_id : int
        Where it is installed; 0 is the whole station.
    order : int
        Counts installations: the newest wins a tie.
    starts : list of int
        Starts [s] of the periods after the start of an occurrence, strictly ascending.
    keys, codes : list of int
        Of the periods.
    periods : list of SchedulePeriod
        Those that are executed.
    step_s : int
        Distance [s] of occurrences; 0 where there is one only.
    length_s : int
        Length [s] of an occurrence.
    origin : int or None
        Start of the first occurrence [s since the epoch; wall clock with ``local``]; ``None``: the transaction's.
    valid_from, valid_to : int
        Half-open validity [s since the epoch].
    rich : bool
        Whether a period says more than a limit and a phase count.
    local : bool
        Whether the axis is the wall clock (2.1).
    """

    profile: ChargingProfile
    schedule: ChargingSchedule
    evse_id: int
    order: int
    starts: list[int]
    keys: list[int]
    codes: list[int]
    periods: list[SchedulePeriod]
    step_s: int
    length_s: int
    origin: int | None
    valid_from: int
    valid_to: int
    rich: bool
    local: bool


Record = tuple[int, int, Compiled, SchedulePeriod]
"""Key, phase code, owner and period: one period of one installed profile, and why it decides."""

NO_CODE = 5
"""Phase code of nothing, above every other."""


def seconds(when: datetime) -> int:
    """Return whole seconds since the epoch, floored.

    Raises
    ------
    ValueError
        If ``when`` has no zone.
    """
    if when.tzinfo is None:
        raise ValueError(f"when must carry a time zone, got {when.isoformat()}")
    return math.floor(when.timestamp())


def is_over(compiled: Compiled, when: int) -> bool:
    """Return whether a profile can never have a period again, at ``when`` [s since the epoch] or later.

    A relative one begins anew with the next transaction, and an update revives a dynamic one (K28.FR.15): those end
    with their validity only.
    """
    if compiled.valid_to <= when:
        return True
    origin = compiled.origin
    if compiled.step_s or origin is None or compiled.profile.kind is ProfileKind.DYNAMIC:
        return False
    # on the wall clock the same end comes up to a day later or earlier
    return origin + compiled.length_s + (DAY_S if compiled.local else 0) <= when


def compile_profile(
    profile: ChargingProfile, settings: StationSettings, *, evse_id: int, order: int, schedule_index: int = 0
) -> Compiled:
    """Return ``profile`` ready for stacking.

    Parameters
    ----------
    profile : ChargingProfile
    settings : StationSettings
    evse_id : int
    order : int
        Counts installations.
    schedule_index : int
        Which of the schedules offered to an ISO 15118 vehicle; the last one stands in where there are fewer.
    """
    schedules = profile.schedules
    schedule = schedules[schedule_index] if schedule_index < len(schedules) else schedules[-1]
    kind, step_s = profile.kind, 0
    length_s = UNBOUNDED if schedule.duration_s is None else schedule.duration_s
    origin = _origin(profile, schedule)
    if kind is ProfileKind.RECURRING and profile.recurrency is not None:
        step_s = DAY_S if profile.recurrency is Recurrency.DAILY else 7 * DAY_S
        length_s = min(length_s, step_s)  # the excess is cut (OCPP 1.6 section 5.16.4)
        if settings.recurs_before_start and origin is not None:
            origin -= _AGES * step_s
    elif kind is ProfileKind.DYNAMIC:
        origin, length_s = -UNBOUNDED, _dynamic_length(profile, schedule)
    compiled = Compiled(
        profile=profile,
        schedule=schedule,
        evse_id=evse_id,
        order=order,
        starts=[],
        keys=[],
        codes=[],
        periods=[],
        step_s=step_s,
        length_s=length_s,
        origin=origin,
        valid_from=-UNBOUNDED if profile.valid_from is None else seconds(profile.valid_from),
        valid_to=UNBOUNDED if profile.valid_to is None else seconds(profile.valid_to),
        rich=_rich(schedule, settings.version),
        local=bool(schedule.use_local_time) and origin is not None and kind is not ProfileKind.DYNAMIC,
    )
    _take(compiled, schedule.periods, settings)
    return compiled


def compile_schedule_of_vehicle(schedule: ChargingSchedule, settings: StationSettings, *, evse_id: int) -> Compiled:
    """Return what a vehicle announced, ready for stacking; its order is 0, for it is no installed profile."""
    announced = ChargingProfile(
        profile_id=ProfileId(0),
        stack_level=0,
        purpose=ProfilePurpose.TX,
        kind=ProfileKind.ABSOLUTE,
        schedules=(schedule,),
    )
    return compile_profile(announced, settings, evse_id=evse_id, order=0)


def _origin(profile: ChargingProfile, schedule: ChargingSchedule) -> int | None:
    """Return the start of the axis; ``None`` if charging starts it."""
    start = schedule.start
    if profile.kind is ProfileKind.RELATIVE or start is None:
        return None  # 1.6: an absolute schedule without a start counts from the start of charging (section 7.13)
    if schedule.use_local_time:
        # only the wall clock of the start counts, its offset does not (K01.FR.90)
        return seconds(start) + int((start.utcoffset() or _ZERO).total_seconds())
    return seconds(start)


def _dynamic_length(profile: ChargingProfile, schedule: ChargingSchedule) -> int:
    """Return how long a dynamic profile lasts, from the beginning of time: a duration counts from the last update.

    It is active from receipt. Past the duration it is not valid, and an update revives it (K28.FR.13 to K28.FR.15).
    """
    if schedule.duration_s is None or profile.dyn_update_time is None:
        return 4 * UNBOUNDED
    return UNBOUNDED + seconds(profile.dyn_update_time) + schedule.duration_s


def _rich(schedule: ChargingSchedule, version: OcppVersion) -> bool:
    """Return whether any period says more than a limit and a phase count."""
    if version is OcppVersion.V16:
        return False
    # a list, not a generator: twice as fast
    return schedule.limit_at_soc is not None or True in [period.says_more for period in schedule.periods]


def _ordered(periods: tuple[SchedulePeriod, ...]) -> tuple[SchedulePeriod, ...]:
    """Return periods that were loaded in disorder in order; of equal starts the last one counts."""
    return tuple(period for _, period in sorted({period.start_s: period for period in periods}.items()))


def _take(compiled: Compiled, periods: tuple[SchedulePeriod, ...], settings: StationSettings) -> None:
    """Note the periods that are executed."""
    # one plain loop, thousandths() without the call: these lines are most of the cost of installing a profile
    scales, length_s = settings.conversion.scales(compiled.schedule.unit), compiled.length_s
    starts, keys, codes = compiled.starts, compiled.keys, compiled.codes
    before = periods[0].start_s - 1 if periods else 0
    for period in periods:
        start_s, limit = period.start_s, period.limit
        if start_s <= before:
            starts.clear()
            keys.clear()
            codes.clear()
            _take(compiled, _ordered(periods), settings)
            return
        before = start_s
        if start_s < length_s:
            factor, code = scales[period.phases]
            starts.append(start_s)
            keys.append(NO_LIMIT if limit is None else int(limit * 1000.0 + READ_TOLERANCE) * factor)
            codes.append(code)
    compiled.periods = list(periods[: len(starts)])


def _nothing() -> Record:
    schedule = ChargingSchedule(unit=RateUnit.A, periods=())
    nobody = ChargingProfile(
        profile_id=ProfileId(0),
        stack_level=0,
        purpose=ProfilePurpose.TX_DEFAULT,
        kind=ProfileKind.ABSOLUTE,
        schedules=(schedule,),
    )
    owner = Compiled(
        profile=nobody,
        schedule=schedule,
        evse_id=0,
        order=0,
        starts=[],
        keys=[],
        codes=[],
        periods=[],
        step_s=0,
        length_s=0,
        origin=None,
        valid_from=UNBOUNDED,
        valid_to=UNBOUNDED,
        rich=False,
        local=False,
    )
    return (NO_LIMIT, NO_CODE, owner, SchedulePeriod(start_s=0))


NOTHING: Record = _nothing()
"""What leads where a stack has no period: it limits nothing and names no phases, so comparing needs no special case."""
