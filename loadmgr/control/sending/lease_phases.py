"""On how many phases a lease says that an EVSE charges."""

from dataclasses import replace

from loadmgr.control.state import EvseRecord, StationRecord
from loadmgr.model.profile import ChargingSchedule


def phases_of_lease(record: EvseRecord) -> int:
    """Return on how many phases the leases of an EVSE say that it charges."""
    return record.phases_lease or len(record.evse.phases)


def with_phases(schedule: ChargingSchedule, record: EvseRecord, station: StationRecord) -> ChargingSchedule:
    """Return a schedule that says on how many phases; where the EVSE can choose one, on which (K01.FR.48).

    An EVSE whose phases were never switched is told nothing of them, as every station takes it.
    """
    phases = record.phases_lease
    if phases is None:
        return schedule
    choosing = () if station.capabilities is None else station.capabilities.choosing_evses
    use = 1 if phases == 1 and record.evse.number in choosing else None
    return replace(schedule, periods=tuple(replace(p, phases=phases, phase_to_use=use) for p in schedule.periods))
