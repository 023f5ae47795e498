"""What a station holds for an EVSE, as far as its answers prove it, and the limit that follows from that.

Rules
-----
1. A profile counts as installed from its acknowledgement on. One that was sent and not answered makes a second world:
   both count, and the higher limit of the two is assumed (so a reduction that timed out is not done). Of several, each
   may be there with or without the others; where that is too much to look at, nothing counts as installed.
2. A station handles its calls in order, so an acknowledgement settles every earlier doubt about the same profile id.
3. After an acknowledged reduction the old limit is still assumed until the vehicle had time to follow; of a station
   without a proven record of obeying, until a reading shows that it did, or a raise gives the old limit back.
4. The limit in force is computed by ``loadmgr.composite`` from the profiles themselves, never from what was meant.
"""

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import product

from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.transaction import StationTransaction
from loadmgr.control.safety.envelope import Envelope, constant, from_points, highest
from loadmgr.model.ids import ProfileId, TransactionId
from loadmgr.model.profile import ChargingProfile, ChargingSchedule, ProfileKind, ProfilePurpose, RateUnit

_STANDING = (ProfilePurpose.TX_DEFAULT, ProfilePurpose.CHARGE_POINT_MAX)

MOST_WORLDS = 64
"""A station that leaves more open than this holds nothing that can be counted on."""

_STEADY_FROM = datetime(2020, 1, 1, tzinfo=UTC)
"""A profile that began before this began before anything that is asked."""


class FailSafeStage(enum.IntEnum):
    """How far the fail-safe of an EVSE is proven."""

    MISSING = 0
    ACKNOWLEDGED = 1
    READ_BACK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A profile that may or may not have been installed: its command's id, and what was sent."""

    command: int
    installed: InstalledProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """An old limit that the vehicle may still follow instead of the new one, ``below_a``.

    ``until`` is ``None`` as long as only a reading can end it.
    """

    limit_a: float
    below_a: float
    since: datetime
    until: datetime | None


