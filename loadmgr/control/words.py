"""Why an EVSE gets what it gets, in plain words."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from loadmgr.control.decision import Standing
from loadmgr.control.feedback.acceptance import is_resting
from loadmgr.control.observation import EvseState
from loadmgr.control.outside.others import cap_of_others
from loadmgr.control.outside.override import order_of, said
from loadmgr.control.planning.plan import Plan
from loadmgr.control.planning.requests import is_unknown, upper_bound_a
from loadmgr.control.safety.assumption import is_raised, phases_reckoned, standing_of
from loadmgr.control.safety.circuits import LoadBook
from loadmgr.control.safety.starts import off_by_default
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import Charging, EvseRecord, SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.topology import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a reason is found in.

    Parameters
    ----------
    wanted : LoadBook
        The load of the setpoints that are wanted, however far they are sent.
    held_a : dict
        The highest limit that each EVSE may hold now [A].
    """

    state: SiteState
    plan: Plan | None
    targets_a: dict[EvseId, float]
    discharges_a: dict[EvseId, float]
    held_a: dict[EvseId, float]
    wanted: LoadBook
    settings: ControlSettings
    now: datetime


def reason_of(context: Context, record: EvseRecord) -> str:
    """Return why an EVSE gets what it gets."""
    evse, state = record.evse, context.state
    match standing_of(state, record):
        case Standing.UNKNOWN:
            return f"never seen since the start: counts with {evse.max_a:g} A"
        case Standing.OFFLINE:
            since = state.stations[evse.station].disconnected_at
            return f"offline since {_clock(since, state.site)}: its profiles hold" if since else "offline"
        case Standing.SETTING_UP:
            return f"being set up: counts with {evse.max_a:g} A until its fail-safe is read back"
        case Standing.DISOBEYING:
            drawn = "" if record.draw is None else f"draws {record.draw.peak_a:.0f} A against its limit: "
            return f"{drawn}counts with {evse.max_a:g} A until it obeys again"
        case Standing.OBEYING:
            return _of_obeying(context, record)


def _of_obeying(context: Context, record: EvseRecord) -> str:
    charging = record.charging
    if charging is None:
        if record.state in (None, EvseState.AVAILABLE):
            return "free"
        return "plugged in, no transaction" if record.state is EvseState.PLUGGED_IN else str(record.state)
    order = order_of(record, context.now)
    first = f" ({said(order, context.state.site)})" if order is not None and order.boost else ""
    return _of_session(context, record, charging) + first


def _of_session(context: Context, record: EvseRecord, charging: Charging) -> str:
    if is_raised(record):
        return f"counts with {record.evse.max_a:g} A: a profile of others lets it draw more than its limit"
    target = context.targets_a.get(record.evse.id, 0.0)
    held = context.held_a[record.evse.id]
    if target > held + 0.05:
        if record.start_at is not None and record.start_at > context.now:
            rises = "starts" if held < record.evse.min_a else "rises"
            return f"{held:g} A, soon {target:g} A: {rises} at {_clock(record.start_at, context.state.site)}"
        others = _coming_down(context, record)
        return f"{held:g} A, soon {target:g} A: waits until {others} came down"
    back_a = context.discharges_a.get(record.evse.id, 0.0)
    if target <= 0.0 and back_a > 0.0:
        return f"feeds back {back_a:g} A: energy is dearer now than when it is charged again"
    if target <= 0.0:
        return _why_paused(context, record, charging)
    if is_unknown(record, context.now):
        return f"{target:g} A: shows what it takes"
    return f"{target:g} A: {_why_this_much(context, record, charging, target)}"


def _coming_down(context: Context, record: EvseRecord) -> str:
    site = context.state.site
    mine = {c.id for c in site.path(record.evse.circuit)}
    names = [
        e.id
        for e in site.evses
        if e.id != record.evse.id
        and context.held_a[e.id] > context.targets_a.get(e.id, context.held_a[e.id])
        and mine & {c.id for c in site.path(e.circuit)}
    ]
    return _listed(names) if names else "others"


