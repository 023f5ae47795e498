"""A day that was lived, as sessions to live again: with another tariff, another fuse, or nobody in control.

What was recorded of a session is when it came and went, what the driver said, and what was delivered. A vehicle of a
replay takes what it was given then, no more: whether a car that left short would have taken more, no record tells.
"""

from dataclasses import replace
from datetime import timedelta

from loadmgr.model.session import SessionRecord
from loadmgr.sim.outcome import Outcome


def recorded_sessions(outcome: Outcome) -> tuple[SessionRecord, ...]:
    """Return the sessions of a world that are over, in order of arrival, each at the EVSE where it was.

    Parameters
    ----------
    outcome : Outcome
        What came of a simulation, or of any world whose stays are known.
    """
    start = outcome.plan.start
    out = []
    for stay in outcome.stays:
        visit = stay.visit
        if not stay.over or stay.energy_wh <= 0.0:
            continue
        said = visit.said
        record = SessionRecord(
            session_id=visit.session_id,
            evse=visit.evse.id,
            arrival=start + timedelta(seconds=visit.arrival_s),
            departure=start + timedelta(seconds=visit.departure_s),
            energy_requested_wh=stay.energy_wh,
            energy_delivered_wh=stay.energy_wh,
            max_a=visit.vehicle.max_a,
            phases=visit.vehicle.phases,
        )
        if said is not None and said.need is not None:
            record = replace(record, estimated_departure=said.departure, energy_requested_wh=said.need.wanted_wh)
        out.append(record)
    return tuple(sorted(out, key=lambda record: (record.arrival, record.session_id)))
