"""Metrics of sites under control, in Prometheus' text format."""

from collections.abc import Callable, Iterator, Sequence

from loadmgr.apps.service.hosted import HostedSite
from loadmgr.control.decision import SiteView
from ocpp_link.metrics import family

Samples = list[tuple[dict[str, str], float]]

PHASES = ("L1", "L2", "L3")


def site_lines(sites: Sequence[HostedSite]) -> Iterator[str]:
    """Yield what is known of sites: stations, sessions, alarms, commands, loads and limits."""
    views = {site.name: site.process.controller.view() for site in sites if site.running and site.process.decided}

    def gauge(name: str, text: str, value: Callable[[HostedSite], float], kind: str = "gauge") -> Iterator[str]:
        yield from family(name, kind, text, [({"site": s.name}, value(s)) for s in sites])

    yield from gauge("loadmgr_site_running", "Whether the controller of a site runs here.", lambda s: int(s.running))
    yield from gauge("loadmgr_stations_connected", "Stations with a link.", lambda s: len(s.process.connected))
    yield from gauge("loadmgr_sessions", "Sessions that run.", lambda s: s.process.sessions)
    yield from gauge("loadmgr_streams", "Event streams that are open.", lambda s: len(s.streams))
    yield from gauge(
        "loadmgr_commands_waiting",
        "Commands that wait for an answer through a CSMS.",
        lambda s: 0 if s.outbox is None else len(s.outbox.waiting()),
    )
    yield from gauge(
        "loadmgr_profiles_sent_total", "Charging profiles sent.", lambda s: s.process.profiles_sent, "counter"
    )
    yield from family("loadmgr_alarms", "gauge", "Alarms that stand, by severity.", _alarms(views))
    yield from family("loadmgr_circuit_limit_amperes", "gauge", "Limit of a circuit's phase.", _limits(views))
    yield from family("loadmgr_circuit_assumed_amperes", "gauge", "Load that has to be assumed.", _assumed(views))
    yield from family("loadmgr_circuit_measured_amperes", "gauge", "Load that was measured.", _measured(views))


def _alarms(views: dict[str, SiteView]) -> Samples:
    return [
        ({"site": name, "severity": word}, sum(a.severity.name.lower() == word for a in view.alarms))
        for name, view in views.items()
        for word in ("note", "warning", "danger")
    ]


def _limits(views: dict[str, SiteView]) -> Samples:
    return [
        ({"site": name, "circuit": c.circuit, "phase": phase}, limit)
        for name, view in views.items()
        for c in view.circuits
        for phase, limit in zip(PHASES, c.limit_a, strict=True)
        if limit is not None
    ]


def _assumed(views: dict[str, SiteView]) -> Samples:
    return [
        ({"site": name, "circuit": c.circuit, "phase": phase}, round(amps, 2))
        for name, view in views.items()
        for c in view.circuits
        for phase, amps in zip(PHASES, c.assumed_a, strict=True)
    ]


def _measured(views: dict[str, SiteView]) -> Samples:
    return [
        ({"site": name, "circuit": c.circuit, "phase": phase}, round(amps, 2))
        for name, view in views.items()
        for c in view.circuits
        if c.measured_a is not None
        for phase, amps in zip(PHASES, c.measured_a, strict=True)
    ]
