"""WHO GETS WHAT: the linear program, the water-filling behind it, and the check that both must pass."""

from loadmgr.allocation.allocate import Allocator, allocate
from loadmgr.allocation.check import check
from loadmgr.allocation.door import require_energy, require_sound
from loadmgr.allocation.explain import Explanation, explain
from loadmgr.allocation.money import DemandCharge, SiteMoney, StationaryBattery
from loadmgr.allocation.options import POLICIES, AllocationOptions, Policy
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.pulp_program import write_program
from loadmgr.allocation.remedies import Remedy, what_would_help
from loadmgr.allocation.request import BatteryAt, ChargingRequest, CircuitLimits, build_money, build_problem
from loadmgr.allocation.result import Alarm, Allocation, SolveStatistics
from loadmgr.allocation.wording import Reason

__all__ = [
    "POLICIES",
    "Alarm",
    "Allocation",
    "AllocationOptions",
    "AllocationProblem",
    "Allocator",
    "BatteryAt",
    "ChargingRequest",
    "CircuitLimits",
    "DemandCharge",
    "Explanation",
    "Policy",
    "Reason",
    "Remedy",
    "SiteMoney",
    "SolveStatistics",
    "StationaryBattery",
    "allocate",
    "build_money",
    "build_problem",
    "check",
    "explain",
    "require_energy",
    "require_sound",
    "what_would_help",
    "write_program",
]
