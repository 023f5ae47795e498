"""A running transaction as profiles see it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from loadmgr.model.ids import TransactionId
from loadmgr.model.units import require_utc


class NeedsTold(Enum):
    """What the vehicle of an ISO 15118 session has said of its needs (NotifyEVChargingNeeds, K15 and K18)."""

    NOT_YET = "not yet"
    IN_TOTAL = "in total"
    PER_PHASE = "per phase"


@dataclass(frozen=True, slots=True, kw_only=True)
class StationTransaction:
    """A transaction on one EVSE.

    Parameters
    ----------
    evse_id : int
    transaction_id : TransactionId
    started_at : datetime
    power_path_closed_at : datetime, optional
        When the EVSE became ready to deliver: authorised and vehicle connected.
    needs : NeedsTold, optional
        In an ISO 15118 session; ``None`` where no such session is known of.
    """

    evse_id: int
    transaction_id: TransactionId
    started_at: datetime
    power_path_closed_at: datetime | None = None
    needs: NeedsTold | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "started_at", require_utc(self.started_at, name="started_at"))
        if self.power_path_closed_at is not None:
            closed = require_utc(self.power_path_closed_at, name="power_path_closed_at")
            object.__setattr__(self, "power_path_closed_at", closed)

    @property
    def relative_origin(self) -> datetime:
        """Start of relative schedules: the power path if it is known, else the start (K01.FR.42).

        A profile that arrives in mid-transaction counts from the same instant.
        """
        return self.started_at if self.power_path_closed_at is None else self.power_path_closed_at
