"""By when, and with how much on top, a vehicle is planned to have its energy: the controller's and the simulation's.

A battery takes less and less towards its end, setpoints are rounded down to the station's steps, and a plan is not
always kept to the minute. A plan that is ready at the very departure, to the very watt-hour, breaks its promises.
"""

from datetime import datetime, timedelta

from loadmgr.model.session import EnergyNeed
from loadmgr.model.units import SECONDS_PER_HOUR

FINISH_RATIO = 0.01
FINISH_WH = 100.0
"""A need is planned with so much on top, so that rounding down never leaves it unfinished."""


def with_finish_wh(wanted_wh: float, *, delivered_wh: float) -> float:
    """Return what is still to be planned of a need, with a little on top until it is met [Wh].

    Examples
    --------
    >>> with_finish_wh(10_000.0, delivered_wh=4_000.0)
    6200.0
    >>> with_finish_wh(10_000.0, delivered_wh=10_000.0)
    0.0
    """
    missing_wh = wanted_wh - delivered_wh
    return missing_wh + FINISH_RATIO * wanted_wh + FINISH_WH if missing_wh > 0.0 else 0.0


def ready_by(
    departure: datetime,
    *,
    now: datetime,
    wanted_wh: float,
    most_w: float,
    margin_s: float,
    margin_ratio: float,
    late_s: float,
) -> datetime:
    """Return by when a vehicle is planned to have its energy: before it leaves, the more so the more it wants.

    Parameters
    ----------
    wanted_wh, most_w : float
        What is left to deliver [Wh], and the most that it can be delivered with [W].
    margin_s, margin_ratio : float
        How long before the departure [s], and what is added as a share of the time it has yet to charge at full power.
    late_s : float
        Who is late is planned to be ready within this time [s]: a deadline that moves on with time by more would put
        the rest off for ever.
    """
    charging_s = 0.0 if most_w <= 0.0 else wanted_wh / most_w * SECONDS_PER_HOUR
    early = departure - timedelta(seconds=margin_s + margin_ratio * charging_s)
    return max(early, now + timedelta(seconds=late_s))


def spare_s(departure: datetime, *, now: datetime, wanted_wh: float, most_w: float) -> float | None:
    """Return for how long a vehicle can still pause and be ready at its departure [s]; below 0 it cannot be any more.

    ``None`` where nothing is to be made ready: it is gone, wants nothing, or can be given nothing.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 2, 18, tzinfo=UTC)
    >>> spare_s(now + timedelta(hours=3), now=now, wanted_wh=22_000.0, most_w=11_000.0)
    3600.0
    """
    left_s = (departure - now).total_seconds()
    if left_s <= 0.0 or wanted_wh <= 0.0 or most_w <= 0.0:
        return None
    return left_s - wanted_wh / most_w * SECONDS_PER_HOUR


def is_urgent(departure: datetime, *, now: datetime, wanted_wh: float, most_w: float, urgent_s: float) -> bool:
    """Return whether a vehicle has less time to spare than ``urgent_s``: what it misses now cannot be made up.

    A linear program counts energy, so on a phase that stays full it would rather serve three phases of one vehicle than
    the one phase of another. That is right only while the other can still be served later.
    """
    left_s = spare_s(departure, now=now, wanted_wh=wanted_wh, most_w=most_w)
    return left_s is not None and left_s < urgent_s


def due_at(need: EnergyNeed | None, *, now: datetime, late_s: float) -> datetime | None:
    """Return when the part of a need that must be is due; one that is overdue is so within ``late_s`` [s]."""
    if need is None or need.must_by is None:
        return None
    return max(need.must_by, now + timedelta(seconds=late_s))
