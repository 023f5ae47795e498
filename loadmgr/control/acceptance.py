"""Whether a vehicle still takes what it is offered."""

from datetime import datetime

from loadmgr.control.state import EvseRecord

RESTING_A = 1.0
RESTING_S = 300
"""A vehicle that takes less than this for so long is full or asleep: others go first."""


def is_resting(record: EvseRecord, now: datetime) -> bool:
    """Return whether a vehicle has taken next to nothing of what it was offered for a while."""
    if record.accepts_a is None or record.accepts_since is None or record.accepts_a >= RESTING_A:
        return False
    return (now - record.accepts_since).total_seconds() >= RESTING_S
