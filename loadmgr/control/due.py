"""When a decision is due if nothing is observed before: everything that changes by time alone."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from loadmgr.control.outside.others import cap_of_others
from loadmgr.control.planning.battery import tell_again_at
from loadmgr.control.planning.plan import Plan
from loadmgr.control.safety.escalation import escalation_due
from loadmgr.control.safety.failsafe import quiet_until
from loadmgr.control.sending.reconcile import renewal_at
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import SiteState

UNANSWERED_CALLS = 3
"""After so many call time-outs a command that nobody answered is given up."""

SOONEST_S = 1.0
"""Nothing is so urgent that it has to be asked for sooner: what is due now was just done [s]."""


def next_due(state: SiteState, plan: Plan | None, settings: ControlSettings, *, now: datetime) -> datetime:
    """Return when to ask again."""
    latest = now + timedelta(seconds=settings.check_s)
    due = min((t for t in _instants(state, plan, settings, now) if t > now), default=latest)
    return min(latest, max(due, now + timedelta(seconds=SOONEST_S)))


def _instants(state: SiteState, plan: Plan | None, settings: ControlSettings, now: datetime) -> Iterator[datetime]:
    if plan is not None:
        yield plan.made_at + timedelta(seconds=settings.replan_s)
        yield plan.first_step_ends
    yield from _of_stations(state)
    yield from tell_again_at(state)
    yield from _of_evses(state, settings, now)
    for limit in state.limits.values():
        if limit.until is not None:
            yield limit.until
        if limit.heartbeat_s is not None:
            yield limit.at + timedelta(seconds=limit.heartbeat_s + 0.1)
    for meter in state.site.meters:
        reading = state.meters.get(meter.id)
        if reading is not None:
            yield reading.at + timedelta(seconds=meter.stale_after_s + 0.1)


def _of_stations(state: SiteState) -> Iterator[datetime]:
    for station in state.stations.values():
        yield from (t for t in (quiet_until(station), station.retry_at) if t is not None)
    for pending in state.pending.values():
        yield pending.sent_at + timedelta(seconds=UNANSWERED_CALLS * state.site.timing.call_timeout_s + 0.1)


def _of_evses(state: SiteState, settings: ControlSettings, now: datetime) -> Iterator[datetime]:
    settle = timedelta(seconds=state.site.timing.settle_s)
    for record in state.evses.values():
        climb = escalation_due(state, record, settings)
        if climb is not None:
            yield climb
        if any(record.foreign.values()):
            until = cap_of_others(state, record, now).until
            if until is not None:
                yield until
        if record.start_at is not None:
            yield record.start_at
        if record.override is not None and record.override.order.until is not None:
            yield record.override.order.until
        for old in record.holding.settling:
            yield max(old.since, record.changed_at or old.since) + settle if old.until is None else old.until
        yield from (t for t in (record.retry_at, renewal_at(state, record, now)) if t is not None)
