"""What the law asks of a load manager, as numbers: the German dimming of section 14a EnWG and the British regulations.

Rules
-----
1. Every figure names its source. Primary texts bind; where a figure is known from secondary sources alone, it says so.
2. A pack sets defaults and limits. Whether a site falls under a law is the operator's to say, in the site file.
"""

import enum
import zlib
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

MINIMUM_14A_W = 4200.0
"""What a controllable load keeps when it is dimmed (BNetzA BK6-22-300, Anlage 1) [W]."""

SIMULTANEITY_14A = {2: 0.80, 3: 0.75, 4: 0.70, 5: 0.65, 6: 0.60, 7: 0.55, 8: 0.50}
"""Simultaneity factor by number of loads (BNetzA BK6-22-300, Anlage 1; for 2 to 8 as quoted by secondary sources)."""

SIMULTANEITY_14A_MANY = 0.45
"""The same for nine and more."""


class Pack(enum.StrEnum):
    """A set of rules that a site may fall under."""

    DE_14A = "de_14a"
    UK = "uk"


def dimmed_power_w(charge_points: int) -> float:
    """Return what charge points behind one energy management system may draw together when they are dimmed [W].

    Parameters
    ----------
    charge_points : int
        Controllable charge points of more than 4.2 kW each.

    Raises
    ------
    ValueError
        If there is none.

    Notes
    -----
    P_min = 4.2 kW + (n - 1) x simultaneity x 4.2 kW. Only power from the grid counts; here generation behind the meter
    is not counted on top, which is stricter than the rule.

    References
    ----------
    BNetzA BK6-22-300, Anlage 1 (section 14a EnWG).

    Examples
    --------
    >>> [round(dimmed_power_w(n)) for n in (1, 2, 10)]
    [4200, 7560, 21210]
    """
    if charge_points < 1:
        raise ValueError(f"charge_points must be 1 or above, got {charge_points}")
    ratio = SIMULTANEITY_14A.get(charge_points, SIMULTANEITY_14A_MANY)
    return MINIMUM_14A_W * (1.0 + (charge_points - 1) * ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakHours:
    """Hours of weekdays in which nobody charges by default, ``[start, end)`` in local time."""

    start: time
    end: time


UK_PEAK_HOURS = (PeakHours(start=time(8), end=time(11)), PeakHours(start=time(16), end=time(22)))
"""Outside of these lie the default charging hours (Electric Vehicles (Smart Charge Points) Regulations 2021)."""

UK_DELAY_S = 600
"""Longest randomised delay unless it is adjusted (the same regulations) [s]."""

UK_DELAY_MOST_S = 1800
"""So long a delay has to be possible (the same regulations) [s]."""


def is_peak(hours: tuple[PeakHours, ...], at: datetime, zone: ZoneInfo) -> bool:
    """Return whether an instant lies in the peak hours of a weekday."""
    local = at.astimezone(zone)
    return local.weekday() < 5 and any(h.start <= local.time() < h.end for h in hours)


def delay_s(longest_s: int, *, label: str) -> int:
    """Return a delay in ``0..longest_s`` [s] that is random between labels and always the same for one.

    So a decision can be repeated from its inputs, and no two sites or sessions move together.
    """
    return zlib.crc32(label.encode()) % (longest_s + 1)
