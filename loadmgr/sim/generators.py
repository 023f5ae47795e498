"""Fleets to try a site with: a workplace, an apartment house, a depot with its timetable, a highway hub.

``workplace`` and ``apartment`` draw from models that were fitted to real sessions (``session_models.json`` of the
samples; ``SOURCES.md`` tells of what). ``hub`` takes its arrivals over the day from real public charging; batteries,
states of charge and powers are made up. ``depot`` follows a timetable; lateness and consumption are made up.
"""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId, SessionId
from loadmgr.model.session import SessionRecord
from loadmgr.sim.session_model import SessionModel
from loadmgr.site_file import sample_folder

FITTED = ("workplace", "apartment")

HUB_POWERS_W = (50_000.0, 100_000.0, 150_000.0, 200_000.0, 270_000.0)
"""What vehicles on a motorway can take at most [W], each as likely as the others: an assumption."""

HUB_CAPACITIES_WH = (45_000.0, 58_000.0, 64_000.0, 77_000.0, 95_000.0)

HUB_MEAN_POWER_RATIO = 0.55
"""Mean over highest power of a stop, for how long drivers stay: the rest is taper."""

LATE_S = 480.0
"""Buses come back late by this in the mean [s], drawn from an exponential distribution."""

DAYS = {"Mo-Fr": range(5), "Mo-Sa": range(6), "Mo-Su": range(7), "Sa": (5,), "Su": (6,), "Sa-Su": (5, 6)}


def session_model(name: str) -> SessionModel:
    """Return a model that is shipped.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    models = json.loads((sample_folder() / "data" / "session_models.json").read_text(encoding="utf-8"))
    if name not in FITTED:
        raise ValueError(f"name must be one of {', '.join(FITTED)}, got {name}")
    return SessionModel.of_plain(models[name])


def draw_hub(
    *, evses: int, first_day: date, days: int, time_zone: str, rng: np.random.Generator, per_evse_day: float = 12.0
) -> tuple[SessionRecord, ...]:
    """Return stops at a highway hub: no departure is said, everybody wants to go on.

    Parameters
    ----------
    evses, first_day, days, time_zone, rng
        As for :func:`loadmgr.sim.session_model.draw_sessions`.
    per_evse_day : float
        Stops at an EVSE in a day, in the mean.
    """
    zone = ZoneInfo(time_zone)
    held = json.loads((sample_folder() / "data" / "session_models.json").read_text(encoding="utf-8"))
    shares = {kind: np.array(held["public_arrivals"][kind]) for kind in ("weekday", "weekend")}
    drawn = []
    for offset in range(days):
        day = first_day + timedelta(days=offset)
        share = shares["weekend" if day.weekday() >= 5 else "weekday"]
        seconds = []
        for quarter, mean in enumerate(per_evse_day * evses * share / share.sum()):
            seconds += [quarter * 900.0 + 900.0 * float(rng.random()) for _ in range(int(rng.poisson(mean)))]
        drawn += [_stop(day, second, n, zone=zone, rng=rng) for n, second in enumerate(sorted(seconds))]
    return tuple(sorted(drawn, key=lambda session: (session.arrival, session.session_id)))


def _stop(day: date, second: float, number: int, *, zone: ZoneInfo, rng: np.random.Generator) -> SessionRecord:
    clock = datetime.combine(day, time()) + timedelta(seconds=round(second))
    arrival = clock.replace(tzinfo=zone).astimezone(UTC)
    power_w = float(rng.choice(HUB_POWERS_W))
    capacity_wh = float(rng.choice(HUB_CAPACITIES_WH))
    arrives, leaves = 0.05 + 0.4 * float(rng.beta(2.0, 3.0)), float(rng.uniform(0.6, 0.9))
    energy_wh = round((leaves - arrives) * capacity_wh / 0.95)
    stay_s = energy_wh / (HUB_MEAN_POWER_RATIO * power_w) * 3600.0 + float(rng.uniform(180.0, 600.0))
    return SessionRecord(
        session_id=SessionId(f"hub-{day:%y%m%d}-{number + 1:03}"),
        arrival=arrival,
        departure=arrival + timedelta(seconds=round(stay_s)),
        energy_requested_wh=float(energy_wh),
        max_a=round(power_w / (3.0 * 230.0), 1),
        phases=3,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A vehicle's work of a day.

    Parameters
    ----------
    departs, returns : time
        By the clock of the depot; a return at or before the departure is on the next day.
    distance_m : float
        What it drives in between [m].
    weekdays : tuple of int
        0 is Monday.
    """

    vehicle: str
    evse: EvseId
    departs: time
    returns: time
    distance_m: float
    weekdays: tuple[int, ...]


