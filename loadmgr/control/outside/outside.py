"""What comes from outside the site: limits that somebody else sets, with a dead man, and what people order.

Rules
-----
1. A limit is a fact, told by a source and good until it ends, is taken away, or its source falls silent.
2. What a source says of itself (when it spoke) is carried beside the time of arrival, for the evidence.
"""

from dataclasses import dataclass
from datetime import datetime

from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.model.topology import PhaseLimits
from loadmgr.model.units import require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChanged:
    """A limit from outside on a circuit, beside those of the site file; each source has one limit on each circuit.

    Parameters
    ----------
    limit_a, limit_w : optional
        The limit; both ``None`` takes it away.
    until : datetime, optional
        When it ends by itself; ``None`` is when it is taken away.
    heartbeat_s : float, optional
        The source repeats itself at least this often [s]; when it falls silent for longer, the limits below hold.
    silent_limit_a, silent_limit_w : optional
        What holds when the source is silent; both ``None`` keeps the limit as it was.
    vehicles_only : bool
        Limits in W are of the EVSEs below the circuit together, whatever else hangs on it.
    """

    at: datetime
    circuit: CircuitId
    source: str
    limit_a: PhaseLimits | None = None
    limit_w: float | None = None
    until: datetime | None = None
    heartbeat_s: float | None = None
    silent_limit_a: PhaseLimits | None = None
    silent_limit_w: float | None = None
    vehicles_only: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))
        if self.until is not None:
            object.__setattr__(self, "until", require_utc(self.until, name="until"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideSet:
    """A person's order about one EVSE; with neither a limit nor a boost it takes back what was ordered before.

    Orders move an EVSE within what circuits allow, never beyond.

    Parameters
    ----------
    limit_a : float, optional
        The most that it may be given [A per phase]; 0.0 pauses it.
    boost : bool
        It goes before all others, at once, until its vehicle is full.
    until : datetime, optional
        When the order ends; ``None`` is with the session that runs, or when it is taken back.
    by : str
        Who ordered it, for the journal.
    """

    at: datetime
    evse: EvseId
    limit_a: float | None = None
    boost: bool = False
    until: datetime | None = None
    by: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))
        if self.until is not None:
            object.__setattr__(self, "until", require_utc(self.until, name="until"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTrouble:
    """A source from outside (a meter, a limit, prices) cannot be used, or can be again.

    Parameters
    ----------
    cause : str, optional
        What is wrong; ``None`` where nothing is any more.
    advice : str
        What would help.
    """

    at: datetime
    source: str
    cause: str | None = None
    advice: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """An order in force, and the session with which it ends; ``None`` where none ran yet, or it has an end in time."""

    order: OverrideSet
    transaction: str | None