@dataclass(slots=True, kw_only=True)
class Holding:
    """What one EVSE holds.

    Parameters
    ----------
    certain : dict
        Acknowledged profiles by id, those of the whole station included.
    doubtful : list of Doubt
        Sent and not acknowledged, in the order in which they were sent.
    settling : list of Settling
    stage : FailSafeStage
    volatile : bool
        The station restarted since its transaction profiles were set: they may be gone, although it keeps profiles.
    inherited : bool
        The transaction was under way before it was known here: until a lease of ours is acknowledged, nobody knows what
        limits it.
    reinstall, recheck : bool
        Its fail-safe is to be set again, and read back again, because the station restarted.
    read_backs_lost : int
        Read-backs in a row that were not answered.
    committed : dict
        For each profile id the command that last installed it.
    ignored : tuple of ProfilePurpose
        Purposes that the station does not follow, whatever it accepts.
    cache : dict
        Envelopes of the present profiles, by what else they depend on.
    told : dict
        The same for a clock that is right.
    maxima : (StationSettings, ProfileStore), optional
        What of the present profiles limits the whole station, and how it is reckoned, once somebody asked.
    """

    certain: dict[ProfileId, InstalledProfile] = field(default_factory=dict)
    doubtful: list[Doubt] = field(default_factory=list)
    settling: list[Settling] = field(default_factory=list)
    stage: FailSafeStage = FailSafeStage.MISSING
    volatile: bool = False
    inherited: bool = False
    reinstall: bool = False
    recheck: bool = False
    read_backs_lost: int = 0
    committed: dict[ProfileId, int] = field(default_factory=dict)
    ignored: tuple[ProfilePurpose, ...] = ()
    cache: dict[tuple[TransactionId | None, float], tuple[float, Envelope]] = field(default_factory=dict)
    told: dict[tuple[TransactionId | None, float], tuple[float, Envelope]] = field(default_factory=dict)
    maxima: tuple[StationSettings, ProfileStore] | None = field(
        default=None, compare=False, metadata={"found_anew": True}
    )

    def touched(self) -> None:
        """Note that the profiles changed."""
        self.cache.clear()
        self.told.clear()
        self.maxima = None

    def sent(self, command: int, installed: InstalledProfile) -> None:
        """Note that a profile is on its way."""
        self.doubtful.append(Doubt(command=command, installed=installed))
        self.touched()

    def acknowledged(self, command: int, installed: InstalledProfile) -> None:
        """Note that a profile is installed; a late answer that a newer one has overtaken changes nothing."""
        key = installed.profile.profile_id
        if command < self.committed.get(key, -1):
            return
        self.committed[key] = command
        self.certain[key] = installed
        if installed.profile.purpose is ProfilePurpose.TX or ProfilePurpose.TX in self.ignored:
            self.volatile = self.inherited = False
        self.doubtful = [d for d in self.doubtful if d.installed.profile.profile_id != key or d.command > command]
        self.touched()

    def refused(self, command: int) -> None:
        """Note that a profile was refused, so that it changed nothing."""
        self.doubtful = [d for d in self.doubtful if d.command != command]
        self.touched()

    def forgotten(self) -> None:
        """Note that nothing is known to be installed any more."""
        self.certain.clear()
        self.doubtful.clear()
        self.stage = FailSafeStage.MISSING
        self.touched()

    def restarted(self) -> None:
        """Note that a station that keeps its profiles restarted: it is believed, and everything is set again."""
        self.volatile = any(i.profile.purpose is ProfilePurpose.TX for i in self.certain.values())
        self.reinstall = self.recheck = self.stage is not FailSafeStage.MISSING
        self.touched()

    def transaction_over(self) -> None:
        """Drop the profiles of transactions: a station deletes them with the transaction (K02.FR.05)."""
        self.certain = {k: i for k, i in self.certain.items() if i.profile.purpose is not ProfilePurpose.TX}
        self.doubtful = [d for d in self.doubtful if d.installed.profile.purpose is not ProfilePurpose.TX]
        self.volatile = self.inherited = False
        self.touched()

    def ignores(self, purposes: tuple[ProfilePurpose, ...]) -> None:
        """Note that the station does not follow some purposes."""
        self.ignored = purposes
        self.touched()

    def worlds(self, *, in_transaction: bool = True) -> tuple[tuple[InstalledProfile, ...], ...]:
        """Return every set of profiles that may be installed for the transaction or the next, the certain one first."""
        out = self._with_doubts()
        if self.volatile:
            out += [tuple(i for i in world if i.profile.purpose is not ProfilePurpose.TX) for world in out]
        if self.inherited and in_transaction:
            out.append(())
        if self.ignored:
            return tuple(tuple(i for i in world if i.profile.purpose not in self.ignored) for world in out)
        return tuple(out)

    def _with_doubts(self) -> list[tuple[InstalledProfile, ...]]:
        """Return the certain profiles with each choice of the doubtful ones; two of one id are never there at once."""
        doubts: dict[ProfileId, list[InstalledProfile | None]] = {}
        for doubt in self.doubtful:
            doubts.setdefault(doubt.installed.profile.profile_id, [None]).append(doubt.installed)
        if math.prod(map(len, doubts.values())) > MOST_WORLDS:
            return [tuple(self.certain.values()), ()]
        out = []
        for choice in product(*doubts.values()):
            taken = [installed for installed in choice if installed is not None]
            replaced = {installed.profile.profile_id for installed in taken}
            out.append((*(i for key, i in self.certain.items() if key not in replaced), *taken))
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the limit of an EVSE depends on beside its profiles.

    Parameters
    ----------
    number : int
        The EVSE's number on its station.
    settings : StationSettings
    transaction : StationTransaction, optional
        Whose TxProfiles count; without one the default profiles decide, as for a vehicle that plugs in.
    max_a : float
        Installed maximum [A], which holds where nothing limits.
    w_per_a : float
        Power that goes with the highest current per phase that a power limit lets through [W per A].
    """

    number: int
    settings: StationSettings
    transaction: StationTransaction | None
    max_a: float
    w_per_a: float


def limit_envelope(
    worlds: Iterable[tuple[InstalledProfile, ...]], terms: Terms, *, start: datetime, duration_s: int
) -> Envelope:
    """Return the highest limit over time that any of the worlds gives an EVSE, by a station clock that is right."""
    found = []
    for world in worlds:
        steady_a = None
        if all(i.profile.purpose in _STANDING for i in world):
            charging = terms.transaction is not None
            steady_a = _steady_a(world, terms.number, terms.settings, terms.max_a, terms.w_per_a, charging)
        if steady_a is None:
            found.append(_envelope_of(world, terms, start=start, duration_s=duration_s))
        else:
            found.append(Envelope((float(math.floor(start.timestamp())),), (steady_a,)))
    return highest(found) if found else constant(terms.max_a)


def _envelope_of(world: tuple[InstalledProfile, ...], terms: Terms, *, start: datetime, duration_s: int) -> Envelope:
    store = ProfileStore(terms.settings)
    if terms.transaction is not None:
        store.start_transaction(terms.transaction, now=start)
    for installed in world:
        store.load(installed.evse_id, installed.profile, now=start)
    unit = RateUnit.W if any(i.profile.schedules[0].unit is RateUnit.W for i in world) else RateUnit.A
    schedule = composite_schedule(store, evse_id=terms.number, start=start, duration_s=duration_s, unit=unit)
    origin_s, per_unit = schedule.start.timestamp(), 1.0 if unit is RateUnit.A else 1.0 / terms.w_per_a
    return from_points(
        [
            (origin_s + start_s, terms.max_a if limit is None else min(terms.max_a, limit * per_unit))
            for start_s, limit, _ in schedule.rows
        ]
    )


@lru_cache(maxsize=4096)
def _steady_a(  # noqa: PLR0917 - the key of a cache
    world: tuple[InstalledProfile, ...],
    number: int,
    settings: StationSettings,
    max_a: float,
    w_per_a: float,
    charging: bool,  # noqa: FBT001
) -> float | None:
    """Return the one limit of profiles that say the same at every instant [A]; ``None`` where they may say more.

    Fail-safes and station maxima are most of what is looked at, and the same on most EVSEs.
    """
    if not all(map(_is_steady, world)):
        return None
    started = _STEADY_FROM + timedelta(days=1)
    transaction = None
    if charging:  # any will do, for none of the profiles is of a transaction
        transaction = StationTransaction(evse_id=number, transaction_id=TransactionId("any"), started_at=started)
    terms = Terms(number=number, settings=settings, transaction=transaction, max_a=max_a, w_per_a=w_per_a)
    found = _envelope_of(world, terms, start=started + timedelta(days=1), duration_s=86_400)
    return found.limits_a[0] if len(found.limits_a) == 1 else None


def _is_steady(installed: InstalledProfile) -> bool:
    """Return whether a profile limits to the same at every instant, whichever transaction runs.

    Whatever is not listed here makes it one that is looked at anew each time.
    """
    profile = installed.profile
    if len(profile.schedules) != 1 or len(profile.schedules[0].periods) != 1:
        return False
    schedule = profile.schedules[0]
    period = schedule.periods[0]
    plain_schedule = ChargingSchedule(unit=schedule.unit, periods=schedule.periods, start=schedule.start)
    plain = ChargingProfile(
        profile_id=profile.profile_id,
        stack_level=profile.stack_level,
        purpose=profile.purpose,
        kind=profile.kind,
        schedules=(plain_schedule,),
    )
    if profile.kind is ProfileKind.RELATIVE:
        from_the_start = profile.purpose is ProfilePurpose.TX_DEFAULT and schedule.start is None
    else:
        long_since = schedule.start is not None and schedule.start <= _STEADY_FROM
        from_the_start = profile.kind is ProfileKind.ABSOLUTE and long_since
    return from_the_start and not period.says_more and period.start_s == 0 and profile == plain


def settled(holding: Holding, now: datetime) -> None:
    """Drop old limits that the vehicle had its time to leave."""
    holding.settling = [s for s in holding.settling if s.until is None or s.until > now]


def given_back(holding: Holding, limit_a: float) -> None:
    """Drop old limits that a lease now allows again: there is nothing left to follow."""
    if len(holding.worlds()) == 1:
        holding.settling = [s for s in holding.settling if s.limit_a > limit_a]


def measured(
    holding: Holding,
    *,
    peak_a: float,
    at: datetime,
    held_a: float,
    held_since: datetime | None,
    settle_s: float,
    tolerance_a: float,
) -> None:
    """Take a reading as proof that the vehicle follows the new limit where only a reading counts.

    A lease may have raised the limit since, to less than the old one: then a draw within that is the proof, once the
    vehicle had its time to reach it.

    Parameters
    ----------
    peak_a : float
        What was measured [A per phase].
    held_a, held_since : float, datetime
        The highest limit that may be held now [A], and since when, as far as is known.
    settle_s : float
        Time that a vehicle may take to follow [s].
    tolerance_a : float
        By how much a draw may exceed a limit that is followed [A].
    """
    settle = timedelta(seconds=settle_s)
    steady = held_since is None or at >= held_since + settle
    kept = []
    for old in holding.settling:
        telling = steady and held_a + tolerance_a < old.limit_a  # else both limits could be behind the reading
        followed_a = max(old.below_a, held_a) if telling else old.below_a
        proven = old.until is None and at > old.since and peak_a <= followed_a + tolerance_a
        kept.append(replace(old, until=old.since + settle) if proven else old)
    holding.settling = kept
    settled(holding, at)
