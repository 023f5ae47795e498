"""What batteries are to be told, on its way from the controller to whoever reaches them.

Rules
-----
1. The newest order of a battery is the only one: an older one that was held up is never carried.
2. What may let more current flow is not told before the journal has it; nothing is told by a process that only watches,
   that stops, or that does not hold the site.
3. An actuator that fails costs nothing but its order: the battery's watchdog puts it to rest.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from loadmgr.apps.process.site import SiteProcess
from loadmgr.control.decision import Decision

log = logging.getLogger(__name__)


class BatteryActuator(Protocol):
    """Who reaches batteries."""

    async def set_power_w(self, battery: str, power_w: int) -> None:
        """Tell a battery what to do [W], above 0 to charge.

        Raises
        ------
        OSError
            If it could not be told.
        """


class BatteryOrders:
    """The newest order of each battery of a site.

    Parameters
    ----------
    process : SiteProcess
    may_tell : callable, optional
        Whether this process holds the site now; always where no other could.
    """

    def __init__(self, process: SiteProcess, *, may_tell: Callable[[], bool] = lambda: True) -> None:
        self._process = process
        self._may_tell = may_tell
        self._newest: dict[str, int] = {}
        self._woken = asyncio.Event()
        process.on_decision.append(self._take)

    def _take(self, decision: Decision) -> None:
        for told in decision.batteries:
            self._newest[told.battery] = told.power_w
        if decision.batteries:
            self._woken.set()

    async def carry(self, actuator: BatteryActuator) -> None:
        """Carry orders until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self._process.remembered()
            orders, self._newest = self._newest, {}
            for battery, power_w in orders.items():
                if self._process.draining or self._process.watching or not self._may_tell():
                    continue
                try:
                    await actuator.set_power_w(battery, power_w)
                except OSError as error:
                    log.warning("battery %s could not be told %d W: %s", battery, power_w, error)
