"""From a site file to the controller's settings."""

from loadmgr.control.settings import ControlSettings
from loadmgr.site_file import SiteFile


def control_settings(site_file: SiteFile) -> ControlSettings:
    """Return the controller's settings for a site: what the site file says, the defaults for the rest."""
    said = site_file.session_defaults
    return ControlSettings(need_wh=said.energy_wh, stay_s=said.stay_s)
