"""Units, tolerances and the few conversions, each written once.

Currents are per phase, powers are totals over all phases, as OCPP has it (OCPP 1.6 section 3.13, 2.0.1 K01.FR.50).
"""

import math
from datetime import UTC, datetime

CURRENT_TOLERANCE_A = 1e-6
"""Two currents closer than this are the same current."""

POWER_TOLERANCE_W = 1e-3
"""Two powers closer than this are the same power."""

SECONDS_PER_HOUR = 3600.0

MINIMUM_CURRENT_A = 6.0
"""Below this a pilot means pause (IEC 61851-1 Annex A)."""


def power_w(current_a: float, *, voltage_v: float, phases: int) -> float:
    """Return the power [W] of a current per phase [A] on a number of phases.

    Examples
    --------
    >>> power_w(16.0, voltage_v=230.0, phases=3)
    11040.0
    """
    return current_a * voltage_v * phases


def current_a(power_w: float, *, voltage_v: float, phases: int) -> float:
    """Return the current per phase [A] of a power [W] on a number of phases.

    Examples
    --------
    >>> current_a(11040.0, voltage_v=230.0, phases=3)
    16.0
    """
    return power_w / (voltage_v * phases)


def floor_to_step(value: float, *, step: float) -> float:
    """Round down to a multiple of ``step``: a limit is never rounded up.

    A value within 1e-9 steps below a multiple counts as that multiple, so that 15.999999999999998 stays 16.

    Examples
    --------
    >>> floor_to_step(15.97, step=0.1)
    15.9
    >>> floor_to_step(15.999999999999998, step=1.0)
    16.0
    """
    if step <= 0.0:
        raise ValueError(f"step must be above 0, got {step}")
    return round(math.floor(value / step + 1e-9) * step, 9)


def require_utc(when: datetime, *, name: str) -> datetime:
    """Return ``when`` in UTC; a time without zone is a fault of the caller.

    Raises
    ------
    ValueError
        If ``when`` has no zone; the message names the argument.
    """
    if when.tzinfo is UTC:  # so it is nearly always, and this is asked of every observation
        return when
    if when.tzinfo is None or when.utcoffset() is None:
        raise ValueError(
            f"{name} must carry a time zone, got {when.isoformat()} (write {when.isoformat()}+00:00 for UTC)"
        )
    return when.astimezone(UTC)
