"""Current that is kept for vehicles that are about to plug in: for every idle EVSE, or for so many at a time.

Rules
-----
1. A vehicle that plugs in draws its EVSE's fallback before anybody hears of it, so idle EVSEs count with it.
2. ``failsafe.reserve_starts: K`` says that no more than K plug in within the reaction time: on each circuit and phase
   the K largest idle fallbacks count, and the others not. Whoever is kept anywhere is kept everywhere. A vehicle that
   takes the place of one on fewer phases plugs in too.
3. Only EVSEs that obey and are known to be idle are left out. What happens if more come is in the certificate.
"""

from collections.abc import Mapping
from datetime import datetime

from loadmgr.control.decision import Standing
from loadmgr.control.observation import EvseState
from loadmgr.control.safety.assumption import Assumed, assumed_of, standing_of
from loadmgr.control.safety.envelope import Envelope, constant
from loadmgr.control.state import SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.topology import Evse, Phase, Site


def assumed_now(state: SiteState, now: datetime) -> dict[EvseId, Assumed]:
    """Return what has to be assumed of every EVSE from now on if no further message arrives."""
    assumed = {e.id: assumed_of(state, state.evses[e.id], now) for e in state.site.evses}
    starts = state.site.failsafe.reserve_starts
    if starts is None:
        return assumed
    idle = {e.id for e in state.site.evses if _is_idle(state, e)}
    coming = {
        name: (each.envelope, each.phases) if name in idle else (each.next_envelope, each.next_phases)
        for name, each in assumed.items()
    }
    kept = _kept(state.site, coming, starts)
    return {name: each if name in kept else _left_out(each, idle=name in idle) for name, each in assumed.items()}


def _left_out(each: Assumed, *, idle: bool) -> Assumed:
    """Return what has to be assumed of an EVSE at which no vehicle plugs in."""
    return Assumed(constant(0.0) if idle else each.envelope, each.phases)


def _is_idle(state: SiteState, evse: Evse) -> bool:
    """Return whether an EVSE obeys and has no vehicle."""
    record = state.evses[evse.id]
    free = record.charging is None and record.state is EvseState.AVAILABLE
    return free and standing_of(state, record) is Standing.OBEYING and not record.holding.settling


def _kept(site: Site, coming: Mapping[EvseId, tuple[Envelope, tuple[Phase, ...]]], starts: int) -> set[EvseId]:
    """Return the EVSEs where vehicles may come that are among the largest of some circuit and phase."""
    peaks_a = {name: max(envelope.limits_a, default=0.0) for name, (envelope, _) in coming.items()}
    kept: set[EvseId] = set()
    for circuit in site.circuits:
        below = [e.id for e in site.evses_under(circuit.id)]
        for phase in Phase:
            ranked = sorted((e for e in below if phase in coming[e][1]), key=lambda e: -peaks_a[e])
            kept.update(ranked[:starts])
    return kept


def worst_excess_a(site: Site, fallbacks_a: dict[EvseId, float]) -> dict[str, float]:
    """Return by how much each circuit may be exceeded if every vehicle plugs in at once [A]; empty without a reserve.

    Notes
    -----
    On a phase: the sum of all fallbacks less the K largest, as far as everything else fills the limit.
    """
    starts = site.failsafe.reserve_starts
    if starts is None:
        return {}
    out = {}
    for circuit in site.circuits:
        below = site.evses_under(circuit.id)
        per_phase = [sorted((fallbacks_a[e.id] for e in below if p in e.phases), reverse=True) for p in Phase]
        worst = max((sum(amps[starts:]) for amps in per_phase), default=0.0)
        if worst > 0.0:
            out[str(circuit.id)] = worst
    return out
