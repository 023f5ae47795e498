"""Vehicles that feed back (V2G): who may, how much, and how far.

Rules
-----
1. Only where everybody said yes: the site file of the EVSE, its station (OCPP 2.1, V2XChargingCtrlr with the mode
   CentralSetpoint), the session of its vehicle; and only a vehicle that has shown what it is.
2. What is fed back never pays for current of others: it lowers what is bought and nothing that has to be assumed. An
   EVSE that feeds back counts with a limit of 0 A, which its lease says beside the setpoint.
3. A lease feeds back no longer than the vehicle's floor allows, so that the floor holds with the controller dead.
"""

from dataclasses import replace
from datetime import datetime

from loadmgr.allocation import ChargingRequest
from loadmgr.control.decision import Standing
from loadmgr.control.feedback.sessions import TOLD_READINGS
from loadmgr.control.outside.override import order_of
from loadmgr.control.planning.plan import Plan
from loadmgr.control.safety.assumption import standing_of, vehicle_phases
from loadmgr.control.state import Charging, EvseRecord, SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.profile import OcppVersion, ProfilePurpose
from loadmgr.model.topology import CurrentType, LimitBy
from loadmgr.model.units import SECONDS_PER_HOUR, floor_to_step

LEAST_LEASE_S = 60
"""Feeding back for less than this is not worth a message [s]."""


def may_discharge(state: SiteState, record: EvseRecord, now: datetime) -> bool:
    """Return whether the vehicle at an EVSE may be asked to feed back."""
    charging, station = record.charging, state.stations[record.evse.station]
    if charging is None or charging.discharge is None or charging.discharge.max_a <= 0.0 or record.discharge_refused:
        return False
    if record.evse.discharge_a <= 0.0 or station.version is not OcppVersion.V21:
        return False
    if record.form.purpose is not ProfilePurpose.TX or station.station.limit_by is not LimitBy.TRANSACTION:
        return False
    if station.traits is not None and station.traits.keeps_durations is False:
        return False
    able = () if station.capabilities is None else station.capabilities.setpoint_evses
    if 0 not in able and record.evse.number not in able:
        return False
    known = record.evse.current_type is CurrentType.DC or record.phases_seen is not None
    return known and record.telling_readings >= TOLD_READINGS and order_of(record, now) is None


def room_left_wh(record: EvseRecord, charging: Charging) -> float:
    """Return how far a vehicle may be discharged from here [Wh]; nothing without terms."""
    if charging.discharge is None:
        return 0.0
    return charging.discharge.room_left_wh(net_wh(charging), state_of_charge_ratio=record.state_of_charge_ratio)


def net_wh(charging: Charging) -> float:
    """Return the energy that a session has, less what it takes to charge again what was fed back [Wh]."""
    ledger = charging.ledger
    if not ledger.exported_wh:
        return ledger.delivered_wh
    ratio = 1.0 if charging.discharge is None else charging.discharge.efficiency_ratio
    return ledger.delivered_wh - ledger.exported_wh / ratio


def with_discharge(
    state: SiteState, record: EvseRecord, charging: Charging, request: ChargingRequest, *, now: datetime
) -> ChargingRequest:
    """Return the request of an EVSE with what its vehicle may feed back."""
    terms = charging.discharge
    if terms is None or not may_discharge(state, record, now):
        return request
    most_a = floor_to_step(min(record.evse.discharge_a, terms.max_a), step=record.evse.step_a)
    return replace(
        request,
        discharge_max_a=most_a,
        discharge_room_wh=room_left_wh(record, charging),
        discharge_efficiency_ratio=terms.efficiency_ratio,
        discharge_price_per_kwh=terms.price_per_kwh,
    )


def discharges_a(plan: Plan, state: SiteState, now: datetime) -> dict[EvseId, float]:
    """Return what each obeying EVSE is to feed back now [A per phase, above 0], of those that may."""
    step = plan.grid.index(now) or 0
    out = {}
    for evse_id, currents in plan.currents_a.items():
        record = state.evses[evse_id]
        back_a = -float(currents[step])
        if back_a <= 0.0 or record.charging is None or not may_discharge(state, record, now):
            continue
        if record.charging.transaction != plan.transactions.get(evse_id):
            continue
        if standing_of(state, record) is Standing.OBEYING and lease_s(state, record, back_a) >= LEAST_LEASE_S:
            out[evse_id] = round(back_a, 1)
    return out


def lease_s(state: SiteState, record: EvseRecord, back_a: float) -> int:
    """Return how long a lease may have a vehicle feed back [s]: as long as any, and not below its floor."""
    if record.charging is None or back_a <= 0.0:
        return 0
    power_w = back_a * state.site.voltage_v * len(vehicle_phases(record))
    return min(state.site.failsafe.lease_s, int(room_left_wh(record, record.charging) / power_w * SECONDS_PER_HOUR))
