"""The circuit tree: parents, phases and limits, each fault where it is written."""

from collections.abc import Iterable, Sequence

from loadmgr.model.ids import CircuitId, MeterId
from loadmgr.model.topology import Circuit, Meter, Phase, PhaseAmps, PhaseLimits, SideLoad
from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.likeness import suggestion
from loadmgr.site_file.parts import Parts, Placed
from loadmgr.site_file.phase_schema import PhaseAmpsPart
from loadmgr.site_file.schema import CircuitPart, SideLoadPart, SitePart

PHASE_NAMES = tuple(phase.name for phase in Phase)

ADVISED_CONTINUOUS_RATIO = 0.9
"""Above this a continuous-load factor protects nothing (NEC 625.42 asks for 0.8)."""


def check_unique(placed: Iterable[tuple[tuple[str | int, ...], str]], faults: FaultList, *, kind: str) -> None:
    """Note every id that occurs a second time."""
    seen: dict[str, int] = {}
    for path, name in placed:
        line = faults.document.place((*path, "id"))[0]
        if name in seen:
            faults.add(
                (*path, "id"), f"{kind} {name} occurs twice (first in line {seen[name]})", "give each its own id"
            )
        else:
            seen[name] = line


def check_tree(parts: Parts, faults: FaultList) -> None:
    """Note circuits without a parent, unknown parents, loops and repeated ids."""
    circuits = parts.circuits
    check_unique(((c.path, c.part.id) for c in circuits), faults, kind="circuit")
    known = {c.part.id for c in circuits}
    roots = [c for c in circuits if c.part.parent is None and "parent" not in faults.document.get(*c.path)]
    for extra in roots[1:]:
        faults.add(
            extra.path,
            f"circuit {extra.part.id} has no parent, and the grid connection is already {roots[0].part.id}",
            f"add parent: {roots[0].part.id}, or the circuit that feeds it",
        )
    for placed in circuits:
        parent = placed.part.parent
        if parent is not None and parent not in known:
            advice = suggestion(parent, known - {placed.part.id}, kind="circuits")
            faults.add(
                (*placed.path, "parent"), f"parent of circuit {placed.part.id} is not a circuit: {parent}", advice
            )
    _check_loops(circuits, faults)


def _check_loops(circuits: Sequence[Placed[CircuitPart]], faults: FaultList) -> None:
    parents = {c.part.id: c.part.parent for c in circuits}
    looped: set[str] = set()
    for placed in circuits:
        chain = [placed.part.id]
        above = placed.part.parent
        while above in parents and above not in chain:
            chain.append(above)
            above = parents[above]
        if above == placed.part.id and above not in looped:
            looped |= set(chain)
            loop = " <- ".join([*chain, placed.part.id])
            faults.add(
                (*placed.path, "parent"), f"circuit {placed.part.id} feeds itself: {loop}", "name the circuit above it"
            )


def chain_of(circuit: str, by_id: dict[str, Placed[CircuitPart]]) -> list[Placed[CircuitPart]]:
    """Return a circuit and those above it, as far as they are known."""
    out: list[Placed[CircuitPart]] = []
    at: str | None = circuit
    while at in by_id and by_id[at] not in out:
        out.append(by_id[at])
        at = by_id[at].part.parent
    return out


def phases_of(circuit: str, by_id: dict[str, Placed[CircuitPart]]) -> tuple[str, ...]:
    """Return the phases that a circuit has: its own, or those of the nearest circuit above that names some."""
    for placed in chain_of(circuit, by_id):
        part = placed.part
        if part.phases is not None:
            return tuple(sorted(part.phases))
        if part.fuse is not None and None in part.fuse.each:
            return tuple(name for name, amps in zip(PHASE_NAMES, part.fuse.each, strict=True) if amps is not None)
    return PHASE_NAMES


def check_limits(parts: Parts, faults: FaultList) -> None:
    """Note circuits without a limit, and phases or limits that the circuit above them does not have."""
    by_id = {c.part.id: c for c in parts.circuits}
    for placed in parts.circuits:
        part = placed.part
        if part.fuse is None and part.max_power is None and placed.whole:
            faults.add(placed.path, f"circuit {part.id} has no limit", "add fuse: 63A or max_power: 40kW")
        own = phases_of(part.id, by_id)
        above = by_id.get(part.parent or "")
        if part.fuse is not None and part.phases is not None:
            _check_fuse_phases(placed, own, faults)
        if above is not None:
            lacking = [name for name in own if name not in phases_of(above.part.id, by_id)]
            if lacking:
                key = "phases" if part.phases is not None else "fuse"
                faults.add(
                    (*placed.path, key),
                    f"circuit {part.id} uses {', '.join(lacking)}, which circuit {above.part.id} lacks",
                    f"circuit {above.part.id} has {', '.join(phases_of(above.part.id, by_id))}",
                )
            _warn_above_parent(placed, above, parts.site, faults)


