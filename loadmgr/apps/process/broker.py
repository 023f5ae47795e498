"""The MQTT broker of a process: its bridge, where the package for it is installed."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from loadmgr.apps.process.outside import Feeds
from loadmgr.apps.process.site import SiteProcess
from loadmgr.errors import InputError

if TYPE_CHECKING:
    from loadmgr.apps.mqtt.mqtt_bridge import MqttBridge


def bridge_of(
    process: SiteProcess,
    url: str,
    *,
    feeds: Feeds,
    now: Callable[[], datetime],
    may_tell: Callable[[], bool] = lambda: True,
) -> "MqttBridge":
    """Return a site's end of a broker, which also hears the topics that the site file names.

    Parameters
    ----------
    may_tell : callable, optional
        Whether this process holds the site now, so that batteries may be told.

    Raises
    ------
    InputError
        If the URL is none of a broker, or the package is not installed.
    """
    try:
        from loadmgr.apps.mqtt.mqtt_bridge import MqttBridge
    except ModuleNotFoundError as error:
        raise InputError(f"--mqtt needs {error.name}: pip install 'loadmgr[mqtt]'") from None
    return MqttBridge(process, url, now=now, listeners=lambda: feeds.listeners, may_tell=may_tell)
