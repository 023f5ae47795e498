"""One EVSE of a simulated station: its power side, its transaction, and how a stay goes.

Rules kept here
---------------
1. Plugging in, following a limit and unplugging are facts of the instant; the messages about them follow in order, and
   wait for the link where it is down.
2. Energy flows only in a transaction. Offline a transaction starts where the station may authorise by itself.
3. A vehicle is never unplugged by software: what ends a transaction leaves the cable in.
"""

import asyncio
from typing import Protocol

from loadmgr.model.ids import TransactionId
from loadmgr.model.topology import CurrentType
from loadmgr.model.units import CURRENT_TOLERANCE_A
from loadmgr.sim.arrivals import Visit
from loadmgr.sim.clock import Timer
from loadmgr.sim.outlet import Outlet
from ocpp_link.testing import Sample

READER_S = 5.0
"""From the plug to the token at the reader [s]."""


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
        self.entitled_a = outlet.evse.max_a  # by its own profiles, whatever its manners
        self.told_status: str | None = None
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

    def follow(self, now_s: float, limit_a: float) -> None:
        """Offer a limit by the pilot, or open the contactor outside a transaction; let the world know what flows."""
        if self.energised:
            self.outlet.offer(now_s, limit_a)
        else:
            self.outlet.cut(now_s)
        self.watcher.changed(self.outlet)

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
                Sample(value=round(current_a * meter_ratio, 2), measurand="Current.Import", phase=f"L{index + 1}")
                for index, current_a in enumerate(outlet.own_currents_a)
            ]
        if "Power.Active.Import" in wanted:
            out.append(Sample(value=round(outlet.power_w * meter_ratio, 1), measurand="Power.Active.Import"))
        if "Energy.Active.Import.Register" in wanted:
            out.append(Sample(value=round(outlet.register_wh, 1)))
        if "Voltage" in wanted:
            out.append(Sample(value=round(outlet.voltage_v, 1), measurand="Voltage"))
        if "SoC" in wanted and outlet.state_of_charge_ratio is not None:
            out.append(Sample(value=round(100.0 * outlet.state_of_charge_ratio, 1), measurand="SoC"))
        return out