def _check_fuse_phases(placed: Placed[CircuitPart], own: tuple[str, ...], faults: FaultList) -> None:
    written = faults.document.get(*placed.path, "fuse")
    if isinstance(written, dict) and set(written) != set(own):
        faults.add(
            (*placed.path, "fuse"),
            f"fuse names {', '.join(written)}, but phases of circuit {placed.part.id} are {', '.join(own)}",
            "write the fuse of exactly those phases, or leave out `phases`",
        )


def _warn_above_parent(
    placed: Placed[CircuitPart], above: Placed[CircuitPart], site: SitePart | None, faults: FaultList
) -> None:
    part, parent = placed.part, above.part
    for name, own, limit in zip(PHASE_NAMES, limit_a(part, site), limit_a(parent, site), strict=True):
        if own is not None and limit is not None and own > limit + 1e-9:
            faults.warn(
                (*placed.path, "fuse"),
                f"circuit {part.id} may carry {own:g} A on {name}, more than the {limit:g} A of {parent.id} above it",
                "the limit above holds; check that the two are not swapped",
            )
            return
    if part.max_power is not None and parent.max_power is not None and part.max_power > parent.max_power:
        faults.warn(
            (*placed.path, "max_power"),
            f"circuit {part.id} may draw {part.max_power / 1000:g} kW, more than the {parent.max_power / 1000:g} kW "
            f"of {parent.id} above it",
            "the limit above holds; check that the two are not swapped",
        )


def check_continuous(parts: Parts, faults: FaultList) -> None:
    """Note a standard that asks for derating where none is given, and derating that protects nothing."""
    site = parts.site
    if site is None:
        return
    if site.standard == "nec" and site.continuous is None:
        faults.add(
            ("site", "standard"),
            "standard: nec needs the factor for continuous load",
            "add continuous: 0.8 to site (NEC 625.42: a charger's load is continuous)",
        )
    if site.continuous is not None and site.continuous > ADVISED_CONTINUOUS_RATIO:
        faults.warn(
            ("site", "continuous"),
            f"continuous: {site.continuous:g} leaves no reserve for load that lasts for hours",
            "0.8 is usual",
        )


def limit_a(part: CircuitPart, site: SitePart | None) -> PhaseLimits:
    """Return the limits that are planned with: the fuse, less the reserve for continuous load and the margin."""
    if part.fuse is None:
        return None, None, None
    ratio = (1.0 - part.margin) * (1.0 if site is None or site.continuous is None else site.continuous)
    l1, l2, l3 = (None if amps is None else round(amps * ratio, 9) for amps in part.fuse.each)
    return l1, l2, l3


def build_circuit(placed: Placed[CircuitPart], site: SitePart, by_id: dict[str, Placed[CircuitPart]]) -> Circuit:
    """Return a circuit; a phase that it lacks has a limit of 0."""
    part, own = placed.part, phases_of(placed.part.id, by_id)
    limits = [amps if name in own else 0.0 for name, amps in zip(PHASE_NAMES, limit_a(part, site), strict=True)]
    rated = part.fuse.each if part.fuse is not None else (None, None, None)
    rated_own = [amps if name in own else None for name, amps in zip(PHASE_NAMES, rated, strict=True)]
    return Circuit(
        id=CircuitId(part.id),
        parent=None if part.parent is None else CircuitId(part.parent),
        limit_a=(limits[0], limits[1], limits[2]),
        rated_a=(rated_own[0], rated_own[1], rated_own[2]),
        limit_w=part.max_power,
        side_loads=tuple(_build_side_load(load, part) for load in part.side_loads),
    )


def _build_side_load(load: SideLoadPart, circuit: CircuitPart) -> SideLoad:
    meter = None if circuit.meter is None else MeterId(circuit.meter.id)
    return SideLoad(id=load.id, worst_case_a=phase_amps(load.worst_case), meter=meter)


def phase_amps(part: PhaseAmpsPart) -> PhaseAmps:
    """Return currents with 0 on the phases that are not named."""
    return part.L1 or 0.0, part.L2 or 0.0, part.L3 or 0.0


def build_meters(parts: Parts) -> tuple[Meter, ...]:
    """Return the meters at the heads of circuits."""
    return tuple(
        Meter(
            id=MeterId(c.part.meter.id),
            circuit=CircuitId(c.part.id),
            interval_s=c.part.meter.interval,
            stale_after_s=3.0 * c.part.meter.interval if c.part.meter.stale_after is None else c.part.meter.stale_after,
        )
        for c in parts.circuits
        if c.part.meter is not None
    )
