"""What the budget of writes costs: a week of a sample site with it and without, everything else alike.

Run by hand: pytest tests/benchmarks/test_write_budget.py -s --site garage --days 7
"""

import asyncio
import logging
from collections import Counter, deque
from datetime import datetime, timedelta
from typing import Any

import pytest

from loadmgr.control.command import SetProfile
from loadmgr.control.controller import SiteController
from loadmgr.control.settings import ControlSettings
from loadmgr.model.profile import ProfilePurpose
from loadmgr.sim import controlled
from loadmgr.sim.controlled import live_controlled, with_meter_interval
from loadmgr.sim.session_table import read_sessions
from loadmgr.sim.world import plan_world
from loadmgr.site_file import find_site, load_site

UNLIMITED = 1_000_000


class Writes:
    """Counts what is written to each EVSE: the most within any 24 hours, by purpose."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, int, str], deque[datetime]] = {}
        self.most: Counter[tuple[str, int, str]] = Counter()
        self.total = 0

    def note(self, at: datetime, command: Any) -> None:
        if not isinstance(command, SetProfile):
            return
        key = (command.station, command.number, command.profile.purpose.value)
        day = self.last.setdefault(key, deque())
        day.append(at)
        while day[0] <= at - timedelta(days=1):
            day.popleft()
        self.most[key] = max(self.most[key], len(day))
        self.total += 1

    def worst(self, purpose: ProfilePurpose) -> int:
        return max((n for (_, _, p), n in self.most.items() if p == purpose.value), default=0)


def lived(site: str, days: float, budget: int, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], Writes]:
    site_file, writes = load_site(find_site(site)), Writes()

    class Counted(SiteController):
        def decide(self, now: datetime) -> Any:
            decision = super().decide(now)
            for command in decision.commands:
                writes.note(now, command)
            return decision

    monkeypatch.setattr(controlled, "SiteController", Counted)
    demo = site_file.demo
    assert demo is not None
    until = demo.start + timedelta(days=days)
    plan = plan_world(site_file, read_sessions(demo.sessions), start=demo.start, until=until, seed=1)
    settings = ControlSettings(tx_writes_per_day=budget)
    told = asyncio.run(live_controlled(with_meter_interval(plan, 60.0), site_file.tariff, settings=settings))
    return told.world.report(site_file.tariff).figures(), writes


@pytest.mark.timeout(7200)
def test_a_budget_of_writes_costs_next_to_nothing(request, monkeypatch):
    """Print writes and what a kWh cost, with the budget of 40 a day and without one."""
    logging.disable(logging.CRITICAL)
    site, days = request.config.getoption("--site"), request.config.getoption("--days")
    found = {budget: lived(site, days, budget, monkeypatch) for budget in (40, UNLIMITED)}
    per_kwh = {}
    for budget, (figures, writes) in found.items():
        per_kwh[budget] = figures["cost"] / figures["energy_delivered_wh"] * 1000.0
        worst = {p.value: writes.worst(p) for p in ProfilePurpose if writes.worst(p)}
        print(
            f"{site}, {days:g} days, budget {budget}: {writes.total} writes, most in 24 h {worst}; "
            f"{figures['energy_delivered_wh'] / 1000.0:.1f} kWh, {figures['cost']:.2f}, {per_kwh[budget]:.4f} per kWh"
        )
    print(f"with the budget a kWh costs {per_kwh[40] / per_kwh[UNLIMITED] - 1.0:+.2%}")
    assert found[40][1].worst(ProfilePurpose.TX) <= 40
