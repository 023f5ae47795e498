"""Make the synthetic data of ``home.yaml``, ``depot.yaml`` and ``hub.yaml``; run by hand, after the session models.

    python tests/data_making/make_fleet_samples.py

Everything is drawn from seeds: same code, same files. ``sample_sites/data/SOURCES.md`` tells what they hold.
"""

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.series import StepFunction
from loadmgr.model.session import SessionRecord
from loadmgr.sim.generators import draw_depot, draw_hub, read_timetable
from loadmgr.sim.session_table import write_table
from loadmgr.sim.standard_profiles import standard_load_w

DATA = Path(__file__).parents[2] / "sample_sites" / "data"
MONDAY = date(2026, 3, 2)
BERLIN, BRUSSELS = "Europe/Berlin", "Europe/Brussels"

APPLIANCES = (
    # name, power [W], quarters of an hour, times a week, earliest and latest hour, phase
    ("kettle", 1400.0, 1, 18, 6.5, 21.0, 0),
    ("oven", 2300.0, 3, 4, 17.0, 19.0, 1),
    ("hob", 3000.0, 2, 7, 17.5, 19.5, 2),
    ("washing machine", 1300.0, 4, 4, 9.0, 20.0, 0),
    ("dishwasher", 1500.0, 4, 5, 19.0, 22.0, 1),
    ("dryer", 2200.0, 5, 3, 10.0, 20.0, 0),
)


def write_load(name: str, power_w: StepFunction, currents_a: np.ndarray, *, time_zone: str) -> None:
    """Write a week of currents, ``(3, n)``."""
    zone = ZoneInfo(time_zone)
    lines = ["start,l1_a,l2_a,l3_a"]
    for when, column in zip(power_w.times, currents_a.T, strict=True):
        lines.append(f"{when.astimezone(zone).isoformat(timespec='minutes')}," + ",".join(f"{a:.2f}" for a in column))
    (DATA / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_home() -> None:
    """A household of 3500 kWh a year with its appliances, and a car that commutes."""
    rng = np.random.default_rng(11)
    base = standard_load_w("h25", yearly_wh=3.5e6, first_day=MONDAY, days=7, time_zone=BRUSSELS)
    currents_a = np.tile(np.array(base.values) * 0.6 / 3.0 / 230.0, (3, 1))
    for _, power_w, length, times, earliest, latest, phase in APPLIANCES:
        for _ in range(times):
            begin = int(rng.integers(7)) * 96 + int(rng.uniform(earliest, latest) * 4.0)
            currents_a[phase, begin : begin + length] += power_w / 230.0
    currents_a = np.minimum(currents_a, 16.0)
    write_load("home_household.csv", base, currents_a, time_zone=BRUSSELS)
    zone, sessions = ZoneInfo(BRUSSELS), []
    for day in range(28):
        weekend = day % 7 >= 5
        if rng.random() < (0.5 if weekend else 0.15):
            continue
        evening = datetime(2026, 3, 2, 18, tzinfo=zone) + timedelta(days=day)
        arrival = evening + timedelta(minutes=round(float(rng.normal(0.0, 35.0))))
        leaves = evening.replace(hour=7, minute=20) + timedelta(days=1)
        departure = leaves + timedelta(minutes=round(float(rng.normal(0.0, 8.0))) + 120 * (day % 7 in (4, 5)))
        energy_wh = float(round(rng.lognormal(np.log(11_000.0), 0.4)))
        sessions.append(
            SessionRecord(
                session_id=SessionId(f"car-{arrival:%m%d}"),
                evse=EvseId("box"),
                arrival=arrival,
                departure=departure,
                estimated_departure=leaves,
                energy_requested_wh=energy_wh,
                max_a=16.0,
                phases=3,
            )
        )
    write_table(DATA / "home_weeks.csv", sessions)


def make_depot() -> None:
    """Four weeks of twelve buses, and a workshop."""
    timetable = read_timetable(DATA / "depot_timetable.csv")
    stays = draw_depot(timetable, first_day=MONDAY, days=28, time_zone=BERLIN, rng=np.random.default_rng(5))
    write_table(DATA / "depot_weeks.csv", stays)
    load = standard_load_w("g25", yearly_wh=180e6, first_day=MONDAY, days=7, time_zone=BERLIN)
    write_load("depot_workshop.csv", load, np.tile(np.array(load.values) / 3.0 / 230.0, (3, 1)), time_zone=BERLIN)


def make_hub() -> None:
    """A week of stops at eight outlets, and a shop."""
    rng = np.random.default_rng(9)
    stops = draw_hub(evses=8, first_day=MONDAY, days=7, time_zone=BERLIN, rng=rng, per_evse_day=12.0)
    write_table(DATA / "hub_week.csv", stops)
    load = standard_load_w("g25", yearly_wh=120e6, first_day=MONDAY, days=7, time_zone=BERLIN)
    write_load("hub_shop.csv", load, np.tile(np.array(load.values) / 3.0 / 230.0, (3, 1)), time_zone=BERLIN)


if __name__ == "__main__":
    make_home()
    make_depot()
    make_hub()
