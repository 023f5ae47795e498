"""How far a station that disobeys was answered: the rungs of a ladder, and the form in which its limits are sent."""

import enum
from dataclasses import dataclass
from datetime import datetime

from loadmgr.model.profile import ProfileKind, ProfilePurpose, RateUnit
from loadmgr.model.topology import LimitBy, Station


class Rung(enum.StrEnum):
    """What was tried on a station that ignores its limit, from the mildest on; each word ends "it was tried ..."."""

    RESEND = "to send its limit again"
    OTHER_UNIT = "its limit in the other unit"
    OTHER_KIND = "its limit in the other kind of schedule"
    AS_DEFAULT = "its limit as the default of any transaction"
    AS_MAXIMUM = "its limit as the maximum of the station"
    PAUSE = "to pause it at 0 A"
    STOP = "to stop its transaction and take it out of service"


FORMS = (Rung.RESEND, Rung.OTHER_UNIT, Rung.OTHER_KIND, Rung.AS_DEFAULT, Rung.AS_MAXIMUM)
"""Rungs on which obedience is proof: the form that worked is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseForm:
    """How limits are sent to an EVSE; ``None`` is the usual way.

    Parameters
    ----------
    purpose : ProfilePurpose
        ``TX`` is a lease with an end. In any other purpose the limit stays until the next one.
    """

    purpose: ProfilePurpose = ProfilePurpose.TX
    unit: RateUnit | None = None
    kind: ProfileKind | None = None

    @property
    def lasting(self) -> bool:
        """Whether a limit in this form stays when nobody renews it."""
        return self.purpose is not ProfilePurpose.TX

    @property
    def whole(self) -> bool:
        """Whether the station maximum is the limit; as the usual form of a station, it is the fail-safe too."""
        return self.purpose is ProfilePurpose.CHARGE_POINT_MAX

    @property
    def ignored(self) -> tuple[ProfilePurpose, ...]:
        """Purposes that the station is taken to ignore, since limits had to be sent in this form."""
        match self.purpose:
            case ProfilePurpose.TX_DEFAULT:
                return (ProfilePurpose.TX,)
            case ProfilePurpose.CHARGE_POINT_MAX:
                return (ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT)
            case _:
                return ()


def own_form(station: Station) -> LeaseForm:
    """Return the form in which limits are sent to a station of which nothing else was found to work."""
    return _BY_MAXIMUM if station.limit_by is LimitBy.STATION_MAXIMUM else _BY_LEASES


_BY_LEASES, _BY_MAXIMUM = LeaseForm(), LeaseForm(purpose=ProfilePurpose.CHARGE_POINT_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Where an EVSE stands on the ladder.

    Parameters
    ----------
    since, at : datetime
        When the rung was first tried, and last: limits are renewed before they run out.
    tries : int
        How often, in a row.
    refused : bool
        The station did not take it: the next rung comes at once.
    """

    rung: Rung
    since: datetime
    at: datetime
    tries: int = 1
    refused: bool = False
