"""Batteries that are told by way of a CSMS: those that the site file gives no way of their own."""

from loadmgr.apps.service.outbox import Outbox
from loadmgr.site_file import SiteFile


class CsmsBatteries:
    """Hands the orders of a site's batteries to whoever fetches its commands.

    An order is passed on for as long as a device may take to follow: later nobody counts with it, and the battery is
    told again anyway.

    Parameters
    ----------
    outbox : Outbox
    site_file : SiteFile
    """

    def __init__(self, outbox: Outbox, site_file: SiteFile) -> None:
        site, told_here = site_file.site, {how.battery for how in site_file.battery_inputs}
        self._outbox = outbox
        self._lasts_s = {
            battery.id: min(site.timing.settle_s, battery.link.watchdog_s)
            for battery in site.batteries
            if battery.link is not None and battery.id not in told_here
        }

    async def set_power_w(self, battery: str, power_w: int) -> None:
        """Have a battery told what to do [W], above 0 to charge; nothing where it is told over Modbus."""
        lasts_s = self._lasts_s.get(battery)
        if lasts_s is not None:
            self._outbox.order(battery, power_w, lasts_s=lasts_s)
