"""Profiles of side loads and generation, and the simulated world of the demo."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from loadmgr.errors import InputError
from loadmgr.model.calendar import LocalCycle
from loadmgr.model.equipment import PvPlant
from loadmgr.model.ids import CircuitId, StationId
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.likeness import suggestion
from loadmgr.site_file.parts import Parts
from loadmgr.site_file.reading import Reading
from loadmgr.site_file.schema import DemoPart, SideLoadPart
from loadmgr.site_file.series_csv import as_cycle, read_series
from loadmgr.site_file.values import BuildingLoad, Demo, PvProfile, RudeStation

_PHASE_COLUMNS = ("l1_a", "l2_a", "l3_a")


def build_building(parts: Parts, reading: Reading) -> tuple[BuildingLoad, ...]:
    """Return the profiles of side loads that have one."""
    out = []
    for placed in parts.circuits:
        for index, load in enumerate(placed.part.side_loads):
            path: PathKey = (*placed.path, "side_loads", index)
            cycles = _cycles(load.profile, _PHASE_COLUMNS, (*path, "profile"), reading)
            if cycles is not None:
                _warn_above_worst(load, cycles, path, reading.faults)
                circuit = CircuitId(placed.part.id)
                out.append(BuildingLoad(id=load.id, circuit=circuit, current_a=(cycles[0], cycles[1], cycles[2])))
    return tuple(out)


def _warn_above_worst(load: SideLoadPart, cycles: Sequence[LocalCycle], path: PathKey, faults: FaultList) -> None:
    for name, worst_a, cycle in zip(("L1", "L2", "L3"), load.worst_case.each, cycles, strict=True):
        highest_a = max(cycle.values)
        if highest_a > (worst_a or 0.0):
            faults.warn(
                (*path, "worst_case"),
                f"worst_case of {load.id} is {worst_a or 0.0:g} A on {name}, and its profile reaches {highest_a:.1f} A",
                f"write at least {math.ceil(highest_a)}A",
            )


def build_pv(parts: Parts, reading: Reading) -> tuple[tuple[PvPlant, ...], tuple[PvProfile, ...]]:
    """Return the photovoltaic plants and the profiles of those that have one."""
    plants, profiles = [], []
    known = {c.part.id for c in parts.circuits}
    for placed in parts.pv:
        part, circuit = placed.part, CircuitId(placed.part.circuit)
        if part.circuit not in known:
            advice = suggestion(part.circuit, known, kind="circuits")
            reading.faults.add(
                (*placed.path, "circuit"), f"circuit of {part.id} is not a circuit: {part.circuit}", advice
            )
        plants.append(PvPlant(id=part.id, circuit=circuit, peak_w=part.peak))
        cycles = _cycles(part.profile, ("ratio",), (*placed.path, "profile"), reading)
        if cycles is not None:
            cycle = cycles[0]
            power = LocalCycle(
                time_zone=cycle.time_zone,
                first_day=cycle.first_day,
                step_s=cycle.step_s,
                values=tuple(max(0.0, ratio) * part.peak for ratio in cycle.values),
            )
            profiles.append(PvProfile(id=part.id, circuit=circuit, power_w=power))
    return tuple(plants), tuple(profiles)


def _cycles(name: str | None, columns: Sequence[str], path: PathKey, reading: Reading) -> list[LocalCycle] | None:
    file = None if name is None else reading.file(name, path)
    if file is None:
        return None
    try:
        table = read_series(file, columns, every=True)
        return [as_cycle(table, table.columns[column], time_zone=reading.site.timezone) for column in columns]
    except InputError as error:
        reading.faults.add(path, str(error), "mend the file, or name another")
        return None


def build_demo(part: DemoPart, reading: Reading, *, stations: set[StationId] | None) -> Demo | None:
    """Return the simulated world, or ``None`` with its faults noted; ``stations`` is ``None`` if not all are known."""
    faults = reading.faults
    noted = len(faults.faults)
    sessions = reading.file(part.sessions, ("demo", "sessions"))
    if sessions is not None and not sessions.is_file():
        faults.add(
            ("demo", "sessions"), f"there is no file {sessions}", "the path counts from the folder of the site file"
        )
    start = datetime.min.replace(tzinfo=UTC)
    try:
        written = datetime.fromisoformat(part.start)
        start = (written if written.tzinfo else written.replace(tzinfo=reading.zone)).astimezone(UTC)
    except ValueError:
        faults.add(("demo", "start"), f"{part.start!r} is not a time", "write date and clock, such as 2019-06-04 12:00")
    rude = []
    for index, one in enumerate(part.rude):
        if stations is not None and one.station not in stations:
            advice = suggestion(one.station, stations, kind="stations")
            faults.add(("demo", "rude", index, "station"), f"there is no station {one.station}", advice)
        station = StationId(one.station)
        rude.append(RudeStation(station=station, behaviour=one.behaviour, at_s=int(one.at), for_s=int(one.duration)))
    if sessions is None or len(faults.faults) > noted:
        return None
    return Demo(sessions=sessions, start=start, rude=tuple(rude))