TIMETABLE_COLUMNS = ("vehicle", "evse", "days", "departs", "returns", "distance_km")


def read_timetable(path: Path) -> tuple[Block, ...]:
    """Return the blocks of a timetable: columns ``vehicle, evse, days, departs, returns, distance_km``.

    Raises
    ------
    InputError
        Naming the file, row and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = [column for column in TIMETABLE_COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                columns = ", ".join(TIMETABLE_COLUMNS)
                raise InputError(f"{path}: row 1: column {missing[0]} is missing; columns are {columns}")
            return tuple(_block(row, f"{path}: row {rows.line_num}") for row in rows)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _block(row: dict[str, str], place: str) -> Block:
    if row["days"] not in DAYS:
        raise InputError(f"{place}, column days: {row['days']!r} is not one of {', '.join(DAYS)}")
    clocks = {}
    for column in ("departs", "returns"):
        try:
            clocks[column] = time.fromisoformat(row[column])
        except ValueError as error:
            raise InputError(f"{place}, column {column}: {row[column]!r} is not a time such as 05:40") from error
    try:
        distance_km = float(row["distance_km"])
    except ValueError as error:
        raise InputError(f"{place}, column distance_km: {row['distance_km']!r} is not a number") from error
    if not (math.isfinite(distance_km) and distance_km >= 0.0):
        raise InputError(f"{place}, column distance_km: {row['distance_km']} must be 0 or above")
    return Block(
        vehicle=row["vehicle"],
        evse=EvseId(row["evse"]),
        departs=clocks["departs"],
        returns=clocks["returns"],
        distance_m=distance_km * 1000.0,
        weekdays=tuple(DAYS[row["days"]]),
    )


def draw_depot(
    timetable: Sequence[Block],
    *,
    first_day: date,
    days: int,
    time_zone: str,
    rng: np.random.Generator,
    energy_per_m_wh: float = 1.25,
) -> tuple[SessionRecord, ...]:
    """Return the stays of a depot's vehicles between one block and the next.

    Parameters
    ----------
    timetable : sequence of Block
    first_day, days, time_zone, rng
        As for :func:`loadmgr.sim.session_model.draw_sessions`.
    energy_per_m_wh : float
        Mean consumption [Wh/m, the same number in kWh/km]; each block's own varies by a tenth.

    Returns
    -------
    tuple of SessionRecord
        Each asks for what its block took, to be there when the next one begins.
    """
    zone = ZoneInfo(time_zone)
    stays = []
    for vehicle in dict.fromkeys(block.vehicle for block in timetable):
        runs = _runs([b for b in timetable if b.vehicle == vehicle], first_day=first_day, days=days + 1, zone=zone)
        for (block, _, back), (_, leaves, _) in pairwise(runs):
            late = back + timedelta(seconds=round(float(rng.exponential(LATE_S))))
            energy_wh = block.distance_m * energy_per_m_wh * float(rng.normal(1.0, 0.1))
            if (late - datetime.combine(first_day, time(), tzinfo=zone)).days >= days or late >= leaves:
                continue
            stays.append(
                SessionRecord(
                    session_id=SessionId(f"{vehicle}-{late.astimezone(zone):%y%m%d-%H%M}"),
                    evse=block.evse,
                    arrival=late,
                    departure=leaves,
                    estimated_departure=leaves,
                    energy_requested_wh=float(round(max(energy_wh, 0.0))),
                )
            )
    return tuple(sorted(stays, key=lambda session: (session.arrival, session.session_id)))


def _runs(
    blocks: Sequence[Block], *, first_day: date, days: int, zone: ZoneInfo
) -> list[tuple[Block, datetime, datetime]]:
    """Return a vehicle's blocks with their departures and returns, in order."""
    runs = []
    for offset in range(-1, days + 3):  # over a weekend to the next block
        day = first_day + timedelta(days=offset)
        for block in blocks:
            if day.weekday() in block.weekdays:
                leaves = datetime.combine(day, block.departs, tzinfo=zone).astimezone(UTC)
                over = day + timedelta(days=block.returns <= block.departs)
                runs.append((block, leaves, datetime.combine(over, block.returns, tzinfo=zone).astimezone(UTC)))
    return sorted(runs, key=lambda run: run[1])
