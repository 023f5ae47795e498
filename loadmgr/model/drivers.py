"""What is known of drivers before they say anything: rules by id token."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from loadmgr.model.session import EnergyNeed, VehicleLimits

SOONEST_S = 1800
"""Who plugs in less than this before the hour at which the rule has it leave stays until the next day [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverRule:
    """What the drivers of some id tokens usually want.

    Parameters
    ----------
    id_tokens : tuple of str
        Tokens, or patterns such as ``FLEET-*``; letters count the same in either case.
    leaves : time, optional
        Local time of the departure.
    stay_s : int, optional
        How long they stay [s], where no time is given.
    need : EnergyNeed, optional
    priority : int, optional
    vehicle : VehicleLimits, optional
    """

    id_tokens: tuple[str, ...]
    leaves: time | None = None
    stay_s: int | None = None
    need: EnergyNeed | None = None
    priority: int | None = None
    vehicle: VehicleLimits | None = None
    patterns: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "patterns", tuple(token.casefold() for token in self.id_tokens))

    def holds_for(self, id_token: str) -> bool:
        """Return whether the rule is about a token; tokens differ in letters, not in case (OCPP 1.6 section 4)."""
        return any(fnmatchcase(id_token.casefold(), pattern) for pattern in self.patterns)

    def departure(self, started: datetime, zone: ZoneInfo) -> datetime | None:
        """Return when a vehicle leaves that plugged in at an instant; ``None`` where the rule says nothing of it."""
        if self.leaves is None:
            return None if self.stay_s is None else started + timedelta(seconds=self.stay_s)
        soonest = started + timedelta(seconds=SOONEST_S)
        local = soonest.astimezone(zone)
        leaves = datetime.combine(local.date(), self.leaves, tzinfo=zone).astimezone(UTC)
        if leaves < soonest:  # as instants: the clock's hands say 02:50 twice in a night of autumn
            leaves = datetime.combine(local.date() + timedelta(days=1), self.leaves, tzinfo=zone)
        return leaves.astimezone(started.tzinfo)
