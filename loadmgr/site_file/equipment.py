"""Batteries and power cabinets: where they hang, and what they can do."""

from collections.abc import Iterator

from loadmgr.model.equipment import Battery, BatteryLink, Cabinet
from loadmgr.model.ids import CircuitId, EvseId
from loadmgr.site_file.circuits import check_unique
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.likeness import suggestion
from loadmgr.site_file.parts import Parts, Placed
from loadmgr.site_file.places import expand_range
from loadmgr.site_file.schema import BatteryCommandPart, CabinetPart


def build_batteries(parts: Parts, faults: FaultList) -> tuple[Battery, ...]:
    """Return the stationary batteries; those with a fault are left out and the fault is noted."""
    check_unique(((b.path, b.part.id) for b in parts.batteries), faults, kind="battery")
    known = {c.part.id for c in parts.circuits}
    out = []
    for placed in parts.batteries:
        part = placed.part
        if part.circuit not in known:
            text = f"circuit of battery {part.id} is not a circuit: {part.circuit}"
            faults.add((*placed.path, "circuit"), text, suggestion(part.circuit, known, kind="circuits"))
        elif part.stored < part.reserve:
            text = f"battery {part.id} has {part.stored:.0%} stored, less than its reserve of {part.reserve:.0%}"
            faults.add((*placed.path, "stored"), text, f"write at least {part.reserve:.0%}, or a smaller reserve")
        elif part.command is not None and not 1.0 <= part.command.every <= part.command.watchdog / 2.0:
            told = f"battery {part.id} is told every {part.command.every:g} s and rests after "
            text = told + f"{part.command.watchdog:g} s without a word"
            advice = "write every: 1s or more, and at most half the watchdog"
            faults.add((*placed.path, "command"), text, advice)
        elif placed.whole:
            out.append(
                Battery(
                    id=part.id,
                    circuit=CircuitId(part.circuit),
                    capacity_wh=part.capacity,
                    max_charge_w=part.charge,
                    max_discharge_w=part.discharge,
                    reserve_wh=part.reserve * part.capacity,
                    stored_wh=part.stored * part.capacity,
                    efficiency_ratio=part.efficiency,
                    link=None if part.command is None else _link(part.command),
                )
            )
    return tuple(out)


def _link(part: BatteryCommandPart) -> BatteryLink:
    return BatteryLink(every_s=part.every, watchdog_s=min(part.watchdog, 3600.0))


def build_cabinets(parts: Parts, circuit_of: dict[str, str], faults: FaultList) -> tuple[Cabinet, ...]:
    """Return the power cabinets; outlets that do not exist, are AC, or have two cabinets are noted."""
    check_unique(((c.path, c.part.id) for c in parts.cabinets), faults, kind="cabinet")
    dc_power = {e.part.id: e.part.dc_power for e in parts.evses}
    fed: dict[str, str] = {}
    out = []
    for placed in parts.cabinets:
        part, noted = placed.part, len(faults.faults)
        outlets = []
        for path, evse in _outlets(placed, faults):
            if evse not in dc_power:
                faults.add(path, f"{evse} is not an EVSE", suggestion(evse, dc_power, kind="EVSEs"))
            elif dc_power[evse] is None:
                faults.add(path, f"EVSE {evse} is AC, and cabinets feed DC outlets", f"give {evse} its dc_power")
            elif evse in fed:
                faults.add(path, f"EVSE {evse} is in cabinet {fed[evse]} already", "an outlet has one cabinet")
            else:
                fed[evse] = part.id
                outlets.append(evse)
        on = sorted({circuit_of[evse] for evse in outlets if evse in circuit_of})
        if len(on) > 1:
            text = f"the outlets of cabinet {part.id} hang on several circuits: {', '.join(on)}"
            faults.add((*placed.path, "evses"), text, "a cabinet has one infeed: name its outlets under one circuit")
        if len(faults.faults) == noted and placed.whole and outlets:
            out.append(Cabinet(id=part.id, evses=tuple(EvseId(e) for e in outlets), max_w=part.dc_power))
    return tuple(out)


def _outlets(placed: Placed[CabinetPart], faults: FaultList) -> Iterator[tuple[PathKey, str]]:
    for index, written in enumerate(placed.part.evses):
        path: PathKey = (*placed.path, "evses", index)
        ids = expand_range(written)
        if ids is None:
            faults.add(path, f"{written!r} is not a range of EVSEs", "write first and last with the same word: D1..D4")
        for evse in ids or ():
            yield path, evse
