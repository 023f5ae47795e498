"""Whether a station does what it acknowledged, judged by what it draws.

Rules
-----
1. One reading above the limit and its tolerance, once the vehicle had time to follow, is disobedience: the EVSE counts
   with its installed maximum from then on.
2. Trust comes back with a stretch of readings within a limit that is worth the name: one below the installed maximum.
3. A reduction that mattered, seen to be followed, is the record that makes later acknowledgements count by themselves.
"""

from dataclasses import dataclass
from datetime import datetime

from loadmgr.control.settings import ControlSettings


@dataclass(slots=True, kw_only=True)
class Obedience:
    """The record of one EVSE.

    Parameters
    ----------
    proven : bool
        It was seen to follow a reduction that mattered, and never disobeyed since.
    disobeying_since : datetime, optional
    good_since : datetime, optional
        Start of the present stretch of readings within the limit.
    good_readings : int
        Readings in that stretch.
    offences : int
        How often it was found to disobey.
    excess_at : datetime, optional
        When it was last seen to draw more than it may.
    left_at : datetime, optional
        When it was last seen to draw no more than the limit that it had ignored.
    disobeyed_a : float
        The limit that it was first seen to ignore [A].
    """

    proven: bool = False
    disobeying_since: datetime | None = None
    good_since: datetime | None = None
    good_readings: int = 0
    offences: int = 0
    excess_at: datetime | None = None
    left_at: datetime | None = None
    disobeyed_a: float = 0.0


def tolerance_a(limit_a: float, settings: ControlSettings) -> float:
    """Return by how much a draw may exceed a limit before it counts as disobedience [A]."""
    return settings.tolerance_a + settings.tolerance_ratio * limit_a


def judge(
    record: Obedience, *, peak_a: float, allowed_a: float, max_a: float, at: datetime, settings: ControlSettings
) -> bool:
    """Fold a live reading into the record; return whether the standing of the EVSE changed.

    Parameters
    ----------
    peak_a : float
        The highest current of a phase that was measured [A].
    allowed_a : float
        The highest limit that the EVSE may still have followed at ``at``, time to settle included [A].
    max_a : float
        Installed maximum [A]; only a limit below it proves anything.
    """
    if peak_a > allowed_a + tolerance_a(allowed_a, settings):
        newly = record.disobeying_since is None
        record.disobeying_since = at if newly else record.disobeying_since
        record.excess_at = at
        record.disobeyed_a = allowed_a if newly else record.disobeyed_a
        record.proven, record.good_since, record.good_readings = False, None, 0
        record.offences += newly
        return newly
    if record.disobeying_since is None:
        return False
    if peak_a <= record.disobeyed_a + tolerance_a(record.disobeyed_a, settings):
        record.left_at = at
    if allowed_a > max_a - settings.tolerance_a:
        return False
    record.good_since = record.good_since or at
    record.good_readings += 1
    long_enough = (at - record.good_since).total_seconds() >= settings.proving_s
    if long_enough and record.good_readings >= settings.proving_readings:
        record.disobeying_since, record.good_since, record.good_readings = None, None, 0
        return True
    return False
