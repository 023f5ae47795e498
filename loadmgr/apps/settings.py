"""From a site file to the controller's settings."""

from loadmgr.control.settings import ControlSettings
from loadmgr.site_file import SiteFile


def control_settings(site_file: SiteFile) -> ControlSettings:
    """Return the controller's settings for a site: what the site file says, the defaults for the rest."""
    said, rules = site_file.session_defaults, site_file.compliance
    return ControlSettings(
        need_wh=said.energy_wh,
        stay_s=said.stay_s,
        longest_delay_s=0 if rules is None else rules.longest_delay_s,
        peak_hours=() if rules is None else rules.peak_hours,
    )
