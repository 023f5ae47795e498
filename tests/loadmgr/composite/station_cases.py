"""Building blocks of the composite tests: profiles, stations and schedules in one line each."""

from dataclasses import replace
from datetime import UTC, datetime

from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.transaction import StationTransaction
from loadmgr.model.ids import ProfileId, TransactionId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)

NOON = datetime(2024, 1, 17, 12, tzinfo=UTC)


def profile(
    profile_id: int,
    limits: dict[int, float | tuple[float, int]],
    *,
    purpose: ProfilePurpose = ProfilePurpose.TX_DEFAULT,
    level: int = 0,
    kind: ProfileKind = ProfileKind.ABSOLUTE,
    start: datetime | None = NOON,
    duration_s: int | None = None,
    unit: RateUnit = RateUnit.A,
    schedule_fields: dict | None = None,
    **fields,
) -> ChargingProfile:
    """A profile; ``limits`` maps a start to a limit, or to a limit and a phase count."""
    periods = tuple(
        SchedulePeriod(start_s=s, limit=value[0], phases=value[1])
        if isinstance(value, tuple)
        else SchedulePeriod(start_s=s, limit=value)
        for s, value in limits.items()
    )
    schedule = ChargingSchedule(
        unit=unit,
        periods=periods,
        start=None if kind in (ProfileKind.RELATIVE, ProfileKind.DYNAMIC) else start,
        duration_s=duration_s,
        **(schedule_fields or {}),
    )
    return ChargingProfile(
        profile_id=ProfileId(profile_id), stack_level=level, purpose=purpose, kind=kind, schedules=(schedule,), **fields
    )


def station(
    version: OcppVersion = OcppVersion.V16, *, transaction_at: datetime | None = NOON, **settings
) -> ProfileStore:
    """A store with 48 A as its default, and a transaction ``7`` on EVSE 1."""
    defaults = {"default_current_a": 48.0, "default_power_w": 33120.0}
    store = ProfileStore(StationSettings(version=version, **(defaults | settings)))
    if transaction_at is not None:
        start(store, 1, transaction_at)
    return store


def start(store: ProfileStore, evse_id: int, at: datetime, transaction_id: str = "7") -> None:
    """Start a transaction."""
    store.start_transaction(
        StationTransaction(evse_id=evse_id, transaction_id=TransactionId(transaction_id), started_at=at), now=at
    )


def steps(
    store: ProfileStore,
    duration_s: int,
    *,
    evse_id: int = 1,
    at: datetime = NOON,
    unit: RateUnit = RateUnit.A,
    phases: bool = False,
) -> dict:
    """The composite schedule as ``{start: limit}``, or ``{start: (limit, phases)}``."""
    schedule = composite_schedule(store, evse_id=evse_id, start=at, duration_s=duration_s, unit=unit)
    return {p.start_s: (p.limit, p.phases) if phases else p.limit for p in schedule.periods}


def with_period(p: ChargingProfile, **fields) -> ChargingProfile:
    """The profile with its first period changed."""
    schedule = p.schedules[0]
    changed = replace(schedule.periods[0], **fields)
    return replace(p, schedules=(replace(schedule, periods=(changed, *schedule.periods[1:])),))


def with_schedule(p: ChargingProfile, **fields) -> ChargingProfile:
    """The profile with its schedule changed."""
    return replace(p, schedules=(replace(p.schedules[0], **fields),))
