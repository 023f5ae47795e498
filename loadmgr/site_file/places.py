"""EVSEs and stations: who hangs on which circuit and phase, and which station answers for it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from loadmgr.model.ids import CircuitId, EvseId, StationId
from loadmgr.model.proof import with_proof
from loadmgr.model.topology import CurrentType, Evse, LimitBy, Phase, Station, Trust
from loadmgr.site_file.circuits import check_unique, phases_of
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.likeness import listed, suggestion
from loadmgr.site_file.parts import Parts, Placed, is_whole
from loadmgr.site_file.schema import IDENTITY, EvsePart, StationPart

_RANGE = re.compile(r"(?P<word>.*?)(?P<first>\d{1,9})\.\.(?P<again>.*?)(?P<last>\d{1,9})")

LONGEST_RANGE = 2000
"""More EVSEs than hang on one circuit anywhere: a range beyond it is a slip of the finger."""


def expand_range(written: str) -> list[str] | None:
    """Return the ids of a range such as ``A1..A7``; a plain id is itself; ``None`` if it makes no sense.

    Examples
    --------
    >>> expand_range("W09..W11")
    ['W09', 'W10', 'W11']
    """
    if ".." not in written:
        return [written]
    match = _RANGE.fullmatch(written)
    if match is None or match["again"] not in (match["word"], "") or int(match["last"]) < int(match["first"]):
        return None
    if int(match["last"]) - int(match["first"]) >= LONGEST_RANGE:
        return None
    width = len(match["first"]) if match["first"].startswith("0") else 0
    return [f"{match['word']}{n:0{width}}" for n in range(int(match["first"]), int(match["last"]) + 1)]


def circuit_of_evse(parts: Parts, faults: FaultList) -> dict[str, str]:
    """Return the circuit of each EVSE and note unknown EVSEs, EVSEs on two circuits and EVSEs on none."""
    known = {e.part.id: e.path for e in parts.evses}
    complete = len(parts.evses) == len(list(faults.document.items("evses")))
    out: dict[str, str] = {}
    for path, circuit, evse in _mentions(parts, faults):
        if evse not in known:
            if complete:
                faults.add(path, f"{evse} is not an EVSE", suggestion(evse, known, kind="EVSEs"))
        elif evse in out:
            twice = out[evse] == circuit
            what = f"EVSE {evse} is on circuit {circuit} " + ("twice" if twice else f"and on circuit {out[evse]}")
            faults.add(path, what, "an EVSE hangs on one circuit: the one whose fuse is next to it")
        else:
            out[evse] = circuit
    if is_whole(parts.circuits, "circuits", faults.document):
        for evse, path in known.items():
            if evse not in out:
                faults.add((*path, "id"), f"EVSE {evse} is on no circuit", "name it under `evses` of its circuit")
    return out


def _mentions(parts: Parts, faults: FaultList) -> Iterator[tuple[PathKey, str, str]]:
    for placed in parts.circuits:
        for index, written in enumerate(placed.part.evses):
            path = (*placed.path, "evses", index)
            ids = expand_range(written)
            if ids is None:
                advice = "write first and last with the same word, and not too far apart: A1..A7"
                faults.add(path, f"{written!r} is not a range of EVSEs", advice)
            for evse in ids or ():
                yield path, placed.part.id, evse


def check_places(parts: Parts, circuit_of: dict[str, str], faults: FaultList) -> None:
    """Note repeated ids and connectors, impossible currents, and phases that the circuit lacks."""
    check_unique(((e.path, e.part.id) for e in parts.evses), faults, kind="EVSE")
    by_id = {c.part.id: c for c in parts.circuits}
    seen: dict[tuple[str, int], str] = {}
    for placed in parts.evses:
        part = placed.part
        station = part.station or part.id
        if seen.get((station, part.number), part.id) != part.id:
            faults.add(
                (*placed.path, "number"),
                f"EVSEs {seen[station, part.number]} and {part.id} are both number {part.number} of station {station}",
                "give each its own number (the connector id in OCPP 1.6), or its own station",
            )
        seen.setdefault((station, part.number), part.id)
        if part.station is None and not IDENTITY.fullmatch(part.id) and placed.whole:
            faults.add(
                (*placed.path, "id"),
                f"EVSE {part.id!r} names no station, and its own id cannot be a station id",
                "add the id with which its station dials in, such as station: GARAGE-A1",
            )
        _check_currents(placed, parts, faults)
        _check_discharge(placed, parts, faults)
        _check_switching(placed, parts, faults)
        circuit = circuit_of.get(part.id)
        if circuit in by_id and placed.whole:
            own = part.phases or parts.evse_defaults.phases
            lacking = [name for name in own if name not in phases_of(circuit, by_id)]
            if lacking:
                faults.add(
                    (*placed.path, "phases"),
                    f"EVSE {part.id} uses {', '.join(lacking)}, which circuit {circuit} lacks",
                    f"circuit {circuit} has {', '.join(phases_of(circuit, by_id))}",
                )


def _check_currents(placed: Placed[EvsePart], parts: Parts, faults: FaultList) -> None:
    least, most, step, fallback = currents_a(placed.part, parts)
    name = placed.part.id
    if not 0.0 < least <= most:
        advice = "min lies above 0A and at most at max"
        faults.add((*placed.path, "min"), f"EVSE {name} has min {least:g} A and max {most:g} A", advice)
        return
    if step <= 0.0:
        faults.add((*placed.path, "step"), f"EVSE {name} has step {step:g} A", "write a step above 0A, such as 1A")
    if fallback > most:
        advice = f"write at most {most:g}A"
        faults.add(
            (*placed.path, "fallback"),
            f"EVSE {name} may fall back to {fallback:g} A, above its max of {most:g} A",
            advice,
        )
    elif 0.0 < fallback < least:
        faults.add(
            (*placed.path, "fallback"),
            f"fallback of EVSE {name} is {fallback:g} A, below the {least:g} A that it charges with",
            f"write 0A to pause it, or at least {least:g}A",
        )


def currents_a(part: EvsePart, parts: Parts) -> tuple[float, float, float, float]:
    """Return smallest, largest, step and fallback current [A] of an EVSE, defaults applied."""
    defaults = parts.evse_defaults
    least = defaults.min if part.min is None else part.min
    most = _largest_a(part, parts) if part.max is None else part.max
    step = defaults.step if part.step is None else part.step
    fallback = defaults.fallback if part.fallback is None else part.fallback
    if fallback is None and parts.failsafe is not None:
        static = least if parts.failsafe.per_evse is None else parts.failsafe.per_evse
        fallback = static if parts.failsafe.strategy == "static" else 0.0
    return least, most, step, fallback or 0.0


def discharge_a(part: EvsePart, parts: Parts) -> float:
    """Return what may be fed back through an EVSE [A per phase], defaults applied."""
    if part.discharge is not None or part.discharge_power is None or parts.site is None:
        return parts.evse_defaults.discharge if part.discharge is None else part.discharge
    phases = len(part.phases or parts.evse_defaults.phases)
    return part.discharge_power / (parts.site.voltage * phases)


def _switches_phases(part: EvsePart, parts: Parts) -> bool:
    """Return whether an EVSE switches phases; the default is for those that have three to choose from."""
    able = part.dc_power is None and len(part.phases or parts.evse_defaults.phases) == 3
    return (parts.evse_defaults.switches_phases and able) if part.switches_phases is None else part.switches_phases


def _check_switching(placed: Placed[EvsePart], parts: Parts, faults: FaultList) -> None:
    part = placed.part
    phases = part.phases or parts.evse_defaults.phases
    if part.switches_phases and (len(phases) != 3 or part.dc_power is not None):
        what = "is DC" if part.dc_power is not None else f"has {len(phases)} of them"
        text = f"EVSE {part.id} cannot switch phases: it {what}"
        faults.add((*placed.path, "switches_phases"), text, "write it where an AC EVSE has three phases")
    elif _switches_phases(part, parts) and currents_a(part, parts)[3] > 0.0:
        own = part.switches_phases is not None
        faults.warn(
            (*placed.path, "switches_phases") if own else ("evse_defaults", "switches_phases"),
            f"EVSE {part.id} falls back to {currents_a(part, parts)[3]:g} A, on nobody knows how many phases: it is "
            "never switched",
            "give it a fallback of 0A, where its station takes that",
        )


def _check_discharge(placed: Placed[EvsePart], parts: Parts, faults: FaultList) -> None:
    part = placed.part
    if part.discharge is not None and part.discharge_power is not None:
        text = f"EVSE {part.id} has both discharge and discharge_power"
        faults.add((*placed.path, "discharge_power"), text, "write one of them")
        return
    back_a, most_a = discharge_a(part, parts), currents_a(part, parts)[1]
    if back_a > most_a + 1e-9:
        own = "discharge_power" if part.discharge_power is not None else "discharge"
        faults.add(
            (*placed.path, own),
            f"EVSE {part.id} may feed back {back_a:g} A, more than its max of {most_a:g} A",
            "write no more than what it is installed for",
        )
        return
    if back_a <= 0.0:
        return
    name = part.station or part.id
    listed_part = next((s.part for s in parts.stations if s.part.id == name), None)
    version = parts.station_defaults.version if listed_part is None else listed_part.version
    version = version or parts.station_defaults.version
    if version is not None and version != "2.1":
        faults.warn(
            placed.path,
            f"EVSE {part.id} may feed back, but station {name} speaks OCPP {version}, which has no word for it",
            "set version: 2.1 where it speaks it, or take `discharge` away: it is never discharged otherwise",
        )


def _largest_a(part: EvsePart, parts: Parts) -> float:
    """Return the default installed maximum [A]: for DC the current that its power draws at the infeed."""
    if part.dc_power is None or parts.site is None or part.efficiency == 0.0:
        return parts.evse_defaults.max
    phases = len(part.phases or parts.evse_defaults.phases)
    return part.dc_power / part.efficiency / (parts.site.voltage * phases)


def check_stations(parts: Parts, faults: FaultList) -> None:
    """Note station ids that occur twice, and stations that no EVSE names."""
    check_unique(((s.path, s.part.id) for s in parts.stations), faults, kind="station")
    if not is_whole(parts.evses, "evses", faults.document):
        return
    named = {e.part.station or e.part.id for e in parts.evses}
    for placed in parts.stations:
        if placed.part.id not in named:
            unlisted = named - {s.part.id for s in parts.stations}
            faults.add(
                (*placed.path, "id"),
                f"station {placed.part.id} has no EVSE",
                suggestion(placed.part.id, unlisted or named, kind="stations that EVSEs name"),
            )


def check_zero_ok(parts: Parts, faults: FaultList) -> None:
    """Refuse a pause as the fail-safe of stations that are not known to take 0 A."""
    trusted = {station.id: station for station in build_stations(parts)}
    doubtful: dict[tuple[PathKey, Trust], list[str]] = defaultdict(list)
    for placed in parts.evses:
        station = trusted[StationId(placed.part.station or placed.part.id)]
        if placed.whole and currents_a(placed.part, parts)[3] == 0.0 and station.zero_ok is not Trust.YES:
            own = placed.part.fallback is not None
            path: PathKey = (*placed.path, "fallback") if own else ("failsafe", "strategy")
            doubtful[path, station.zero_ok].append(station.id)
    for (path, trust), stations in doubtful.items():
        known = "is not known" if trust is Trust.UNKNOWN else "is known to be wrong"
        faults.add(
            path,
            f"a fail-safe of 0 A needs stations that pause at 0 A, which {known} of {listed(sorted(set(stations)))}",
            "set zero_ok: yes on stations that were tried, or give their EVSEs a fallback of at least the minimum",
        )


def check_limit_by(parts: Parts, faults: FaultList) -> None:
    """Refuse a station maximum as the limit where it cannot be one: of several EVSEs, and of turns by the clock."""
    if not is_whole(parts.evses, "evses", faults.document):
        return
    named = Counter(e.part.station or e.part.id for e in parts.evses)
    places = {s.part.id: (*s.path, "limit_by") for s in parts.stations if s.part.limit_by is not None}
    by_turns = parts.failsafe is not None and parts.failsafe.strategy == "time_division"
    for station in build_stations(parts):
        path = places.get(str(station.id), ("station_defaults", "limit_by"))
        if station.limit_by is not LimitBy.STATION_MAXIMUM:
            continue
        if named[str(station.id)] > 1:
            faults.add(
                path,
                f"a station maximum limits but the sum of the {named[str(station.id)]} EVSEs of station {station.id}",
                "write limit_by: transaction for it",
            )
        elif by_turns:
            faults.add(
                path,
                f"station {station.id} is limited by its station maximum, which takes no turns by the clock",
                "write limit_by: transaction for it, or another failsafe.strategy than time_division",
            )


_OF_A_STATION = ("version", "limit_by", "keeps_profiles", "zero_ok", "keeps_clock", "recurring_ok", "starts_offline")


def build_stations(parts: Parts) -> tuple[Station, ...]:
    """Return the stations in file order: those listed, then those that only EVSEs name; proofs taken in."""
    listed_parts: dict[str, StationPart] = {s.part.id: s.part for s in parts.stations}
    names = dict.fromkeys([*listed_parts, *(e.part.station or e.part.id for e in parts.evses)])
    out = []
    for name in names:
        said = {key: getattr(parts.station_defaults, key) for key in _OF_A_STATION}
        part = listed_parts.get(name)
        if part is not None:
            own = {key: getattr(part, key) for key in _OF_A_STATION}
            said |= {key: value for key, value in own.items() if value is not None}
        station = Station(id=StationId(name), **said)
        out.append(with_proof(station, parts.proofs.get(station.id)))
    return tuple(out)


def build_evse(placed: Placed[EvsePart], parts: Parts, circuit: str) -> Evse:
    """Return an EVSE, defaults applied."""
    part = placed.part
    least, most, step, fallback = currents_a(part, parts)
    return Evse(
        id=EvseId(part.id),
        station=StationId(part.station or part.id),
        circuit=CircuitId(circuit),
        number=part.number,
        current_type=CurrentType.AC if part.dc_power is None else CurrentType.DC,
        phases=tuple(Phase[name] for name in part.phases or parts.evse_defaults.phases),
        min_a=least,
        max_a=most,
        step_a=step,
        fallback_a=fallback,
        max_w=part.dc_power,
        efficiency_ratio=part.efficiency,
        discharge_a=discharge_a(part, parts),
        switches_phases=_switches_phases(part, parts),
    )
