"""How a simulated station misbehaves, and when: a schedule of spells.

Rules kept here
---------------
1. Manners change what a station does or says, never what it holds: its profile store stays truthful.
2. Every spell has a beginning and an end that are known before the run.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loadmgr.composite.store import ProfileStore
from loadmgr.model.profile import ChargingProfile, ProfileKind, ProfilePurpose, RateUnit
from loadmgr.sim.bay import Bay

if TYPE_CHECKING:
    from loadmgr.sim.station import SimStation


LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Rudeness(enum.StrEnum):
    """What a spell is about."""

    IGNORES_LIMITS = "ignores_limits"
    REBOOTS_AND_FORGETS = "reboots_and_forgets"
    REBOOTS = "reboots"
    DROPS_LINK = "drops_link"
    ANSWERS_LATE = "answers_late"
    LIES = "lies"
    FOLLOWS_DEFAULTS_ONLY = "follows_defaults_only"
    FOLLOWS_MAXIMA_ONLY = "follows_maxima_only"
    FOLLOWS_WATTS_ONLY = "follows_watts_only"
    FOLLOWS_RELATIVE_ONLY = "follows_relative_only"
    FOLLOWS_PAUSES_ONLY = "follows_pauses_only"


FOLLOWED: dict[Rudeness, Callable[[ChargingProfile], bool]] = {
    Rudeness.FOLLOWS_DEFAULTS_ONLY: lambda p: p.purpose is not ProfilePurpose.TX,
    Rudeness.FOLLOWS_MAXIMA_ONLY: lambda p: p.purpose is ProfilePurpose.CHARGE_POINT_MAX,
    Rudeness.FOLLOWS_WATTS_ONLY: lambda p: p.schedules[0].unit is RateUnit.W,
    Rudeness.FOLLOWS_RELATIVE_ONLY: lambda p: p.kind is ProfileKind.RELATIVE,
}
"""Which of the profiles that it holds a station follows: quirks 1, 2, 7, 11 and 18."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A while of bad manners.

    Parameters
    ----------
    at_s, for_s : float
        When it begins and how long it lasts [s after the start of the world]; for a reboot or a lost link: how long the
        station is away.
    answer_delay_s : float
        How late it answers.
    meter_ratio : float
        What a lying meter says per what is true.
    """

    behaviour: Rudeness
    at_s: float
    for_s: float
    answer_delay_s: float = 15.0
    meter_ratio: float = 0.5


class Manners:
    """The spells of one station, and the one it is in.

    Parameters
    ----------
    spells : sequence of Spell
        In order of time, one after the other.
    """

    def __init__(self, spells: Sequence[Spell] = ()) -> None:
        self._spells = sorted(spells, key=lambda s: s.at_s)
        self.current: Spell | None = None

    def limit_a(self, bay: Bay) -> float:
        """Return what an EVSE is offered: what it is entitled to, or all it has where limits are ignored."""
        pauses = self._is(Rudeness.FOLLOWS_PAUSES_ONLY) and bay.entitled_a >= bay.outlet.evse.min_a
        if self._is(Rudeness.IGNORES_LIMITS) or pauses:
            return bay.outlet.evse.max_a
        return bay.entitled_a

    def followed(self, store: ProfileStore, number: int) -> ProfileStore:
        """Return the profiles that the station follows, of those that it holds."""
        follows = None if self.current is None else FOLLOWED.get(self.current.behaviour)
        if follows is None:
            return store
        out, transaction = ProfileStore(store.settings), store.transaction(number)
        if transaction is not None:
            out.start_transaction(transaction, now=transaction.started_at)
        for held in store.profiles:
            if follows(held.profile):
                out.load(held.evse_id, held.profile, now=transaction.started_at if transaction else LONG_AGO)
        return out

    @property
    def answer_delay_s(self) -> float:
        """How late the station answers now [s]."""
        return self.current.answer_delay_s if self.current is not None and self._is(Rudeness.ANSWERS_LATE) else 0.0

    @property
    def meter_ratio(self) -> float:
        """What its meter says now per what is true."""
        return self.current.meter_ratio if self.current is not None and self._is(Rudeness.LIES) else 1.0

    async def act(self, station: "SimStation") -> None:
        """Live through the spells."""
        for spell in self._spells:
            await station.clock.sleep_until(spell.at_s)
            self.current = spell
            match spell.behaviour:
                case Rudeness.REBOOTS_AND_FORGETS:
                    await station.reboot(down_s=spell.for_s, forget=True)
                case Rudeness.REBOOTS:
                    await station.reboot(down_s=spell.for_s, forget=not station.keeps_profiles)
                case Rudeness.DROPS_LINK:
                    await station.drop_link(down_s=spell.for_s)
                case _:
                    station.refresh_all()
                    await station.clock.sleep_until(spell.at_s + spell.for_s)
            self.current = None
            station.refresh_all()

    def _is(self, behaviour: Rudeness) -> bool:
        return self.current is not None and self.current.behaviour is behaviour
