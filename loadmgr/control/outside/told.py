"""One entry of the evidence of a limit from outside."""

from dataclasses import dataclass
from datetime import datetime

from loadmgr.model.ids import CircuitId
from loadmgr.model.topology import PhaseAmps, PhaseLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A limit from outside that came into force, and when it was seen to be obeyed.

    Parameters
    ----------
    at : datetime
        When it came into force here.
    why : str
        ``told``, ``silent`` (the limit for the silence of its source) or ``over``.
    limit_a, limit_w : optional
        The limit [A per phase, W]; both ``None`` is none any more.
    vehicles_only : bool
        It is of the EVSEs below the circuit alone.
    obeyed_at : datetime, optional
        The reading that first showed what flows within it.
    measured_a : (L1, L2, L3), optional
        That reading [A].
    measured_by : str
        What was read.
    """

    circuit: CircuitId
    source: str
    at: datetime
    why: str
    limit_a: PhaseLimits | None = None
    limit_w: float | None = None
    vehicles_only: bool = False
    until: datetime | None = None
    obeyed_at: datetime | None = None
    measured_a: PhaseAmps | None = None
    measured_by: str = ""
