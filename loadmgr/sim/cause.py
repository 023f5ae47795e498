"""Whose fault an excursion is, in words, judged by what everybody is entitled to and draws."""

from collections.abc import Mapping

from loadmgr.model.ids import CircuitId, StationId
from loadmgr.model.topology import PhaseAmps, Site
from loadmgr.sim.station import SimStation

_CLEARLY_A = 0.5
"""A draw counts as too much when it is this far above what is allowed [A]."""


def name_cause(
    site: Site, circuit: CircuitId, *, stations: Mapping[StationId, SimStation], flowing: Mapping[str, PhaseAmps]
) -> str:
    """Return why a circuit carries too much.

    Parameters
    ----------
    stations : mapping
    flowing : mapping
        What each load that nobody controls draws now [A on L1, L2, L3].
    """
    below = {evse.id for evse in site.evses_under(circuit)}
    bays = [(s, b) for s in stations.values() for b in s.bays.values() if b.outlet.evse.id in below]
    drawing = [(s, b) for s, b in bays if b.outlet.current_a > 0.0]
    disobeying = [b.outlet.evse.id for _, b in drawing if b.outlet.current_a > b.entitled_a + _CLEARLY_A]
    if disobeying:
        return f"{', '.join(disobeying)} drew more than the profiles there allow"
    empty = [b.outlet.evse.id for s, b in drawing if not s.store.profiles]
    if empty:
        return f"{', '.join(empty)} held no profiles"
    high = [
        load.id
        for c in site.circuits
        for load in c.side_loads
        if any(now > worst for now, worst in zip(flowing.get(load.id, (0.0,) * 3), load.worst_case_a, strict=True))
    ]
    if high:
        return f"{', '.join(high)} drew more than its stated worst case"
    return "the limits that stations held came to more than was left"
