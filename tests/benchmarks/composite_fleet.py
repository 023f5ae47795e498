"""Ten profiles for each EVSE: 2 max, 4 default, 4 tx, Absolute and Daily, A and W mixed, as the figures want them."""

from datetime import UTC, datetime, timedelta

import numpy as np

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
    Recurrency,
    SchedulePeriod,
)

DAY = datetime(2024, 1, 17, tzinfo=UTC)
NOW = DAY + timedelta(hours=3)
DAY_S = 86_400
LEVELS = ((ProfilePurpose.CHARGE_POINT_MAX, 2), (ProfilePurpose.TX_DEFAULT, 4), (ProfilePurpose.TX, 4))


def ten_profiles(rng: np.random.Generator, *, periods: int = 24) -> list[tuple[int, ChargingProfile]]:
    """Return ten profiles and where each is installed."""
    out: list[tuple[int, ChargingProfile]] = []
    for purpose, levels in LEVELS:
        for level in range(levels):
            number = len(out) + 1
            daily, unit = level % 2 == 1, RateUnit.A if number % 2 else RateUnit.W
            limits = (
                rng.integers(60, 320, periods) / 10 if unit is RateUnit.A else rng.integers(14, 220, periods) * 100.0
            )
            start = DAY + timedelta(seconds=int(rng.integers(0, 7200)), days=-3 if daily else 0)
            schedule = ChargingSchedule(
                unit=unit,
                start=start,
                duration_s=DAY_S,
                periods=tuple(
                    SchedulePeriod(start_s=DAY_S // periods * k, limit=float(limit), phases=(None, 1, 3)[int(count)])
                    for k, (limit, count) in enumerate(zip(limits, rng.integers(0, 3, periods), strict=True))
                ),
            )
            profile = ChargingProfile(
                profile_id=ProfileId(number),
                stack_level=level,
                purpose=purpose,
                kind=ProfileKind.RECURRING if daily else ProfileKind.ABSOLUTE,
                recurrency=Recurrency.DAILY if daily else None,
                schedules=(schedule,),
                transaction_id=TransactionId("1") if purpose is ProfilePurpose.TX else None,
            )
            out.append((0 if purpose is ProfilePurpose.CHARGE_POINT_MAX else 1, profile))
    return out


def evse(version: OcppVersion, rng: np.random.Generator, *, periods: int = 24) -> ProfileStore:
    """Return a station of one EVSE with a transaction and its own ten profiles."""
    store = ProfileStore(StationSettings(version=version, default_current_a=48.0, default_power_w=33_120.0))
    transaction = StationTransaction(evse_id=1, transaction_id=TransactionId("1"), started_at=DAY)
    store.start_transaction(transaction, now=DAY)
    for evse_id, profile in ten_profiles(rng, periods=periods):
        store.load(evse_id, profile, now=DAY)
    return store
