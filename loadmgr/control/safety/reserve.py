"""Current that is kept for vehicles that are about to plug in: at every EVSE, or at so many at a time.

Rules
-----
1. A vehicle that plugs in draws its EVSE's fallback before anybody hears of it, so idle EVSEs count with it.
2. A vehicle that takes the place of another plugs in too: what it may draw beyond that one counts on the limits that
   have to hold with nobody alive to hear of it.
3. ``failsafe.reserve_starts: K`` says that no more than K plug in at once: of each limit as much is kept as the K that
   would add most to it, and nothing for the others. What happens if more come is in the certificate.
4. Only EVSEs that obey and are known to be idle are left out.
"""

from dataclasses import replace
from datetime import datetime

from loadmgr.control.decision import Standing
from loadmgr.control.observation import EvseState
from loadmgr.control.safety.assumption import Assumed, assumed_of, standing_of
from loadmgr.control.safety.envelope import constant
from loadmgr.control.state import SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.topology import Evse, Phase, Site


def assumed_now(state: SiteState, now: datetime) -> dict[EvseId, Assumed]:
    """Return what has to be assumed of every EVSE from now on if no further message arrives.

    Where only so many vehicles plug in at once, an idle EVSE counts with nothing but what the next one may draw.
    """
    assumed = {e.id: assumed_of(state, state.evses[e.id], now) for e in state.site.evses}
    if state.site.failsafe.reserve_starts is None:
        return assumed
    idle = {e.id: assumed[e.id] for e in state.site.evses if _is_idle(state, e)}
    return assumed | {
        name: replace(a, envelope=constant(0.0), phases=(), next_envelope=a.envelope, next_phases=a.phases)
        for name, a in idle.items()
    }


def _is_idle(state: SiteState, evse: Evse) -> bool:
    """Return whether an EVSE obeys and has no vehicle."""
    record = state.evses[evse.id]
    free = record.charging is None and record.state is EvseState.AVAILABLE
    return free and standing_of(state, record) is Standing.OBEYING and not record.holding.settling


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
