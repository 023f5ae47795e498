"""The dead man of a source of limits: what it promised about repeating itself, and what holds when it does not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from loadmgr.control.outside.outside import LimitChanged
from loadmgr.model.ids import CircuitId
from loadmgr.model.topology import PhaseLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadMan:
    """What is agreed with a source.

    Parameters
    ----------
    source : str
        Its name, which says whose a limit is.
    circuit : CircuitId
        What it limits where it does not say.
    heartbeat_s : float, optional
        It repeats itself at least this often [s]; ``None`` asks for no sign of life.
    silent_limit_a, silent_limit_w : optional
        What holds on the circuit when it is silent.
    vehicles_only : bool
        Limits in W are of vehicles alone, unless a word says otherwise.
    """

    source: str
    circuit: CircuitId
    heartbeat_s: float | None = None
    silent_limit_a: PhaseLimits | None = None
    silent_limit_w: float | None = None
    vehicles_only: bool = False

    def begin(self, now: datetime) -> list[LimitChanged]:
        """Return what is told before the source has said anything: its heartbeat counts from now on."""
        return [] if self.heartbeat_s is None else [self.word({"circuit": self.circuit}, now)]

    def word(self, said: dict[str, Any], now: datetime) -> LimitChanged:
        """Return what a source said, with what holds when it falls silent; only its own circuit has a dead man."""
        own = said.get("circuit", self.circuit) == self.circuit
        values: dict[str, Any] = {"circuit": self.circuit, "vehicles_only": self.vehicles_only, **said}
        if own and not said.get("vehicles_only"):
            values["vehicles_only"] = self.vehicles_only
        if own and self.heartbeat_s is not None:
            values |= {
                "heartbeat_s": self.heartbeat_s,
                "silent_limit_a": self.silent_limit_a,
                "silent_limit_w": self.silent_limit_w,
            }
        return LimitChanged(at=now, source=self.source, **values)

    def is_due(self, told_at: datetime | None, now: datetime) -> bool:
        """Return whether a word that has not changed is to be passed on again: within half of the heartbeat."""
        if self.heartbeat_s is None or told_at is None:
            return False
        return now >= told_at + timedelta(seconds=self.heartbeat_s / 2.0)


def lower(first: float | None, second: float | None) -> float | None:
    """Return the lower of two limits; ``None`` is no limit."""
    return min((a for a in (first, second) if a is not None), default=None)


def lower_phases(limit_a: PhaseLimits | None, other_a: PhaseLimits | None) -> PhaseLimits | None:
    """Return the lower of two limits on each phase; ``None`` is no limit."""
    if limit_a is None or other_a is None:
        return other_a if limit_a is None else limit_a
    first, second, third = (lower(a, b) for a, b in zip(limit_a, other_a, strict=True))
    return first, second, third
