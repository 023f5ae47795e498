"""Commands on their way: what was sent, when, and what its answer will mean."""

import enum
from dataclasses import dataclass
from datetime import datetime

from loadmgr.control.command import Command
from loadmgr.model.ids import EvseId, StationId


class Purpose(enum.StrEnum):
    """What a command is for, which says what its answer changes."""

    FAILSAFE = "fail-safe"
    MAXIMUM = "station maximum"
    LEASE = "lease"
    READ_BACK = "read-back"
    LEFTOVER = "clear what is left of another way to limit it"
    CLEAR = "clear"
    CAPABILITIES = "capabilities"
    FOREIGN = "others' limits"
    READING = "reading"
    ESCALATION = "escalation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A command that was not answered yet; ``evse`` is ``None`` where it concerns the whole station."""

    command: Command
    purpose: Purpose
    station: StationId
    evse: EvseId | None
    sent_at: datetime
