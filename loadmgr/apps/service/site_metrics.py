"""Metrics of sites under control, in Prometheus' text format."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from loadmgr.apps.demo.report import quantile_ms
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.upstream.csms_watch import csms_lines
from loadmgr.control.decision import OutsideView, SessionView, SiteView
from loadmgr.control.feedback.market import with_told
from loadmgr.model.series import TimeGrid
from loadmgr.model.tariff import prices
from ocpp_link.clock import Clock
from ocpp_link.metrics import family

if TYPE_CHECKING:
    from loadmgr.apps.service.hosted import HostedSite

Samples = list[tuple[dict[str, str], float]]

PHASES = ("L1", "L2", "L3")

SHORT_WH = 100.0
"""A session that misses less than this is not short."""


class Running(Protocol):
    """A site whose process runs here, or did."""

    @property
    def name(self) -> str:
        """By which it is known."""

    @property
    def running(self) -> bool:
        """Whether its controller runs here."""

    @property
    def process(self) -> SiteProcess:
        """Its process."""

    def now(self) -> datetime:
        """Return the time by its clock."""


@dataclass(frozen=True, slots=True)
class Lone:
    """The site of a process that serves no other."""

    name: str
    process: SiteProcess
    clock: Clock
    running: bool = True

    def now(self) -> datetime:
        """Return the time by its clock."""
        return self.clock.now()


def hosted_lines(sites: "Sequence[HostedSite]") -> Iterator[str]:
    """Yield what only a service knows of sites: who watches them, and what waits for a CSMS."""
    streams = [({"site": s.name}, len(s.streams)) for s in sites]
    yield from family("loadmgr_streams", "gauge", "Event streams that are open.", streams)
    waiting = [({"site": s.name}, 0 if s.outbox is None else len(s.outbox.waiting())) for s in sites]
    yield from family("loadmgr_commands_waiting", "gauge", "Commands that wait for an answer through a CSMS.", waiting)


def site_lines(sites: Sequence[Running]) -> Iterator[str]:
    """Yield what is known of sites: stations, sessions, alarms, loads, limits, meters and prices."""
    decided = [site for site in sites if site.running and site.process.decided]
    views = {site.name: site.process.controller.view() for site in decided}

    def gauge(name: str, text: str, value: Callable[[Running], float], kind: str = "gauge") -> Iterator[str]:
        yield from family(name, kind, text, [({"site": s.name}, value(s)) for s in sites])

    yield from gauge("loadmgr_site_running", "Whether the controller of a site runs here.", lambda s: int(s.running))
    yield from gauge("loadmgr_stations_connected", "Stations with a link.", lambda s: len(s.process.connected))
    yield from gauge("loadmgr_sessions", "Sessions that run.", lambda s: s.process.sessions)
    yield from gauge(
        "loadmgr_profiles_sent_total", "Charging profiles sent.", lambda s: s.process.profiles_sent, "counter"
    )
    yield from gauge("loadmgr_journal_in_trouble", "Whether a journal cannot be written.", _journal_in_trouble)
    yield from csms_lines((s.name, s.process.csms) for s in sites if s.process.csms is not None)
    yield from _of_views(views)
    yield from family("loadmgr_plan_seconds", "gauge", "Time that recent plans took.", _plan_seconds(decided))
    yield from family("loadmgr_meter_age_seconds", "gauge", "Age of a meter's last reading.", _meter_ages(decided))
    yield from family(
        "loadmgr_price_per_kwh", "gauge", "Price of import now, in the site's currency.", _prices(decided)
    )
    yield from family(
        "loadmgr_prices_known_seconds", "gauge", "For how long prices from outside are known.", _prices_known(decided)
    )


def _of_views(views: dict[str, SiteView]) -> Iterator[str]:
    yield from family("loadmgr_alarms", "gauge", "Alarms that stand, by severity.", _alarms(views))
    yield from family("loadmgr_alarms_by_kind", "gauge", "Alarms that stand, by kind.", _alarm_kinds(views))
    yield from family("loadmgr_circuit_limit_amperes", "gauge", "Limit of a circuit's phase.", _limits(views))
    yield from family("loadmgr_circuit_assumed_amperes", "gauge", "Load that has to be assumed.", _assumed(views))
    yield from family("loadmgr_circuit_measured_amperes", "gauge", "Load that was measured.", _measured(views))
    yield from family(
        "loadmgr_vehicles_watts",
        "gauge",
        "Power of all vehicles.",
        [({"site": name}, round(math.fsum(e.power_w or 0.0 for e in view.evses))) for name, view in views.items()],
    )
    yield from family(
        "loadmgr_sessions_short",
        "gauge",
        "Sessions that by the plan miss some of what they want at departure.",
        [({"site": name}, sum(_is_short(e.session) for e in view.evses)) for name, view in views.items()],
    )
    outside = [(name, limit) for name, view in views.items() for limit in view.limits]
    yield from family(
        "loadmgr_outside_limit_watts",
        "gauge",
        "Limit of the power from outside.",
        [(_source(name, limit), limit.limit_w) for name, limit in outside if limit.limit_w is not None],
    )
    yield from family(
        "loadmgr_outside_limit_amperes",
        "gauge",
        "Limit of a phase from outside.",
        [
            (_source(name, limit) | {"phase": phase}, amps)
            for name, limit in outside
            for phase, amps in zip(PHASES, limit.limit_a or (), strict=False)
            if amps is not None
        ],
    )
    yield from family(
        "loadmgr_outside_silent",
        "gauge",
        "Whether a source of limits has not repeated itself as it promised.",
        [(_source(name, limit), int(limit.silent)) for name, limit in outside],
    )


def _source(site: str, limit: OutsideView) -> dict[str, str]:
    return {"site": site, "circuit": limit.circuit, "source": limit.source}


def _is_short(session: SessionView | None) -> bool:
    if session is None or session.wanted_wh is None or session.departure is None:
        return False
    return session.expected_wh < session.wanted_wh - SHORT_WH


def _journal_in_trouble(site: Running) -> int:
    journal = site.process.condition()["journal"]
    return int(journal is not None and journal["trouble"] is not None)


def _alarm_kinds(views: dict[str, SiteView]) -> Samples:
    counted = Counter((name, a.kind, a.severity.name.lower()) for name, view in views.items() for a in view.alarms)
    return [({"site": n, "kind": k, "severity": s}, count) for (n, k, s), count in sorted(counted.items())]


def _plan_seconds(sites: Sequence[Running]) -> Samples:
    return [
        ({"site": s.name, "quantile": word}, round(found_ms / 1000.0, 6))
        for s in sites
        for word, share in (("0.5", 0.5), ("0.99", 0.99))
        if (found_ms := quantile_ms(list(s.process.recent_solve_s), share)) is not None
    ]


def _meter_ages(sites: Sequence[Running]) -> Samples:
    return [
        ({"site": s.name, "meter": meter}, round((s.now() - at).total_seconds(), 1))
        for s in sites
        for meter, at in sorted(s.process.controller.heard.meters_at.items())
    ]


def _prices(sites: Sequence[Running]) -> Samples:
    out: Samples = []
    for site in sites:
        now, tariff = site.now(), site.process.site_file.tariff
        grid = TimeGrid.uniform(now, step_s=60, steps=1)
        try:
            told = with_told(prices(tariff, grid), site.process.controller.heard.prices_per_kwh, grid)
        except ValueError:
            continue  # a tariff that has ended has no price
        out.append(({"site": site.name}, round(told[0], 6)))
    return out


def _prices_known(sites: Sequence[Running]) -> Samples:
    out: Samples = []
    for site in sites:
        told = site.process.controller.heard.prices_per_kwh
        if told is not None and told.end is not None:
            out.append(({"site": site.name}, round(max(0.0, (told.end - site.now()).total_seconds()))))
    return out


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
