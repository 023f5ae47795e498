"""WHAT LIMIT IS IN FORCE: rules, store, expansion and stacking of charging profiles.

Two questions have two functions: :func:`composite_schedule` answers over a window, :meth:`ProfileStore.limit_at` for
one instant and until when. Both say because of which profiles.
"""

from loadmgr.composite.answer import CompositePeriod, CompositeSchedule
from loadmgr.composite.clearing import ClearCriteria
from loadmgr.composite.delays import uniform_delays
from loadmgr.composite.hardware import HardwareLimit
from loadmgr.composite.lanes import Lane, LanePiece, lanes
from loadmgr.composite.now import LimitNow
from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.snapshot import InstalledProfile, StoreSnapshot
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.transaction import NeedsTold, StationTransaction
from loadmgr.composite.verdict import Verdict

__all__ = [
    "ClearCriteria",
    "CompositePeriod",
    "CompositeSchedule",
    "HardwareLimit",
    "InstalledProfile",
    "Lane",
    "LanePiece",
    "LimitNow",
    "NeedsTold",
    "ProfileStore",
    "StationSettings",
    "StationTransaction",
    "StoreSnapshot",
    "Verdict",
    "composite_schedule",
    "lanes",
    "uniform_delays",
]
