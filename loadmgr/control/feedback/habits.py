"""Habits of a site: how long those stay, and what they take, of whom nobody says anything this time.

Rules
-----
1. A driver is known by the id token; one who was not here often enough is taken for one of those who came at such a
   time of such a day.
2. A habit is no promise: nobody is told that a vehicle will have its energy by then, and no other goes short for it in
   the first tier. It is guessed on the careful side: a stay that most exceeded, and energy that was enough for most.
3. What is kept is bounded, in stays and in drivers; the longest unseen is forgotten first.
"""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

from loadmgr.control.feedback.stay import Stay
from loadmgr.control.state import Charging, SiteState

KEPT_STAYS, KEPT_KEYS = 10, 500
"""So many stays are kept of each, and so many drivers and times."""

ENOUGH_STAYS = 3
"""Fewer stays are no habit."""

SURE_RATIO = 0.75
"""Part of the stays that were at least as long as expected, and that took at most so much."""

SHORTEST_S, LEAST_WH = 300.0, 500.0
"""Less than either was no stay but a try."""

HOURS_ALIKE = 3
"""Arrivals within so many hours of the day are alike [h]."""


def note_stay(state: SiteState, charging: Charging, *, resting: bool, at: datetime) -> None:
    """Remember a session that ends, where the site asks for habits.

    Parameters
    ----------
    resting : bool
        The vehicle took no more: it left with all that it wanted.
    """
    if state.habits is None:
        return
    stay_s, energy_wh = (at - charging.started).total_seconds(), charging.ledger.delivered_wh
    if charging.need is not None and not resting:
        energy_wh = max(energy_wh, charging.need.wanted_wh)
    if stay_s < SHORTEST_S or energy_wh < LEAST_WH:
        return
    for key in _keys(state, charging):
        before = state.habits.pop(key, ())
        state.habits[key] = (*before, Stay(stay_s=stay_s, energy_wh=energy_wh))[-KEPT_STAYS:]
    while len(state.habits) > KEPT_KEYS:
        del state.habits[next(iter(state.habits))]


def habit_of(state: SiteState, charging: Charging) -> Stay | None:
    """Return what is expected of a session by habit; ``None`` where there is none."""
    if state.habits is None:
        return None
    for key in _keys(state, charging):
        stays = state.habits.get(key, ())
        if len(stays) >= ENOUGH_STAYS:
            place = math.ceil(SURE_RATIO * len(stays))
            return Stay(
                stay_s=sorted(each.stay_s for each in stays)[len(stays) - place],
                energy_wh=sorted(each.energy_wh for each in stays)[place - 1],
            )
    return None


def source_of(state: SiteState, charging: Charging) -> str:
    """Return who said what a session is to get; ``habit`` where nobody did and there is one."""
    if charging.source == "default" and habit_of(state, charging) is not None:
        return "habit"
    return charging.source


def _keys(state: SiteState, charging: Charging) -> list[str]:
    """Return under which names a session is remembered, the driver's own first."""
    local = charging.started.astimezone(ZoneInfo(state.site.time_zone))
    day = "weekend" if local.weekday() >= 5 else "weekday"
    alike = f"{day} {local.hour // HOURS_ALIKE * HOURS_ALIKE:02d}"
    return [alike] if charging.id_token is None else [f"token {charging.id_token}", alike]
