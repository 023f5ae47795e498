"""Vehicles that nobody knows yet: offered what fits for a few minutes, so that they show what they are."""

from collections.abc import Mapping
from datetime import datetime

from loadmgr.control.planning.network import cabinet_room_a
from loadmgr.control.planning.requests import is_unknown, upper_bound_a
from loadmgr.control.safety.assumption import Assumed
from loadmgr.control.safety.circuits import LoadBook
from loadmgr.control.safety.starts import off_by_default
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.units import floor_to_step


def with_learning(
    state: SiteState,
    targets_a: Mapping[EvseId, float],
    *,
    book: LoadBook,
    assumed: Mapping[EvseId, Assumed],
    settings: ControlSettings,
    now: datetime,
) -> dict[EvseId, float]:
    """Return the setpoints [A per phase] with vehicles that nobody knows yet raised to what fits, for a few minutes.

    A plan for a vehicle that is thought to use three phases and uses one comes too late when it waits for cheap hours;
    so each shows first what it is.

    Parameters
    ----------
    book : LoadBook
        The load of the setpoints; what is given beyond them is entered in it.
    assumed : mapping
        What has to be assumed of every EVSE, for those without a setpoint.
    """
    out = dict(targets_a)
    drawn_a = {e: a.envelope.at(now.timestamp()) for e, a in assumed.items()}
    for evse_id in targets_a:
        record = state.evses[evse_id]
        if record.charging is None or not is_unknown(record, now):
            continue
        if off_by_default(state, record, record.charging, settings=settings, at=now):
            continue
        bound_a = upper_bound_a(state, record, record.charging, settings=settings, now=now)
        bound_a = floor_to_step(bound_a, step=record.evse.step_a)
        room_a, row = book.grant_a(evse_id, bound_a, until_s=float("inf"), anew=True)
        cabinet_a = cabinet_room_a(state.site, evse_id, drawn_a | out)
        current_a = bound_a if row is None else room_a
        current_a = floor_to_step(
            current_a if cabinet_a is None else min(current_a, cabinet_a), step=record.evse.step_a
        )
        if current_a >= record.evse.min_a and current_a > out[evse_id]:
            out[evse_id] = current_a
            book.take(evse_id, current_a, until_s=float("inf"))
    return out
