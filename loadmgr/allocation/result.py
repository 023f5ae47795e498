"""What an allocation answers: setpoints, what they leave undone, and what went wrong on the way."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from loadmgr.allocation.arrays import FloatArray
from loadmgr.model.series import TimeGrid

Method = Literal["program", "filled"]
AlarmKind = Literal[
    "load_above_limit",
    "limits_cross",
    "impossible_need",
    "solver_failed",
    "check_failed",
    "minimum_not_held",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that a person should know; the allocation is the best effort in spite of it."""

    kind: AlarmKind
    text: str
    circuit: str | None = None
    evse: str | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveStatistics:
    """How the program was solved; ``status`` is the solver's word, or ``"not solved"``."""

    status: str = "not solved"
    objective: float = 0.0
    iterations: int = 0
    n_columns: int = 0
    n_rows: int = 0
    n_nonzeros: int = 0
    warm: bool = False
    repair_rounds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Allocation:
    """Who gets what.

    Parameters
    ----------
    grid : TimeGrid
    evse_ids : tuple of str
    current_a : (n_evse, n_step)
        Setpoints [A per phase]: quantised, 0 or at least the minimum, within every limit; below 0 feeds back.
    planned_a : (n_evse, n_step)
        The plan before quantising.
    energy_wh : (n_evse,)
        Energy of ``current_a`` towards the need within the grid.
    shortfall_wh : (n_evse, 3)
        What ``current_a`` leaves undelivered of must, wanted and full, each beyond the one before.
    battery_w : (n_battery, n_step)
        Power of the stationary batteries; above 0 charges.
    method : {"program", "filled"}
    alarms : tuple of Alarm
    statistics : SolveStatistics
    """

    grid: TimeGrid
    evse_ids: tuple[str, ...]
    current_a: FloatArray
    planned_a: FloatArray
    energy_wh: FloatArray
    shortfall_wh: FloatArray
    battery_w: FloatArray
    method: Method
    alarms: tuple[Alarm, ...]
    statistics: SolveStatistics

    def current_of(self, evse_id: str) -> FloatArray:
        """Return the setpoints of one EVSE [A per phase], one for each step.

        Raises
        ------
        ValueError
            If no such EVSE is part of the allocation.
        """
        if evse_id not in self.evse_ids:
            raise ValueError(f"evse_id must be one of {', '.join(self.evse_ids)}, got {evse_id!r}")
        return np.asarray(self.current_a[self.evse_ids.index(evse_id)])
