"""One EVSE of a simulated station: its power side, its transaction, and how a stay goes.

Rules kept here
---------------
1. Plugging in, following a limit and unplugging are facts of the instant; the messages about them follow in order, and
   wait for the link where it is down.
2. Energy flows only in a transaction. Offline a transaction starts where the station may authorise by itself.
3. A vehicle is never unplugged by software: what ends a transaction leaves the cable in.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from loadmgr.composite.now import LimitNow
from loadmgr.model.ids import TransactionId
from loadmgr.model.topology import CurrentType
from loadmgr.model.units import CURRENT_TOLERANCE_A
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.clock import Timer
from loadmgr.sim.outlet import Outlet
from ocpp_link.testing import Sample

READER_S = 5.0
"""From the plug to the token at the reader [s]."""


MOST_UNSENT = 500
"""Samples that wait for a link; of more, every second one is dropped, as OCPP 2.0.1 (E04) has it."""

Unsent = deque[tuple[datetime, Sequence[Sample]]]
"""What was measured without a link: when, and what; oldest first."""


class BayWatcher(Protocol):
    """Who wants to know what happens at an EVSE."""

    def plugged(self, visit: Visit) -> None:
        """Take note of a vehicle."""

    def changed(self, outlet: Outlet) -> None:
        """Take note of a current that may have changed."""

    def unplugged(self, visit: Visit, energy_wh: float) -> None:
        """Take note that a vehicle left, and what it took [Wh]."""


class Bay:
    """The state of one EVSE.

    Parameters
    ----------
    outlet : Outlet
    watcher : BayWatcher
    """

    def __init__(self, outlet: Outlet, watcher: BayWatcher) -> None:
        self.outlet = outlet
        self.watcher = watcher
        self.visit: Visit | None = None
        self.transaction: TransactionId | None = None  # the one that runs here; local until the CSMS has named it
        self.energised = False
        self.finished = False  # a transaction ended here and the cable is still in
        self.available = True
        self.cuts = 0  # how often a transaction, or the wait for one, was broken off
        self.entitled_a = outlet.evse.max_a  # by its own profiles, whatever its manners
        self.phases = len(outlet.evse.phases)  # that its profiles let it charge on
        self.told_status: str | None = None
        self.unsent: Unsent = deque()  # what the running transaction measured without a link
        self.order = asyncio.Lock()  # messages about transactions leave one after the other
        self.timer: Timer | None = None

    @property
    def number(self) -> int:
        """EVSE id (2.x) or connector id (1.6)."""
        return self.outlet.evse.number

    @property
    def status(self) -> str:
        """State in the words of 1.6."""
        vehicle = self.outlet.vehicle
        if vehicle is None:
            return "Available" if self.available else "Unavailable"
        if not self.energised:
            return "Finishing" if self.finished else "Preparing"
        if self.outlet.current_a < -CURRENT_TOLERANCE_A:
            return "Charging"  # energy flows; 2.x has no state of its own for the other way
        if vehicle.full:
            return "SuspendedEV"
        paused = vehicle.told_a < vehicle.spec.min_a and self.outlet.current_a <= CURRENT_TOLERANCE_A
        return "SuspendedEVSE" if paused else "Charging"

    def plug(self, visit: Visit, now_s: float) -> None:
        """Plug the visit's vehicle in."""
        self.outlet.plug(visit.vehicle, now_s=now_s)
        self.visit = visit
        self.finished = False
        self.watcher.plugged(visit)

    def unplug(self, now_s: float) -> None:
        """Unplug whatever is plugged in."""
        energy_wh = self.outlet.unplug(now_s=now_s)
        visit, self.visit = self.visit, None
        self.energised = False
        self.watcher.changed(self.outlet)
        if visit is not None:
            self.watcher.unplugged(visit, energy_wh)

    def entitle(self, limit: LimitNow, *, shares: int) -> None:
        """Take what its profiles allow, or ask it to feed back.

        Parameters
        ----------
        limit : LimitNow
        shares : int
            On DC a limit in W stands as one phase's worth; the infeed shares it over so many.
        """
        evse = self.outlet.evse
        self.phases = limit.phases or len(evse.phases)
        if limit.setpoint_a is not None and limit.setpoint_a < 0.0:
            self.entitled_a = max(limit.setpoint_a / shares, -evse.discharge_a)
        else:
            self.entitled_a = evse.max_a if limit.limit_a is None else min(limit.limit_a / shares, evse.max_a)

    def follow(self, now_s: float, limit_a: float) -> None:
        """Offer a limit by the pilot, or open the contactor outside a transaction; let the world know what flows."""
        if self.energised:
            self.outlet.use_phases(now_s, self.phases)
            self.outlet.offer(now_s, limit_a)
        else:
            self.outlet.cut(now_s)
        self.watcher.changed(self.outlet)

    def keep(self, samples: Sequence[Sample], *, at: datetime) -> None:
        """Keep what the meter says until there is a link."""
        self.unsent.append((at, samples))
        if len(self.unsent) > MOST_UNSENT:
            kept = list(self.unsent)[::2]
            self.unsent.clear()
            self.unsent.extend(kept)

    def samples(self, measurands: str, *, meter_ratio: float = 1.0) -> list[Sample]:
        """Return what the meter says now.

        Parameters
        ----------
        measurands : str
            Those that are configured, separated by commas.
        meter_ratio : float
            What a lying meter says per what is true.
        """
        wanted = {name.strip() for name in measurands.split(",")}
        outlet, out = self.outlet, []
        if "Current.Import" in wanted and outlet.evse.current_type is CurrentType.AC:
            out += [
                Sample(
                    value=round(max(current_a, 0.0) * meter_ratio, 2),
                    measurand="Current.Import",
                    phase=f"L{index + 1}",
                )
                for index, current_a in enumerate(outlet.own_currents_a)
            ]
        if "Power.Active.Import" in wanted:
            out.append(Sample(value=round(max(outlet.power_w, 0.0) * meter_ratio, 1), measurand="Power.Active.Import"))
        if outlet.evse.discharge_a > 0.0:
            out.append(Sample(value=round(max(-outlet.power_w, 0.0), 1), measurand="Power.Active.Export"))
            out.append(Sample(value=round(outlet.exported_wh, 1), measurand="Energy.Active.Export.Register"))
        if "Energy.Active.Import.Register" in wanted:
            out.append(Sample(value=round(outlet.register_wh, 1)))
        if "Voltage" in wanted:
            out.append(Sample(value=round(outlet.voltage_v, 1), measurand="Voltage"))
        if "SoC" in wanted and outlet.state_of_charge_ratio is not None:
            out.append(Sample(value=round(100.0 * outlet.state_of_charge_ratio, 1), measurand="SoC"))
        return out
