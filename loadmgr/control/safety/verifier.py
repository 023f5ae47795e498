#!/usr/bin/env python3
"""Verify a loadmgr certificate: ``python3 verifier.py CERTIFICATE.json``.

Needs the standard library alone and nothing of loadmgr. It reads the site and what each EVSE may draw from the
certificate, goes through the day at every second at which anything can rise, with every clock as far off as it may be
in the worst direction, and adds up each circuit and phase by itself. Exit status 0: proven, 1: not, 2: not readable.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

Json = dict[str, Any]
DAY_S = 86400


def problems(certificate: Json) -> list[str]:
    """Return what is wrong with a certificate, as sentences; none if it proves what it says."""
    if certificate.get("format") != "loadmgr-certificate/1":
        return ["the format is not loadmgr-certificate/1"]
    circuits = {c["id"]: c for c in certificate["circuits"]}
    found = [] if len(circuits) == len(certificate["circuits"]) else ["two circuits have the same id"]
    feeds = {name: feeding(circuits, name, found) for name in circuits}
    for evse in certificate["evses"]:
        found += wrong_evse(evse, circuits, certificate["strategy"])
    if not found:
        found += overloads(certificate, circuits, feeds)
    if not found and certificate.get("proven") is not True:
        found.append("the certificate itself says that it is not proven")
    rest = {name: value for name, value in certificate.items() if name != "digest"}
    if not found and certificate.get("digest") != hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest():
        found.append("it was changed after it was made: its digest is another, or missing")
    return found


def feeding(circuits: Json, name: str | None, found: list[str]) -> list[str]:
    """Return a circuit and everything that feeds it."""
    chain: list[str] = []
    while name is not None:
        if name in chain or name not in circuits:
            found.append(f"the circuits above {chain[0] if chain else name} are no tree")
            break
        chain.append(name)
        name = circuits[name]["parent"]
    return chain


def wrong_evse(evse: Json, circuits: Json, strategy: str) -> list[str]:
    """Return what an EVSE's entry claims without ground."""
    name, windows, phases = evse["id"], evse["windows"], evse["phases"]
    out = [] if evse["circuit"] in circuits else [f"{name} hangs on {evse['circuit']}, which is no circuit here"]
    if not phases or not set(phases) <= {1, 2, 3} or len(set(phases)) != len(phases):
        out.append(f"{name} has no proper phases")
    if any(not 0 <= w["start_s"] < w["end_s"] <= DAY_S or w["current_a"] < 0 for w in windows):
        out.append(f"{name} has a window that is none")
    whole = [w["current_a"] for w in windows if w["start_s"] == 0 and w["end_s"] == DAY_S]
    if any(amps >= evse["max_a"] for amps in whole):
        return out
    if evse["keeps_profiles"] != "yes":
        out.append(f"{name} is not known to keep its profiles, so it has to count with its installed maximum")
    if (strategy != "static" or not any(whole)) and evse["zero_ok"] != "yes":
        out.append(f"{name} is not known to take 0 A, so it has to count with its installed maximum")
    if strategy == "time_division" and (evse["keeps_clock"], evse["recurring_ok"]) != ("yes", "yes"):
        out.append(f"{name} is not known to keep its clock and its turns, so it counts with its installed maximum")
    return out


def overloads(certificate: Json, circuits: Json, feeds: dict[str, list[str]]) -> list[str]:
    """Return the limits that are exceeded at the first second at which one is."""
    early, late = clocks_off(certificate)
    for second in seconds(certificate["evses"], early):
        loads = {name: [0.0, 0.0, 0.0] for name in circuits}
        for name, circuit in circuits.items():
            for side in circuit["side_loads_a"]:
                add(loads, feeds[name], {1: side[0], 2: side[1], 3: side[2]})
        for evse in certificate["evses"]:
            amps = may_draw(evse["windows"], second, early, late)
            add(loads, feeds[evse["circuit"]], dict.fromkeys(evse["phases"], amps))
        found = exceeded(circuits, loads, second, certificate["voltage_v"])
        if found:
            return found
    return []


def clocks_off(certificate: Json) -> tuple[int, int]:
    """Return by how much a window may open early and close late at the end of the autonomy, in whole seconds."""
    if certificate["strategy"] != "time_division":
        return 0, 0
    clock = certificate["clock"]
    off = -int(-(clock["skew_s"] + clock["drift_s_per_day"] * certificate["autonomy_days"]) // 1)
    return off, off + int(clock["settle_s"])


def seconds(evses: list[Json], early: int) -> list[int]:
    """Return every second of the day at which a sum can rise."""
    return sorted({0} | {(w["start_s"] - early) % DAY_S for e in evses for w in e["windows"]})


def may_draw(windows: list[Json], second: int, early: int, late: int) -> float:
    """Return the highest current that any clock within its error allows at a second."""
    return max(
        (
            float(window["current_a"])
            for window in windows
            for day in (-DAY_S, 0, DAY_S)
            if window["start_s"] - early <= second + day < window["end_s"] + late
        ),
        default=0.0,
    )


def add(loads: dict[str, list[float]], names: list[str], amps_on: dict[int, float]) -> None:
    """Add currents on phases 1 to 3 to circuits."""
    for name in names:
        for phase, amps in amps_on.items():
            loads[name][phase - 1] += amps


def exceeded(circuits: Json, loads: dict[str, list[float]], second: int, voltage: float) -> list[str]:
    """Return which limits the loads of a second exceed."""
    out = []
    clock = f"{second // 3600:02}:{second % 3600 // 60:02} UTC"
    for name, circuit in circuits.items():
        for phase, limit in enumerate(circuit["limit_a"]):
            if limit is not None and loads[name][phase] > limit + 1e-6:
                out.append(f"{name} on L{phase + 1} at {clock}: {loads[name][phase]:.1f} A of {limit:g} A")
        if circuit["limit_w"] is not None and sum(loads[name]) * voltage > circuit["limit_w"] + 1e-3:
            out.append(f"{name} at {clock}: {sum(loads[name]) * voltage:.0f} W of {circuit['limit_w']:g} W")
    return out


def main(arguments: list[str]) -> int:
    """Verify the certificate that is named, and say what came of it."""
    try:
        certificate = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
        found = problems(certificate)
        given = [f"- {assumption}" for assumption in certificate["assumptions"]]
    except (IndexError, OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        sys.stdout.write(f"cannot be read as a certificate: {fault!r}\n")
        return 2
    lines = ["NOT PROVEN", *found] if found else [f"proven for {certificate['site']}, given:", *given]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
