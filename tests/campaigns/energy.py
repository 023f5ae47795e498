"""What the controller booked for each session, against what the station's meter delivered.

Rules
-----
1. A session is a transaction that its station has told of to its end. Booked is the last that the controller said of
   it, in whichever life; delivered is what truly flowed, whatever the register did meanwhile.
2. Every such session is booked, to the tolerance, unless nobody could know of it: a controller without a journal was
   killed, or was killed while its journal could not be written. Such sessions are left out, and counted.
3. When a register starts anew, what flowed since its last reading is lost with it, and a reading or two pass before it
   is known that it did. Where its station was not heard at that time, nobody can tell: such sessions are left out.
"""

from dataclasses import dataclass

from loadmgr.sim.world import World
from tests.campaigns.life import Life

TOLERANCE_WH = 2.0
"""OCPP 1.6 tells registers at the start and the end in whole Wh."""


READINGS_LOST = 4
"""So many readings' worth of energy may be lost with a register that starts anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """One session.

    Parameters
    ----------
    booked_wh : float, optional
        ``None`` where the controller never said a word of it.
    allowed_wh : float
        How far it may be off.
    """

    transaction: str
    delivered_wh: float
    booked_wh: float | None
    allowed_wh: float

    @property
    def lost_wh(self) -> float:
        """How much of it is not booked, or booked too much."""
        return abs(self.delivered_wh - (self.booked_wh or 0.0))

    @property
    def right(self) -> bool:
        """Whether the controller booked what was delivered."""
        return self.lost_wh <= self.allowed_wh


def booked(world: World, life: Life) -> list[Booked]:
    """Return every session that the controller could know to its end."""
    site = world.plan.site
    said = {(site.evse_by_id[v.evse].station, str(v.transaction)): v.delivered_wh for v in life.booked}
    out = []
    for station in () if life.forgot else world.stations.values():
        most_w = max(e.max_a for e in site.evses_of(station.id)) * 3 * site.voltage_v
        for name, delivered_wh in station.transactions.delivered_wh.items():
            if name in life.anew_unheard:
                continue
            anew_wh = READINGS_LOST * most_w * site.timing.meter_interval_s / 3600.0 if name in life.anew else 0.0
            out.append(
                Booked(
                    transaction=f"{station.id}/{name}",
                    delivered_wh=delivered_wh,
                    booked_wh=said.get((station.id, name)),
                    allowed_wh=TOLERANCE_WH + anew_wh,
                )
            )
    return out
