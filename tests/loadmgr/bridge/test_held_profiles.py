"""Held profiles of a CSMS and limits of ours, combined by minimum."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadmgr.bridge.held_profiles import Step, combined_by_minimum, held_store
from loadmgr.composite.answer import CompositeSchedule
from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.transaction import StationTransaction
from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import OcppVersion, ProfilePurpose, RateUnit

NOW = datetime(2024, 1, 17, 12, tzinfo=UTC)
TRANSACTION = StationTransaction(evse_id=1, transaction_id=TransactionId("7"), started_at=NOW)


def profile(number: int, purpose: str, limit: float, *, level: int = 0) -> dict[str, Any]:
    period = {"startPeriod": 0, "limit": limit}
    return {
        "id": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": [{"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [period]}],
    }


def limits(held: list[tuple[int, dict[str, Any]]], **known: Any) -> list[float | None]:
    settings = StationSettings(
        version=OcppVersion.V21, additional_purposes=frozenset({ProfilePurpose.PRIORITY_CHARGING})
    )
    store = held_store(held, settings=settings, now=NOW, **known)
    schedule = composite_schedule(store, evse_id=1, start=NOW, duration_s=60, unit=RateUnit.A)
    return [each.limit for each in schedule.periods]


def test_held_profiles_count_as_a_station_would_count_them() -> None:
    held = [
        (0, profile(1, "TxDefaultProfile", 10.0)),
        (1, profile(2, "TxDefaultProfile", 12.0, level=1)),
        (1, profile(3, "TxProfile", 14.0)),
    ]

    assert [12.0] == limits(held)
    assert [14.0] == limits(held, transactions=(TRANSACTION,))
    assert [None] == limits([])


def test_priority_charging_counts_only_while_it_is_in_force() -> None:
    held = [(1, profile(1, "TxDefaultProfile", 10.0)), (1, profile(2, "PriorityCharging", 20.0))]
    running = {"transactions": (TRANSACTION,)}

    assert [10.0] == limits(held, **running)
    assert [20.0] == limits(held, **running, priority={TransactionId("7")})


STEPS = st.lists(
    st.tuples(st.integers(1, 99), st.one_of(st.none(), st.floats(0.0, 32.0))),
    max_size=6,
    unique_by=lambda each: each[0],
).map(lambda rest: [(0, 16.0), *sorted(rest, key=lambda each: each[0])])


def value(steps: Any, when_s: int) -> float:
    found = [limit for start_s, limit in steps if start_s <= when_s][-1]
    return float("inf") if found is None else found


@given(STEPS, STEPS)
def test_the_combination_is_the_lower_of_both_at_every_second(ours: list[Step], theirs: list[Step]) -> None:
    rows = [(start_s, limit, 3) for start_s, limit in theirs]
    schedule = CompositeSchedule(1, NOW, 100, RateUnit.A, rows)

    combined = combined_by_minimum(ours, schedule)

    assert [min(value(ours, s), value(theirs, s)) for s in range(100)] == [value(combined, s) for s in range(100)]
    assert all(first[1] != second[1] for first, second in itertools.pairwise(combined))


@pytest.mark.parametrize("ours", [[], [(5, 1.0)], [(0, 1.0), (0, 2.0)]])
def test_steps_that_are_none_are_refused(ours: list[Step]) -> None:
    with pytest.raises(ValueError, match="ours must begin at 0"):
        combined_by_minimum(ours, CompositeSchedule(1, NOW, 100, RateUnit.A, [(0, None, 3)]))
