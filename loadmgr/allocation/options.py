"""How an allocation is made: policy, method and budgets."""

from dataclasses import dataclass
from typing import Literal, get_args

Policy = Literal[
    "equal_share",
    "proportional",
    "max_min_energy",
    "least_missing",
    "least_laxity",
    "earliest_deadline",
    "first_come",
    "round_robin",
]
POLICIES: tuple[Policy, ...] = get_args(Policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationOptions:
    """Choices that are not facts of the site.

    Parameters
    ----------
    policy : str
        Who goes first where not everybody can be served: the rule of the water-filling, and the program's last tier.
    method : {"program", "fill"}
        The linear program after the water-filling, or the water-filling alone.
    command_steps : int
        First steps that are really sent: there a setpoint is 0 or at least the minimum.
    milp_evses : int
        Up to so many EVSEs the first steps are solved as a mixed-integer program; 0 for never.
    iteration_limit : int
        Budget of the simplex, in iterations, so that the same problem gives the same answer on any machine.
    solver : str, optional
        Name of a PuLP solver (``"PULP_CBC_CMD"``); ``None`` is HiGHS directly.
    time_limit_s : float
        Limit for solvers that know no iterations: PuLP's.
    """

    policy: Policy = "equal_share"
    method: Literal["program", "fill"] = "program"
    command_steps: int = 4
    milp_evses: int = 20
    iteration_limit: int = 200_000
    solver: str | None = None
    time_limit_s: float = 30.0

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {self.policy!r}")
        if self.method not in ("program", "fill"):
            raise ValueError(f"method must be 'program' or 'fill', got {self.method!r}")
        for name, low in (("command_steps", 1), ("milp_evses", 0), ("iteration_limit", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        if not 0.0 < self.time_limit_s < 1e6:
            raise ValueError(f"time_limit_s must lie in (0, 1e6), got {self.time_limit_s}")
