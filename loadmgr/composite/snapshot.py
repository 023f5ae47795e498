"""What a profile store holds, as values: for reports, and to survive a restart."""

from dataclasses import dataclass
from datetime import datetime

from loadmgr.composite.transaction import StationTransaction
from loadmgr.model.profile import ChargingProfile, OcppVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledProfile:
    """A profile and where it is installed; 0 is the whole station."""

    evse_id: int
    profile: ChargingProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnDelays:
    """The random delays [s] drawn for a profile on an EVSE; ``position`` is its place among the installed ones."""

    evse_id: int
    position: int
    delays_s: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSnapshot:
    """All that a restart must not lose: with the transactions their origins and draws (1.6 errata 3.37, K01.FR.27)."""

    version: OcppVersion
    profiles: tuple[InstalledProfile, ...] = ()
    pending: tuple[InstalledProfile, ...] = ()
    transactions: tuple[StationTransaction, ...] = ()
    priority_evses: tuple[int, ...] = ()
    drawn: tuple[DrawnDelays, ...] = ()
    offline_since: datetime | None = None
