"""Carrying out the operations of a composite document: results as the JSON that ``loadmgr composite`` prints."""

from dataclasses import dataclass

from loadmgr.apps.composite.composite_document import (
    ClearOperation,
    CompositeOperation,
    Document,
    ListOperation,
    Operation,
    ProfileAction,
    ProfileOperation,
    fixed_delays,
)
from loadmgr.bridge.fields import time_text
from loadmgr.bridge.profile_messages import check_composite_request
from loadmgr.composite.answer import CompositeSchedule, phase_count
from loadmgr.composite.delays import no_delays
from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.verdict import Verdict
from loadmgr.model.profile import SchedulePeriod

Result = dict[str, object]

_RICH_NUMBERS = tuple(
    f"{name}{phase}"
    for name in ("limit", "discharge_limit", "setpoint", "setpoint_reactive")
    for phase in ("", "_l2", "_l3")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the operations of a document gave.

    Parameters
    ----------
    store : ProfileStore
        As it is after the last operation.
    results : list of dict
        One for each operation.
    schedules : list of CompositeSchedule
        Of the composite operations that were answered.
    """

    store: ProfileStore
    results: list[Result]
    schedules: list[CompositeSchedule]


def run_document(document: Document) -> Outcome:
    """Carry out the operations of a document, in order."""
    delays = no_delays if document.random_delays_s is None else fixed_delays(document.random_delays_s)
    store = ProfileStore(document.settings, draw_delays=delays)
    for transaction in document.transactions:
        store.start_transaction(transaction, now=document.now)
        store.note_priority_charging(transaction.evse_id, active=document.priority_charging_active)
        store.note_soc(transaction.evse_id, document.soc_percent)
    if document.offline_since is not None:
        store.note_offline(document.offline_since)
    schedules: list[CompositeSchedule] = []
    results = [_carry_out(operation, document, store, schedules) for operation in document.operations]
    return Outcome(store=store, results=results, schedules=schedules)


def _carry_out(
    operation: Operation, document: Document, store: ProfileStore, schedules: list[CompositeSchedule]
) -> Result:
    match operation:
        case ProfileOperation(action=ProfileAction.LOAD):
            store.load(operation.evse_id, operation.profile, now=document.now)
            return {"status": "Accepted"}
        case ProfileOperation():
            install = store.set_profile if operation.action is ProfileAction.SET else store.set_for_start
            return _status(install(operation.evse_id, operation.profile, now=document.now))
        case ClearOperation():
            return {"status": "Accepted" if store.clear(operation.criteria) else "Unknown"}
        case ListOperation():
            return {"profile_ids": [installed.profile.profile_id for installed in store.profiles]}
        case CompositeOperation():
            verdict = check_composite_request(store.settings, operation.evse_id, operation.unit)
            if not verdict.accepted:
                return _status(verdict)
            schedule = composite_schedule(
                store,
                evse_id=operation.evse_id,
                start=operation.start,
                duration_s=operation.duration_s,
                unit=operation.unit,
            )
            schedules.append(schedule)
            return _schedule(schedule)


def _status(verdict: Verdict) -> Result:
    if verdict.accepted:
        return {"status": "Accepted", "reason": None}
    return {
        "status": "Rejected",
        "reason": verdict.reason,
        "requirement": verdict.requirement,
        "field": verdict.field,
        "detail": verdict.detail,
    }


def _schedule(schedule: CompositeSchedule) -> Result:
    periods: list[Result]
    if schedule.rich is None:
        periods = [
            {"start_s": start_s, "limit": limit, "phases": phase_count(code)} for start_s, limit, code in schedule.rows
        ]
    else:
        periods = [_rich_period(period) for period in schedule.rich]
    return {
        "status": "Accepted",
        "evse_id": schedule.evse_id,
        "schedule_start": time_text(schedule.start),
        "duration_s": schedule.duration_s,
        "unit": schedule.unit.value,
        "periods": periods,
    }


def _rich_period(period: SchedulePeriod) -> Result:
    out: Result = {"start_s": period.start_s, "limit": period.limit, "phases": period.phases}
    mode = period.operation_mode
    extra = {name: getattr(period, name) for name in _RICH_NUMBERS} | {
        "phase_to_use": period.phase_to_use,
        "operation_mode": None if mode is None else mode.value,
        "evse_sleep": period.evse_sleep,
        "preconditioning_request": period.preconditioning_request,
        "v2x_baseline": period.v2x_baseline_w,
    }
    return out | {name: value for name, value in extra.items() if value is not None}
