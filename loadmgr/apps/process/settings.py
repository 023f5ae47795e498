"""From a site file to the controller's settings."""

from dataclasses import replace

from loadmgr.control.settings import ControlSettings
from loadmgr.site_file import SiteFile

_ANY_DRAW_A = 10_000.0


def control_settings(site_file: SiteFile, *, watching: bool = False) -> ControlSettings:
    """Return the controller's settings for a site: what the site file says, the defaults for the rest.

    Parameters
    ----------
    site_file : SiteFile
    watching : bool
        Limits are computed and not sent: a draw above them is no disobedience.
    """
    said, rules = site_file.session_defaults, site_file.compliance
    settings = ControlSettings(
        need_wh=said.energy_wh,
        stay_s=said.stay_s,
        habits=site_file.drivers.habits,
        longest_delay_s=0 if rules is None else rules.longest_delay_s,
        peak_hours=() if rules is None else rules.peak_hours,
    )
    return replace(settings, tolerance_a=_ANY_DRAW_A) if watching else settings
