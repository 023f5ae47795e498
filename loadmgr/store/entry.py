"""What a journal is made of: entries in the order in which they happened, and snapshots of what was known.

Rules
-----
1. An entry is never changed. Its number says the order; the numbers have no gaps, except where a ``Lost`` says so.
2. A decision is written as its parts first (commands, alarms, sessions that ended) and then itself; all in one batch,
   so that a reader sees the whole of it or nothing.
3. Everything is in the entries that a decision was made of: the site, its tariff and the settings stand in ``Started``.
"""

import enum
import platform
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from loadmgr import __version__
from loadmgr.control.alarm import Alarm
from loadmgr.control.battery_facts import SetBatteryPower
from loadmgr.control.decision import SessionView
from loadmgr.control.observation import Observation
from loadmgr.control.sending.pending import Pending
from loadmgr.control.settings import ControlSettings
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Site


class Start(enum.StrEnum):
    """How a controller began."""

    NEW = "new"
    RESUMED = "resumed"
    SITE_CHANGED = "site changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A controller began, went on after a restart, or goes on with a changed site file.

    Parameters
    ----------
    how : Start
        Unless it is new, it knows what the one before it knew.
    knows_all : bool
        Whether that includes every command that was sent; see ``control.memory.woken``.
    """

    at: datetime
    site: Site
    tariff: Tariff | None = None
    settings: ControlSettings
    how: Start
    knows_all: bool = True
    version: str = __version__
    python: str = platform.python_version()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The end of a decision, and how many parts of it stand before it."""

    at: datetime
    next_due: datetime
    planned: str | None = None
    commands: int = 0
    alarms: int = 0
    ended: int = 0
    batteries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Entries are missing here; a snapshot follows.

    Parameters
    ----------
    since : datetime
        The first of them.
    entries : int
        How many.
    """

    at: datetime
    since: datetime
    entries: int
    cause: str


OBSERVED: dict[str, type[Observation]] = {kind.__name__: kind for kind in get_args(Observation)}
"""Every observation by the name of its class."""

PARTS: dict[str, type[Pending] | type[Alarm] | type[SessionView] | type[SetBatteryPower]] = {
    "Command": Pending,
    "Alarm": Alarm,
    "Session": SessionView,
    "Battery": SetBatteryPower,
}
"""Parts of a decision by their kind: a command with what it is for, an alarm that changed, a session that ended, what a
battery is told."""

Record = Started | Decided | Lost | Pending | Alarm | SessionView | SetBatteryPower | Observation
"""Everything that an entry can hold."""

KINDS: dict[str, type[Record]] = {
    "Started": Started,
    "Decided": Decided,
    "Lost": Lost,
    **PARTS,
    **OBSERVED,
}
"""What the body of an entry is, by its kind."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it is kept: its number, when it happened, its kind, and its body as JSON."""

    number: int
    at: datetime
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a controller knew after the entry of that number: the memory as JSON."""

    number: int
    at: datetime
    body: bytes