def _why_paused(context: Context, record: EvseRecord, charging: Charging) -> str:
    order = order_of(record, context.now)
    if order is not None and order.limit_a is not None and order.limit_a < record.evse.min_a:
        return f"0 A: {said(order, context.state.site)}"
    if off_by_default(context.state, record, charging, settings=context.settings, at=context.now):
        return "0 A: peak hours, in which nobody charges who did not say so"
    if charging.need is not None and charging.ledger.delivered_wh >= charging.need.wanted_wh:
        return "0 A: it has what it asked for"
    if is_resting(record, context.now):
        return "0 A: the vehicle takes nothing, it is full or asleep"
    cap = cap_of_others(context.state, record, context.now)
    if cap.source is not None and cap.limit_a is not None and cap.limit_a < record.evse.min_a:
        return f"0 A: {cap.source} allows {cap.limit_a:g} A"
    full = _full_circuit(context, record, record.evse.min_a)
    turn = _next_turn(context, record)
    site = context.state.site
    if full is not None:
        when = "" if turn is None else f"; its turn comes at {_clock(turn, site)}"
        return f"0 A: {full} has no {record.evse.min_a:g} A to spare{when}"
    if turn is None:
        return "0 A: nothing is planned for it"
    by = _full_by(context, record, charging)
    done = "" if by is None else f", full by {_clock(by, site)}"
    return f"paused: waits for cheaper hours, from {_clock(turn, site)}{done}"


def _why_this_much(context: Context, record: EvseRecord, charging: Charging, target_a: float) -> str:
    evse, settings = record.evse, context.settings
    bound = upper_bound_a(context.state, record, charging, settings=settings, now=context.now)
    if target_a >= bound - evse.step_a + 0.05:
        cap = cap_of_others(context.state, record, context.now)
        if cap.source is not None and cap.limit_a is not None and cap.limit_a <= bound:
            return f"all that {cap.source} allows"
        order = order_of(record, context.now)
        if order is not None and order.limit_a is not None and order.limit_a <= bound:
            return said(order, context.state.site)
        return "all that the EVSE gives" if bound >= evse.max_a - 0.05 else "all that the vehicle takes"
    full = _full_circuit(context, record, evse.step_a)
    if full is not None:
        shared = _shared_with(context, record, full)
        return f"{full} is full" + (f", shared with {_listed(shared)}" if shared else "")
    by = _full_by(context, record, charging)
    return "as much as it needs" if by is None else f"enough to be full by {_clock(by, context.state.site)}"


def _full_circuit(context: Context, record: EvseRecord, more_a: float) -> str | None:
    """Return the circuit and phase that has no room for so much more on top of what is wanted now."""
    book = context.wanted
    for row in book.rows_of(record.evse.id):
        if book.slack_now_a(row, record.evse.id) < more_a - 0.05:
            return book.rows.name(row)
    return None


def _shared_with(context: Context, record: EvseRecord, full: str) -> list[EvseId]:
    book = context.wanted
    row = next(r for r in book.rows_of(record.evse.id) if book.rows.name(r) == full)
    return [e for e in book.drawing_now(row) if e != record.evse.id]


def _next_turn(context: Context, record: EvseRecord) -> datetime | None:
    plan = context.plan
    if plan is None or record.evse.id not in plan.currents_a:
        return None
    first = bisect.bisect_right(plan.grid.offsets_s, (context.now - plan.grid.start).total_seconds())
    turns = plan.currents_a[record.evse.id][first:] > 0.0
    return plan.grid.times[first + int(turns.argmax())] if turns.any() else None


def _full_by(context: Context, record: EvseRecord, charging: Charging) -> datetime | None:
    if charging.need is None:
        return None
    return full_by(context, record, charging, charging.need.wanted_wh)


def full_by(context: Context, record: EvseRecord, charging: Charging, wanted_wh: float) -> datetime | None:
    """Return when a session will have so much energy by the plan; ``None`` where the plan does not get there."""
    plan = context.plan
    if plan is None or record.evse.id not in plan.currents_a:
        return None
    missing_wh = wanted_wh - charging.ledger.delivered_wh
    if missing_wh <= 0.0:
        return context.now
    energy_wh = plan.charge_ah(record.evse.id, after=context.now, until=None) * w_per_a_of(context.state, record)
    enough = energy_wh >= missing_wh - 1.0
    return plan.grid.times[int(enough.argmax()) + 1] if enough.any() else None


def w_per_a_of(state: SiteState, record: EvseRecord) -> float:
    """Return the power of 1 A per phase on the phases that are surely in use [W]."""
    return state.site.voltage_v * phases_reckoned(record) * record.evse.efficiency_ratio


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:3]) + ([f"{len(names) - 3} more"] if len(names) > 3 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _clock(when: datetime, site: Site) -> str:
    return when.astimezone(ZoneInfo(site.time_zone)).strftime("%H:%M")
