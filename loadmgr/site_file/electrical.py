"""What a site's numbers mean together: reaction time, fail-safe, and the worst that one station can do.

The sums are made on the built site, not on the file, so that they hold for what really starts.
"""

from collections.abc import Callable
from dataclasses import dataclass

from loadmgr.model.topology import Circuit, Evse, Phase, Site, Trust, phase_currents_a
from loadmgr.model.units import CURRENT_TOLERANCE_A
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.likeness import listed

MAX_REACTION_TIME_S = 60.0

MAX_OVERLOAD_RATIO = 1.45
"""Conventional tripping current of a circuit-breaker: trips within an hour (IEC 60898-1)."""


_LOWER_FALLBACK = (
    "lower failsafe.per_evse or the fallback of some EVSEs, or use `strategy: zero` with stations that take 0 A"
)


@dataclass(frozen=True, slots=True)
class _Worst:
    ratio: float
    load_a: float
    phase: Phase
    evse: Evse


def check_timing(site: Site, faults: FaultList, *, place: PathKey) -> None:
    """Refuse a reaction time that is too long to be harmless or too short to be kept."""
    timing = site.timing
    interval_s = max([timing.meter_interval_s, *(m.interval_s for m in site.meters)])
    needed_s = interval_s + timing.call_timeout_s + timing.settle_s
    if timing.reaction_time_s > MAX_REACTION_TIME_S:
        faults.add(
            place,
            f"reaction_time of {timing.reaction_time_s:g} s is too long to leave a breaker unharmed",
            f"write at most {MAX_REACTION_TIME_S:g}s",
        )
    elif timing.reaction_time_s < needed_s:
        parts = (
            f"{interval_s:g} s meter interval + {timing.call_timeout_s:g} s call time-out "
            f"+ {timing.settle_s:g} s settle"
        )
        advice = (
            f"write at least {needed_s:g}s" if needed_s <= MAX_REACTION_TIME_S else "shorten those three to 60s in all"
        )
        faults.add(
            place, f"reaction_time of {timing.reaction_time_s:g} s cannot be kept: {parts} are {needed_s:g} s", advice
        )


def check_failsafe(site: Site, faults: FaultList, *, place_of: Callable[[Circuit], PathKey]) -> None:
    """Refuse fallback currents that, with the worst building load, exceed a circuit on some phase."""
    for circuit in site.circuits:
        _check_fallback(site, circuit, faults, place_of(circuit))


def _check_fallback(site: Site, circuit: Circuit, faults: FaultList, place: PathKey) -> None:
    fallback_a = _sum_a(site, circuit, lambda evse: evse.fallback_a)
    building_a = _building_a(site, circuit)
    for phase, limit_a in zip(Phase, circuit.limit_a, strict=True):
        total_a = fallback_a[phase] + building_a[phase]
        lacking = limit_a == 0.0 and circuit.rated_a[phase] is None
        if limit_a is not None and not lacking and total_a > limit_a + CURRENT_TOLERANCE_A:
            count = sum(1 for e in site.evses_under(circuit.id) if phase in e.phases and e.fallback_a > 0.0)
            loads = f"{fallback_a[phase]:g} A of {count} fallbacks"
            if building_a[phase]:
                loads += f" + {building_a[phase]:g} A of side loads at worst"
            faults.add(
                place,
                f"the fail-safe does not fit circuit {circuit.id} on {phase.name} at any time: {loads} exceed "
                f"its {limit_a:g} A",
                _LOWER_FALLBACK,
            )
            return
    if circuit.limit_w is not None:
        total_w = site.voltage_v * sum(fallback_a[p] + building_a[p] for p in Phase)
        if total_w > circuit.limit_w:
            faults.add(
                place,
                f"the fail-safe does not fit circuit {circuit.id} at any time: {total_w / 1000:.1f} kW of fallbacks "
                f"and side loads exceed its {circuit.limit_w / 1000:g} kW",
                _LOWER_FALLBACK,
            )


def warn_of_forgetting(site: Site, faults: FaultList, *, place_of: Callable[[Circuit], PathKey]) -> None:
    """Warn where stations may come back from a power loss without their fail-safe, each at its installed maximum."""
    forgetful = [s.id for s in site.stations if s.keeps_profiles is not Trust.YES]
    if not forgetful:
        return
    for circuit in site.circuits:
        total_a = _sum_a(
            site,
            circuit,
            lambda evse: evse.fallback_a if evse.station not in forgetful else evse.max_a,
        )
        building_a = _building_a(site, circuit)
        for phase, limit_a in zip(Phase, circuit.limit_a, strict=True):
            worst_a = total_a[phase] + building_a[phase]
            if limit_a is not None and worst_a > limit_a + CURRENT_TOLERANCE_A:
                under = [s for s in forgetful if any(e.station == s for e in site.evses_under(circuit.id))]
                faults.warn(
                    place_of(circuit),
                    f"circuit {circuit.id} could carry {worst_a:g} A on {phase.name} (limit {limit_a:g} A) after a "
                    f"power loss without the controller: {listed(under, most=4)} may forget the fail-safe",
                    "set keeps_profiles: yes on stations that were tried",
                )
                break


def warn_of_disobedience(site: Site, faults: FaultList, *, place_of: Callable[[Circuit], PathKey]) -> None:
    """Warn where one station that ignores its limit overloads a circuit beyond what a breaker bears for an hour.

    Notes
    -----
    Worst case: the others and the building fill the limit, and a paused EVSE starts to draw its installed maximum.
    """
    for circuit in site.circuits:
        worst = _worst_disobedience(site, circuit)
        if worst is not None and worst.ratio > MAX_OVERLOAD_RATIO:
            faults.warn(
                place_of(circuit),
                f"if EVSE {worst.evse.id} ignored its limit, {worst.phase.name} of circuit {circuit.id} could carry "
                f"{worst.load_a:.1f} A, {worst.ratio:.2f} times its rating, for {site.timing.reaction_time_s:g} s",
                f"a breaker bears {MAX_OVERLOAD_RATIO} times: lower `max` of that EVSE or raise `margin` here",
            )


def _worst_disobedience(site: Site, circuit: Circuit) -> _Worst | None:
    worst: _Worst | None = None
    evses = site.evses_under(circuit.id)
    building_a = _building_a(site, circuit)
    for phase, limit_a, rated_a in zip(Phase, circuit.limit_a, circuit.rated_a, strict=True):
        if limit_a is None or not rated_a:
            continue
        for evse in evses:
            if phase not in evse.phases:
                continue
            others_a = sum(e.max_a for e in evses if e is not evse and phase in e.phases) + building_a[phase]
            load_a = min(limit_a, others_a) + evse.max_a
            if worst is None or load_a / rated_a > worst.ratio + 1e-9:
                worst = _Worst(load_a / rated_a, load_a, phase, evse)
    return worst


def _sum_a(site: Site, circuit: Circuit, current_a: Callable[[Evse], float]) -> tuple[float, float, float]:
    currents = [phase_currents_a(evse, current_a(evse)) for evse in site.evses_under(circuit.id)]
    return sum(c[0] for c in currents), sum(c[1] for c in currents), sum(c[2] for c in currents)


def _building_a(site: Site, circuit: Circuit) -> tuple[float, float, float]:
    """Return the worst side loads on a circuit and everything below it [A]."""
    below = [c for c in site.circuits if any(above.id == circuit.id for above in site.path(c.id))]
    loads = [load.worst_case_a for c in below for load in c.side_loads]
    return sum(a[0] for a in loads), sum(a[1] for a in loads), sum(a[2] for a in loads)
