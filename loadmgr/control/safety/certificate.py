"""The certificate of a site: proof that it stays under its limits when nobody controls it, with all that it rests on.

Rules
-----
1. It is a JSON document that holds everything a verifier needs: circuits, worst side loads, what each EVSE may draw
   over the day, clocks, assumptions. ``loadmgr.control.safety.verifier`` checks it and shares no code with this module.
2. An EVSE counts with its fail-safe only where its station is known to keep it over a power loss, and to take 0 A where
   the fail-safe pauses it; where it takes turns, also to keep its clock and to follow what recurs daily. Else it counts
   with its installed maximum, all day.
3. It ends with a digest of all the rest: whoever changes a figure afterwards has to say so. It is no signature.
4. What does not fit is a fault with circuit, phase and time, and the certificate says that it is none.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from loadmgr.control.safety.reserve import worst_excess_a
from loadmgr.control.safety.windows import AUTONOMY_DAYS, DAY_S, DRIFT_S_PER_DAY, Window, daily_windows
from loadmgr.control.sending.profiles import fallback_a
from loadmgr.model.failsafe import FailSafeStrategy
from loadmgr.model.topology import Circuit, Evse, Phase, PhaseAmps, Site, Trust
from loadmgr.model.units import CURRENT_TOLERANCE_A, POWER_TOLERANCE_W

FORMAT = "loadmgr-certificate/1"

BREAKER_RATIO = 1.45
"""A breaker trips within an hour at this share of its rated current (IEC 60898-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What could be proven.

    Parameters
    ----------
    document : dict
        The certificate as JSON values.
    faults : tuple of str
        Where it does not fit, or rests on what is not known; empty for a proof.
    warnings : tuple of str
        What a person should know although it fits.
    """

    document: dict[str, Any]
    faults: tuple[str, ...]
    warnings: tuple[str, ...]


def build_certificate(site: Site) -> Certificate:
    """Return the certificate of a site's fail-safe."""
    day = _days(site)
    faults = tuple(_faults(site, day))
    document = {
        "format": FORMAT,
        "site": site.name,
        "strategy": str(site.failsafe.strategy),
        "proven": not faults,
        "voltage_v": site.voltage_v,
        "autonomy_days": AUTONOMY_DAYS if site.failsafe.strategy is FailSafeStrategy.TIME_DIVISION else None,
        "clock": {
            "skew_s": site.timing.clock_skew_s,
            "drift_s_per_day": DRIFT_S_PER_DAY,
            "settle_s": site.timing.settle_s,
        },
        "circuits": [_circuit(c) for c in site.circuits],
        "evses": [_evse(site, e, day[e.id]) for e in site.evses],
        "assumptions": _assumptions(site),
        "faults": list(faults),
    }
    return Certificate(document=sealed(document), faults=faults, warnings=tuple(_warnings(site)))


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a certificate with the digest of all that it says, in the place of the one that it had."""
    rest = {name: value for name, value in document.items() if name != "digest"}
    return rest | {"digest": hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()}


def _days(site: Site) -> dict[str, tuple[Window, ...]]:
    """Return what each EVSE may draw over the day when nobody controls it, by a clock that is right."""
    divided = daily_windows(site)
    out: dict[str, tuple[Window, ...]] = {}
    for evse in site.evses:
        if not counts_with_fail_safe(site, evse):
            out[evse.id] = (Window(0, DAY_S, evse.max_a),)
        elif site.failsafe.strategy is FailSafeStrategy.TIME_DIVISION:
            out[evse.id] = divided[evse.id]
        else:
            current = fallback_a(site, evse)
            out[evse.id] = (Window(0, DAY_S, max(current, evse.min_a)),) if current > 0.0 else ()
    return out


def counts_with_fail_safe(site: Site, evse: Evse) -> bool:
    """Return whether an EVSE is known to hold its fail-safe whatever happens to its station."""
    station = site.station_by_id[evse.station]
    turns = site.failsafe.strategy is FailSafeStrategy.TIME_DIVISION
    needed = [station.keeps_profiles]
    needed += [station.zero_ok] if turns or fallback_a(site, evse) <= 0.0 else []
    needed += [station.keeps_clock, station.recurring_ok] if turns else []
    return all(trust is Trust.YES for trust in needed)


def _faults(site: Site, day: dict[str, tuple[Window, ...]]) -> list[str]:
    early_s, late_s = _clocks_off_s(site)
    instants = {0.0, *((w.start_s - early_s) % DAY_S for windows in day.values() for w in windows)}
    moments = {
        at: {e: _may_draw_a(windows, at, early_s=early_s, late_s=late_s) for e, windows in day.items()}
        for at in sorted(instants)
    }
    return [fault for circuit in site.circuits for fault in _faults_of(site, circuit, moments)]


def _faults_of(site: Site, circuit: Circuit, moments: dict[float, dict[str, float]]) -> list[str]:
    out = []
    below, side = site.evses_under(circuit.id), _side_loads_a(site, circuit)
    sums = {
        at: [side[phase] + math.fsum(drawn[e.id] for e in below if phase in e.phases) for phase in Phase]
        for at, drawn in moments.items()
    }
    for phase in Phase:
        limit = circuit.limit_a[phase]
        worst_at = max(sums, key=lambda at, p=phase: (sums[at][p], -at))  # type: ignore[misc]
        if limit is not None and sums[worst_at][phase] > limit + CURRENT_TOLERANCE_A:
            out.append(
                f"{circuit.id} on {phase.name}: {sums[worst_at][phase]:.1f} A of {limit:g} A may flow at "
                f"{int(worst_at) // 3600:02}:{int(worst_at) % 3600 // 60:02} UTC when nobody controls it"
            )
    highest_w = max(math.fsum(amps) for amps in sums.values()) * site.voltage_v
    if circuit.limit_w is not None and highest_w > circuit.limit_w + POWER_TOLERANCE_W:
        out.append(f"{circuit.id}: {highest_w:.0f} W of {circuit.limit_w:g} W may flow when nobody controls it")
    return out


def _clocks_off_s(site: Site) -> tuple[float, float]:
    """Return by how much a window may open early and close late, the vehicle's time to follow included [s]."""
    if site.failsafe.strategy is not FailSafeStrategy.TIME_DIVISION:
        return 0.0, 0.0
    off_s = site.timing.clock_skew_s + DRIFT_S_PER_DAY * AUTONOMY_DAYS
    return off_s, off_s + site.timing.settle_s


def _may_draw_a(windows: tuple[Window, ...], at_s: float, *, early_s: float, late_s: float) -> float:
    """Return the highest current that a clock within its error allows at an instant of the day [A]."""
    found = 0.0
    for window in windows:
        spread_s = window.end_s - window.start_s + early_s + late_s
        if spread_s >= DAY_S or (at_s - (window.start_s - early_s)) % DAY_S < spread_s:
            found = max(found, window.current_a)
    return found


def _side_loads_a(site: Site, circuit: Circuit) -> PhaseAmps:
    loads = [
        load.worst_case_a
        for other in site.circuits
        if any(up.id == circuit.id for up in site.path(other.id))
        for load in other.side_loads
    ]
    return (sum(a[0] for a in loads), sum(a[1] for a in loads), sum(a[2] for a in loads))


def _circuit(circuit: Circuit) -> dict[str, Any]:
    return {
        "id": circuit.id,
        "parent": circuit.parent,
        "limit_a": list(circuit.limit_a),
        "limit_w": circuit.limit_w,
        "rated_a": list(circuit.rated_a),
        "side_loads_a": [list(load.worst_case_a) for load in circuit.side_loads],
    }


def _evse(site: Site, evse: Evse, windows: tuple[Window, ...]) -> dict[str, Any]:
    station = site.station_by_id[evse.station]
    return {
        "id": evse.id,
        "station": evse.station,
        "circuit": evse.circuit,
        "phases": [int(p) + 1 for p in evse.phases],
        "max_a": evse.max_a,
        "min_a": evse.min_a,
        "counts_with": "fail-safe" if counts_with_fail_safe(site, evse) else "installed maximum",
        "keeps_profiles": str(station.keeps_profiles),
        "zero_ok": str(station.zero_ok),
        "keeps_clock": str(station.keeps_clock),
        "recurring_ok": str(station.recurring_ok),
        "starts_offline": str(station.starts_offline),
        "grounds": station.grounds or "the site file says so",
        "windows": [{"start_s": w.start_s, "end_s": w.end_s, "current_a": w.current_a} for w in windows],
    }


def _assumptions(site: Site) -> list[str]:
    out = [
        "limits of circuits are already reduced for continuous load where a standard asks for it",
        "side loads stay at or below their worst case",
        f"the profiles of {_counted(site, 'keeps_profiles')} survive a power loss",
    ]
    out += [
        f"battery {b.id} rests by itself when it hears nothing for {b.link.watchdog_s:g} s"
        for b in site.batteries
        if b.link is not None
    ]
    if site.failsafe.strategy is not FailSafeStrategy.STATIC or any(e.fallback_a <= 0.0 for e in site.evses):
        out.append(f"{_counted(site, 'zero_ok')} pause their vehicles at 0 A")
    starting = [s.id for s in site.stations if s.starts_offline is not Trust.NO]
    if starting:
        out.append(f"transactions that {len(starting)} of {len(site.stations)} stations start offline begin there too")
    excess = worst_excess_a(site, {e.id: fallback_a(site, e) for e in site.evses})
    if excess:
        listed = ", ".join(f"{circuit} by {amps:.0f} A" for circuit, amps in excess.items())
        out.append(
            f"no more than {site.failsafe.reserve_starts} vehicles plug in at once, be it in the place of others "
            f"(reserve_starts): if all did, they could exceed {listed}, for {site.timing.reaction_time_s:g} s under "
            f"control and, with the controller dead, until leases end after {site.failsafe.lease_s} s"
        )
    if site.failsafe.strategy is FailSafeStrategy.TIME_DIVISION:
        out.append(
            f"the clocks of {_counted(site, 'keeps_clock')} survive a power loss; clocks are set within "
            f"{site.timing.clock_skew_s:g} s and drift at most {DRIFT_S_PER_DAY:g} s a day"
        )
        out.append(f"{_counted(site, 'recurring_ok')} follow schedules that recur daily")
    return out


def _counted(site: Site, what: str) -> str:
    """Return of how many stations something is known, and how: proved in the field, or said by the site file."""
    known = [s for s in site.stations if getattr(s, what) is Trust.YES]
    proved = sum(1 for s in known if s.grounds)
    by = f"{proved} proved, {len(known) - proved} as the site file says" if proved else "as the site file says"
    return f"{len(known)} of {len(site.stations)} stations ({by})"


def autonomy(site: Site) -> str:
    """Return for how long the fail-safe holds without the controller, in words."""
    if site.failsafe.strategy is FailSafeStrategy.TIME_DIVISION:
        return f"{AUTONOMY_DAYS} days without the controller, then clocks may have drifted into each other's windows"
    return "without end: the fail-safe needs no clock"


def _warnings(site: Site) -> list[str]:
    """Return what a single station that ignores its limit would do to a fuse."""
    out = []
    for circuit in site.circuits:
        rated = [a for a in circuit.rated_a if a is not None]
        below = site.evses_under(circuit.id)
        if not rated or not below:
            continue
        limit = min((a for a in circuit.limit_a if a is not None), default=min(rated))
        worst = max(below, key=lambda e: e.max_a - fallback_a(site, e))
        reached = limit + worst.max_a - fallback_a(site, worst)
        if reached > BREAKER_RATIO * min(rated):
            out.append(
                f"{circuit.id}: if {worst.id} alone ignored its limit, {reached:.0f} A could flow through "
                f"{min(rated):g} A until it is found out; a breaker may trip above {BREAKER_RATIO * min(rated):.0f} A"
            )
    return out
