"""What is known of drivers: from the site file to values."""

from loadmgr.model.drivers import DriverRule
from loadmgr.model.session import EnergyNeed, VehicleLimits
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.drivers_schema import DriverRulePart
from loadmgr.site_file.parts import Parts
from loadmgr.site_file.reading import Reading
from loadmgr.site_file.values import Drivers


def build_drivers(parts: Parts, reading: Reading) -> Drivers:
    """Return what is known of drivers, and note rules that say nothing or contradict themselves."""
    part = parts.drivers
    rules = [_rule(rule, ("drivers", "rules", index), reading) for index, rule in enumerate(part.rules)]
    calendar = None if part.calendar is None else reading.file(part.calendar, ("drivers", "calendar"))
    if calendar is not None and not calendar.is_file():
        reading.faults.add(
            ("drivers", "calendar"),
            f"there is no file {calendar}",
            "make it, if only with its heading: evse,id_token,departure,energy_requested_wh",
        )
    return Drivers(habits=part.habits, calendar=calendar, rules=tuple(rule for rule in rules if rule is not None))


def _rule(part: DriverRulePart, path: PathKey, reading: Reading) -> DriverRule | None:
    faults = reading.faults
    noted = len(faults.faults)
    if part.leaves is not None and part.stays is not None:
        faults.add((*path, "stays"), "a rule with both leaves and stays", "keep one of them")
    if part.must is not None and (part.energy is None or part.must > part.energy):
        advice = "write `energy` too, at least as much: `must` is the part of it that comes first"
        faults.add((*path, "must"), "must is more than the energy that is wanted", advice)
    if part.model_fields_set <= {"id_tokens"}:
        faults.add(path, "a rule that says nothing", "add leaves, stays, energy, priority, phases or max")
    if len(faults.faults) > noted:
        return None
    vehicle = VehicleLimits(phases=part.phases, max_a=part.max)
    return DriverRule(
        id_tokens=tuple(part.id_tokens),
        leaves=part.leaves,
        stay_s=None if part.stays is None else int(part.stays),
        need=None if part.energy is None else EnergyNeed(wanted_wh=part.energy, must_wh=part.must or 0.0),
        priority=part.priority,
        vehicle=None if vehicle == VehicleLimits() else vehicle,
    )
