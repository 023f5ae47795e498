"""The ledger of a session: energy from differences of a register that may reset, stand still, or speak late.

Rules
-----
1. Only differences count: some registers start at 0 with every session, some never, some reset at a reboot.
2. A difference is believed up to what the EVSE could have delivered meanwhile; the rest is left out and reported.
3. A register that is lower by more than half started anew, if its new value is credible as energy since then. One
   that is lower by less is late data, which changes nothing: the next value brings the energy anyway. If it stays
   lower and rises from there, it did start anew, and counts from where that was seen. A lower value that was measured
   before the last one is late data, however low it is: what waited without a link comes in between live values.
4. Without a register, power over time is the energy.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from loadmgr.model.units import SECONDS_PER_HOUR

GAP_ALLOWANCE_WH = 200.0
"""Beyond what full power explains: registers tick in steps, and timestamps of two messages are not exact."""


RESET_RATIO = 0.5
"""A register below this share of its last value has started anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Energy of one session.

    Parameters
    ----------
    delivered_wh : float
        Energy so far [Wh].
    register_wh : float, optional
        Last value of the register [Wh].
    at : datetime
        When the ledger last moved on.
    resets : int
        How often the register started anew.
    refused_wh : float
        Energy of differences that were not credible [Wh].
    lower_wh : float, optional
        A value below the last one that was taken as late [Wh].
    exported_wh : float
        Energy fed back so far [Wh].
    export_register_wh : float, optional
        Last value of the register of export [Wh].
    from_wh : float, optional
        First value of the register, where the one at the start of the session was not told [Wh].
    """

    at: datetime
    delivered_wh: float = 0.0
    register_wh: float | None = None
    resets: int = 0
    refused_wh: float = 0.0
    lower_wh: float | None = None
    exported_wh: float = 0.0
    export_register_wh: float | None = None
    from_wh: float | None = None


def with_register(ledger: Ledger, register_wh: float, *, at: datetime, max_w: float) -> Ledger:
    """Return the ledger after a register value that arrived at ``at``."""
    if ledger.register_wh is None:
        return replace(ledger, register_wh=register_wh, from_wh=register_wh, at=max(at, ledger.at))
    credible_wh = _credible_wh(ledger, at=at, max_w=max_w)
    gained_wh = register_wh - ledger.register_wh
    if gained_wh < 0.0:
        return _with_lower(ledger, register_wh, at=at, credible_wh=credible_wh)
    believed_wh = min(gained_wh, credible_wh)
    return replace(
        ledger,
        delivered_wh=ledger.delivered_wh + believed_wh,
        register_wh=register_wh,
        at=at,
        refused_wh=ledger.refused_wh + gained_wh - believed_wh,
        lower_wh=None,
    )


def with_value(
    ledger: Ledger, register_wh: float, *, measured_at: datetime | None, at: datetime, max_w: float
) -> Ledger:
    """Return the ledger after a register value that was measured some time before it arrived at ``at``.

    Since then the register may have grown, so the ledger moves on to when the value was measured, and no further.
    """
    if measured_at is not None and measured_at < ledger.at and register_wh < (ledger.register_wh or 0.0):
        return ledger
    found = with_register(ledger, register_wh, at=at, max_w=max_w)
    return replace(found, at=max(ledger.at, min(measured_at or ledger.at, at)))


def _with_lower(ledger: Ledger, register_wh: float, *, at: datetime, credible_wh: float) -> Ledger:
    if ledger.lower_wh is not None and register_wh > ledger.lower_wh:
        gained_wh = min(register_wh - ledger.lower_wh, credible_wh)
    elif 0.0 <= register_wh < RESET_RATIO * (ledger.register_wh or 0.0) and register_wh <= credible_wh:
        gained_wh = register_wh
    else:
        return replace(ledger, lower_wh=register_wh)
    return replace(
        ledger,
        delivered_wh=ledger.delivered_wh + gained_wh,
        register_wh=register_wh,
        at=at,
        resets=ledger.resets + 1,
        lower_wh=None,
    )


def with_export_register(ledger: Ledger, register_wh: float, *, most_wh: float) -> Ledger:
    """Return the ledger after a value of the register of export; one that is lower has started anew.

    Parameters
    ----------
    most_wh : float
        What can have been fed back since the last value [Wh]: more is left out.
    """
    before_wh = register_wh if ledger.export_register_wh is None else ledger.export_register_wh
    gained_wh = min(max(0.0, register_wh - before_wh), most_wh)
    return replace(ledger, exported_wh=ledger.exported_wh + gained_wh, export_register_wh=register_wh)


def with_power(ledger: Ledger, power_w: float, *, at: datetime, max_w: float) -> Ledger:
    """Return the ledger after a power reading of an EVSE that has no register; the power is taken as held until now."""
    hours = max(0.0, (at - ledger.at).total_seconds()) / SECONDS_PER_HOUR
    gained_wh = min(max(power_w, 0.0), max_w) * hours
    return replace(ledger, delivered_wh=ledger.delivered_wh + gained_wh, at=max(at, ledger.at))


def _credible_wh(ledger: Ledger, *, at: datetime, max_w: float) -> float:
    hours = max(0.0, (at - ledger.at).total_seconds()) / SECONDS_PER_HOUR
    return max_w * hours * 1.1 + GAP_ALLOWANCE_WH
