"""What a posted snapshot costs beside the allocation alone: 50 EVSEs, 96 steps, ten requests a second, one process.

The bare allocation is that of the same problem with a fresh allocator, as a request has one; both are measured in turn.
Run by hand: pytest tests/benchmarks/test_service_speed.py -s -n0
"""

import asyncio
import os
import time
from datetime import timedelta

import httpx2
import numpy as np

from loadmgr.allocation import Allocator
from loadmgr.apps.service.app import create_app
from loadmgr.apps.service.facts import facts_of
from loadmgr.apps.service.schedule import settings_of, told
from loadmgr.apps.service.snapshot import ScheduleRequest
from loadmgr.control.controller import SiteController
from loadmgr.control.formulate import formulate, look
from loadmgr.site_file import check_values
from tests.loadmgr.apps.service.asking import NOW, a_service, token

EVSES = 50
ROUNDS = int(os.environ.get("LOADMGR_ROUNDS", "60"))
PACE_S = 0.1
PHASES = ("L1L2L3", "L2L3L1", "L3L1L2", "L1")


def site():
    """Return a site of two risers with room for half of everybody."""
    ids = [f"E{i:02d}" for i in range(EVSES)]
    return {
        "schema": "loadmgr/v1",
        "site": {"name": "Bench", "timezone": "Europe/Berlin"},
        "circuits": [
            {"id": "main", "fuse": "400A"},
            {"id": "a", "parent": "main", "fuse": "250A", "evses": ids[:25]},
            {"id": "b", "parent": "main", "fuse": "250A", "evses": ids[25:]},
        ],
        "evses": [{"id": e, "max": "32A", "phases": PHASES[i % 4]} for i, e in enumerate(ids)],
        "station_defaults": {"keeps_profiles": "yes", "zero_ok": "yes"},
        "failsafe": {"strategy": "zero"},
        "tariff": {
            "energy": {
                "periods": [{"name": "day", "price": "0.35/kWh", "when": [{"hours": "06:00-22:00"}]}],
                "otherwise": "0.20/kWh",
            }
        },
    }


def snapshot():
    sessions = [
        {
            "evse": f"E{i:02d}",
            "transaction_id": i + 1,
            "started": (NOW - timedelta(minutes=10 + i)).isoformat(),
            "departure": (NOW + timedelta(hours=8 + i % 8)).isoformat(),
            "wanted_wh": 10_000 + 700 * i,
            "vehicle": {"phases": 1 + 2 * (i % 2)},
        }
        for i in range(EVSES)
    ]
    return {"site": site(), "assume_failsafe": True, "sessions": sessions}


def the_problem(body):
    """Return the problem that a request comes to, and its options."""
    request = ScheduleRequest.model_validate(body)
    site_file = check_values(body["site"], name="bench").site_file
    settings = settings_of(site_file, request, filled=False)
    controller = SiteController(site_file.site, site_file.tariff, settings=settings)
    told(controller, facts_of(request, site_file.site, at=NOW))
    state = controller._state
    problem = formulate(state, situation=look(state, NOW), previous=None, settings=settings, now=NOW)
    return problem, settings.allocation


async def measured():
    service = a_service()
    body = snapshot()
    problem, options = the_problem(body)
    transport = httpx2.ASGITransport(app=create_app(service))
    bare, posted = [], []
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=token(service)) as client:
        for index in range(ROUNDS + 5):
            began, began_cpu = time.perf_counter(), time.process_time()
            allocation = Allocator(options).allocate(problem)
            between, between_cpu = time.perf_counter(), time.process_time()
            found = await client.post("/v1/schedule", json=body)
            ended, ended_cpu = time.perf_counter(), time.process_time()
            assert (200, False) == (found.status_code, found.json()["budget_exceeded"])
            assert EVSES == len(allocation.evse_ids)
            if index >= 5:
                bare.append((between - began, between_cpu - began_cpu))
                posted.append((ended - between, ended_cpu - between_cpu))
            await asyncio.sleep(max(0.0, PACE_S - (ended - began)))
    service.close()
    return problem, np.array(bare), np.array(posted)


def test_a_schedule_of_50_evses_beside_its_allocation():
    problem, bare, posted = asyncio.run(measured())
    assert (EVSES, 96) == (problem.n_evses, len(problem.grid))
    for column, kind in enumerate(("wall clock", "processor")):  # the second hardly depends on who else is at work
        middle = float(np.median(bare[:, column]))
        for name, times in (("allocation", bare), ("POST /v1/schedule", posted)):
            p50, p99 = np.percentile(times[:, column], (50, 99)) / middle
            print(f"{kind}  {name:18s} p50 {p50:5.2f}   p99 {p99:5.2f}   (1 is {middle * 1e3:.1f} ms)")
    assert len(posted) == ROUNDS
