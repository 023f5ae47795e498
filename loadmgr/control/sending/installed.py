"""What a station as a whole may draw: what is installed, or less where its own supply carries less."""

import math

from loadmgr.model.ids import StationId
from loadmgr.model.topology import Circuit, Site


def installed_a(site: Site, station: StationId) -> float:
    """Return the most that all EVSEs of a station may draw together on a phase [A]."""
    most_a = sum(e.max_a for e in site.evses_of(station))
    for feed in _feeds(site, station):
        if None not in feed.limit_a:
            most_a = min(most_a, max(a for a in feed.limit_a if a is not None))
    return most_a


def installed_w(site: Site, station: StationId) -> float:
    """Return the most that all EVSEs of a station may draw together [W]."""
    most_w = math.fsum(e.max_a * site.voltage_v * len(e.phases) for e in site.evses_of(station))
    for feed in _feeds(site, station):
        limits_w = [math.inf if a is None else a * site.voltage_v for a in feed.limit_a]
        most_w = min(most_w, math.fsum(limits_w), math.inf if feed.limit_w is None else feed.limit_w)
    return most_w


def _feeds(site: Site, station: StationId) -> list[Circuit]:
    """Return the circuits that feed all EVSEs of a station, and nothing else."""
    evses = site.evses_of(station)
    return [c for c in site.path(evses[0].circuit) if site.evses_under(c.id) == evses and not c.side_loads]
