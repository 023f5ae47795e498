"""The profiles that a station holds: set, replace, clear, end of transaction, restart.

The store holds state over time and reads no clock: every instant is a parameter. After every change the answers are
computed anew, with no gap (K01.FR.07, K10.FR.05).

A profile that has expired changes no answer from then on. It goes with :meth:`ProfileStore.purge`, or when the room
that it takes is needed, so a store never grows beyond the number of profiles that it takes.
"""

from dataclasses import fields, replace
from datetime import UTC, datetime

from loadmgr.composite.clearing import ClearCriteria, matches
from loadmgr.composite.compiled import Compiled, compile_profile, compile_schedule_of_vehicle, is_over, seconds
from loadmgr.composite.delays import DrawDelays, no_delays
from loadmgr.composite.layers import EvseState, Layers, build_layers
from loadmgr.composite.now import LimitNow, limit_now
from loadmgr.composite.rules import check_profile, check_start_profile, most_profiles, replaced_by
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.snapshot import DrawnDelays, InstalledProfile, StoreSnapshot
from loadmgr.composite.transaction import NeedsTold, StationTransaction
from loadmgr.composite.verdict import ACCEPTED, Verdict, refused
from loadmgr.model.ids import ProfileId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    ProfileKind,
    ProfilePurpose,
    SchedulePeriod,
)
from loadmgr.model.units import require_utc

_ALIKE = -1  # stands for every EVSE that has nothing of its own
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


class ProfileStore:
    """The profiles and transactions of one charging station.

    Parameters
    ----------
    settings : StationSettings
    draw_delays : DrawDelays, optional
        Draws random delays (2.1), as :func:`loadmgr.composite.delays.uniform_delays` makes one; none by default.
    """

    def __init__(self, settings: StationSettings, *, draw_delays: DrawDelays = no_delays) -> None:
        self._settings = settings
        self._draw_delays = draw_delays
        self._installed: list[Compiled] = []
        self._pending: list[InstalledProfile] = []
        self._transactions: dict[int, StationTransaction] = {}
        self._priority: set[int] = set()
        self._drawn: dict[int, dict[int, tuple[int, ...]]] = {}
        self._soc_percent: dict[int, float] = {}
        self._vehicle: dict[int, Compiled] = {}
        self._offline_since: datetime | None = None
        self._order = 0
        self._own: set[int] | None = None
        self._layers: dict[tuple[int, bool, int], Layers] = {}
        self._kept: dict[int, tuple[datetime, datetime, LimitNow]] = {}

    @property
    def settings(self) -> StationSettings:
        """Capabilities and defaults of the station."""
        return self._settings

    @property
    def profiles(self) -> tuple[InstalledProfile, ...]:
        """What is installed, in the order of installation."""
        return tuple(InstalledProfile(evse_id=c.evse_id, profile=c.profile) for c in self._installed)

    def transaction(self, evse_id: int) -> StationTransaction | None:
        """Return the transaction that runs on an EVSE."""
        return self._transactions.get(evse_id)

    def set_profile(self, evse_id: int, profile: ChargingProfile, *, now: datetime) -> Verdict:
        """Install a profile as SetChargingProfile does, or refuse it; a refusal changes nothing.

        Parameters
        ----------
        evse_id : int
        profile : ChargingProfile
        now : datetime
            Receipt: the update time of a dynamic profile that has none (K28.FR.05).
        """
        verdict = check_profile(
            profile,
            evse_id=evse_id,
            settings=self._settings,
            transaction=self._transactions.get(evse_id),
            installed=self._installed,
            now=now,
        )
        if verdict.accepted:
            self._make_room(now)
            self._install(evse_id, profile, now)
        return verdict

    def set_for_start(self, evse_id: int, profile: ChargingProfile, *, now: datetime) -> Verdict:
        """Take the profile of a RemoteStartTransaction or RequestStartTransaction, or refuse it.

        It is bound to the transaction of that EVSE: the running one, else the next one that starts there.
        """
        verdict = check_start_profile(
            profile, evse_id=evse_id, settings=self._settings, installed=self._installed, now=now
        )
        if not verdict.accepted:
            return verdict
        self._make_room(now)
        transaction = self._transactions.get(evse_id)
        if transaction is None:
            self.drop_pending(evse_id)  # the start that it came with is overtaken
            self._pending.append(InstalledProfile(evse_id=evse_id, profile=profile))
        else:
            self._install(evse_id, replace(profile, transaction_id=transaction.transaction_id), now)
        return verdict

    def load(self, evse_id: int, profile: ChargingProfile, *, now: datetime) -> None:
        """Put a profile in the store as it is, without rules and without replacing."""
        self._append(evse_id, profile, now)

    def put(self, evse_id: int, profile: ChargingProfile, *, now: datetime) -> None:
        """Put a profile of another origin in the place of the one with its id, not held to the rules for a CSMS."""
        self._installed = [c for c in self._installed if c.profile.profile_id != profile.profile_id]
        self._append(evse_id, profile, now)

    def remove(self, profile_id: ProfileId) -> bool:
        """Remove a profile of any origin; a released external limit stops limiting at once (K13.FR.01)."""
        return self._keep([c for c in self._installed if c.profile.profile_id != profile_id])

    def purge(self, now: datetime) -> bool:
        """Remove what has expired; return whether anything has. No answer from ``now`` on changes."""
        when = seconds(now)
        return self._keep([c for c in self._installed if not is_over(c, when)])

    def clear(self, criteria: ClearCriteria) -> bool:
        """Remove what matches; return whether anything did (Accepted, else Unknown).

        In 2.x external constraints, in 2.1 also LocalGeneration, are never cleared (K10.FR.03, K10.FR.08). Nothing
        specified matches everything (1.6 errata 3.26).
        """
        version = self._settings.version
        return self._keep([c for c in self._installed if not matches(c, criteria, version)])

    def update_dynamic(self, profile_id: ProfileId, values: SchedulePeriod, *, now: datetime) -> Verdict:
        """Give a dynamic profile new values, as UpdateDynamicSchedule and its pulled kin do (K28, 2.1).

        Parameters
        ----------
        profile_id : ProfileId
        values : SchedulePeriod
            Those that are not ``None`` replace the profile's; the rest stays.
        now : datetime
            The new update time, from which a duration counts.
        """
        for place, c in enumerate(self._installed):
            if c.profile.profile_id != profile_id:
                continue
            if c.profile.kind is not ProfileKind.DYNAMIC:
                return refused("InvalidProfile", "K28", "kind", "not a dynamic profile")
            schedule = c.profile.schedules[0]
            given = {
                f.name: getattr(values, f.name)
                for f in fields(values)
                if f.init and f.name not in ("start_s", "opaque")
            }
            period = replace(schedule.periods[0], **{name: v for name, v in given.items() if v is not None})
            schedules = (replace(schedule, periods=(period,)),)
            profile = replace(c.profile, schedules=schedules, dyn_update_time=require_utc(now, name="now"))
            self._installed[place] = compile_profile(profile, self._settings, evse_id=c.evse_id, order=c.order)
            self._changed()
            return ACCEPTED
        return refused("UnknownProfile", "K28", "profile_id", f"no profile {profile_id}")

    def start_transaction(self, transaction: StationTransaction, *, now: datetime) -> None:
        """Note that a transaction runs; the profile that its remote start brought is bound to it."""
        evse_id = transaction.evse_id
        self._transactions[evse_id] = transaction
        self._drawn[evse_id] = {}
        for compiled in self._installed:
            self._draw(compiled, evse_id)
        self._changed()
        waiting = [p for p in self._pending if p.evse_id == evse_id]
        self.drop_pending(evse_id)
        for pending in waiting:
            self._install(evse_id, replace(pending.profile, transaction_id=transaction.transaction_id), now)

    def end_transaction(self, evse_id: int) -> None:
        """Forget the transaction of an EVSE and its TxProfiles (1.6 section 5.16, K02.FR.05).

        Those without an id go too; priority charging is deactivated, its profile stays.
        """
        if self._transactions.pop(evse_id, None) is None:
            return
        self._installed = [
            c for c in self._installed if c.profile.purpose is not ProfilePurpose.TX or c.evse_id != evse_id
        ]
        self._priority.discard(evse_id)
        for kept in (self._drawn, self._soc_percent, self._vehicle):
            kept.pop(evse_id, None)
        self._changed()

    def drop_pending(self, evse_id: int) -> None:
        """Forget the profile of a remote start that led to no transaction."""
        self._pending = [p for p in self._pending if p.evse_id != evse_id]

    def use_priority_charging(self, evse_id: int, *, activate: bool) -> Verdict:
        """Activate priority charging for the transaction of an EVSE, or end it (UsePriorityCharging, K21, 2.1)."""
        if evse_id not in self._transactions:
            return refused("TxNotFound", "K21.FR.02", "transaction_id", "no transaction runs on the EVSE")
        if not any(
            c.profile.purpose is ProfilePurpose.PRIORITY_CHARGING and c.evse_id in (0, evse_id) for c in self._installed
        ):
            return refused("NoProfile", "K21.FR.03", "purpose", "no PriorityCharging profile is installed")
        self.note_priority_charging(evse_id, active=activate)
        return ACCEPTED

    def note_priority_charging(self, evse_id: int, *, active: bool) -> None:
        """Note that priority charging was activated or ended at the station itself (K22)."""
        (self._priority.add if active else self._priority.discard)(evse_id)
        self._changed()

    def note_needs(self, evse_id: int, needs: NeedsTold) -> None:
        """Note what the vehicle of an ISO 15118 session on an EVSE has said of its needs (K15.FR.17, K01.FR.143)."""
        transaction = self._transactions.get(evse_id)
        if transaction is not None:
            self._transactions[evse_id] = replace(transaction, needs=needs)

    def note_soc(self, evse_id: int, soc_percent: float | None) -> None:
        """Note the state of charge of the vehicle on an EVSE [%]; ``None`` is unknown."""
        if soc_percent is None:
            self._soc_percent.pop(evse_id, None)
        else:
            self._soc_percent[evse_id] = soc_percent
        self._changed()

    def note_vehicle_schedule(self, evse_id: int, schedule: ChargingSchedule | None) -> None:
        """Note what the vehicle announced to take (NotifyEVChargingSchedule); ``None`` is nothing (K15.FR.14)."""
        self._vehicle.pop(evse_id, None)
        if schedule is not None:
            self._vehicle[evse_id] = compile_schedule_of_vehicle(schedule, self._settings, evse_id=evse_id)
        self._changed()

    def note_offline(self, since: datetime) -> None:
        """Note that the station lost its connection at an instant."""
        self._offline_since = require_utc(since, name="since")
        self._changed()

    def note_online(self, now: datetime) -> None:
        """Note that the connection is back: what may not be used again is deleted (K01.FR.103)."""
        if self._offline_since is None:
            return
        gone_s = seconds(now) - seconds(self._offline_since)
        self._offline_since = None
        self._installed = [c for c in self._installed if not _outlived(c.profile, gone_s)]
        self._changed()

    def layers(self, evse_id: int, *, simulate: bool, schedule_index: int = 0) -> Layers:
        """Return the stacks of an EVSE, kept until something changes; EVSEs with nothing of their own have the same."""
        alike = evse_id > 0 and evse_id not in self._own_evses()
        key = (_ALIKE if alike else evse_id, simulate, schedule_index)
        layers = self._layers.get(key)
        if layers is None:
            layers = self._layers[key] = build_layers(
                self._of_schedule(schedule_index),
                self._settings,
                evse_id=evse_id,
                state=EvseState(
                    transaction=self._transactions.get(evse_id),
                    priority_active=evse_id in self._priority,
                    delays=self._drawn.get(evse_id, {}),
                    soc_percent=self._soc_percent.get(evse_id),
                    offline_since=None if self._offline_since is None else seconds(self._offline_since),
                    vehicle=self._vehicle.get(evse_id),
                ),
                simulate=simulate,
            )
        return layers

    def limit_at(self, evse_id: int, now: datetime) -> LimitNow:
        """Return the limit in force on an EVSE at ``now``; the answer is kept until it ends."""
        kept = self._kept.get(evse_id)
        if kept is not None:
            asked, until, limit = kept
            if asked <= now < until:
                return limit
        limit = limit_now(self.layers(evse_id, simulate=False), self._settings, now)
        # in UTC: two times of one zone are compared by their wall clocks, which a change of the clock turns round
        self._kept[evse_id] = (now.astimezone(UTC), limit.until or _FOR_EVER, limit)
        return limit

    def snapshot(self) -> StoreSnapshot:
        """Return all that a restart must not lose."""
        position = {c.order: place for place, c in enumerate(self._installed)}
        return StoreSnapshot(
            version=self._settings.version,
            profiles=self.profiles,
            pending=tuple(self._pending),
            transactions=tuple(self._transactions.values()),
            priority_evses=tuple(sorted(self._priority)),
            drawn=tuple(
                DrawnDelays(evse_id=evse_id, position=position[order], delays_s=delays)
                for evse_id, drawn in self._drawn.items()
                for order, delays in drawn.items()
                if order in position
            ),
            offline_since=self._offline_since,
        )

    @classmethod
    def restored(
        cls, settings: StationSettings, snapshot: StoreSnapshot, *, now: datetime, draw_delays: DrawDelays = no_delays
    ) -> "ProfileStore":
        """Return a store as it was when the snapshot was taken.

        Raises
        ------
        ValueError
            If the snapshot is of another OCPP version than the settings.
        """
        if snapshot.version is not settings.version:
            raise ValueError(f"snapshot must be of OCPP {settings.version.value}, got {snapshot.version.value}")
        store = cls(settings, draw_delays=draw_delays)
        for installed in snapshot.profiles:
            store._append(installed.evse_id, installed.profile, now)
        for transaction in snapshot.transactions:
            store._transactions[transaction.evse_id] = transaction
            store._drawn[transaction.evse_id] = {}
        for drawn in snapshot.drawn:
            store._drawn[drawn.evse_id][store._installed[drawn.position].order] = drawn.delays_s
        store._pending = list(snapshot.pending)
        store._priority = set(snapshot.priority_evses)
        store._offline_since = snapshot.offline_since
        return store

    def _install(self, evse_id: int, profile: ChargingProfile, now: datetime) -> None:
        gone = replaced_by(profile, evse_id=evse_id, settings=self._settings, installed=self._installed)
        self._installed = [c for c in self._installed if c not in gone]
        self._append(evse_id, profile, now)

    def _append(self, evse_id: int, profile: ChargingProfile, now: datetime) -> None:
        if profile.kind is ProfileKind.DYNAMIC and profile.dyn_update_time is None:
            profile = replace(profile, dyn_update_time=require_utc(now, name="now"))
        self._order += 1
        compiled = compile_profile(profile, self._settings, evse_id=evse_id, order=self._order)
        self._installed.append(compiled)
        for running in self._transactions:
            self._draw(compiled, running)
        self._changed()

    def _draw(self, compiled: Compiled, evse_id: int) -> None:
        """Draw the delays of a profile for the transaction of an EVSE, once (K01.FR.92)."""
        purposes = (ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT)
        if compiled.evse_id not in (0, evse_id) or compiled.profile.purpose not in purposes:
            return
        if compiled.schedule.randomized_delay_s:
            self._drawn[evse_id][compiled.order] = self._draw_delays(compiled.schedule)

    def _of_schedule(self, schedule_index: int) -> list[Compiled]:
        """Return what is installed, of profiles with several schedules the asked one."""
        if schedule_index == 0:
            return self._installed
        return [
            c
            if len(c.profile.schedules) == 1
            else compile_profile(
                c.profile, self._settings, evse_id=c.evse_id, order=c.order, schedule_index=schedule_index
            )
            for c in self._installed
        ]

    def _make_room(self, now: datetime) -> None:
        if len(self._installed) >= most_profiles(self._settings):
            self.purge(now)

    def _own_evses(self) -> set[int]:
        """Return the EVSEs that have something of their own: a profile, a transaction, a vehicle."""
        if self._own is None:
            held = {c.evse_id for c in self._installed}
            self._own = held.union(self._transactions, self._priority, self._vehicle, self._soc_percent)
        return self._own

    def _keep(self, kept: list[Compiled]) -> bool:
        if len(kept) == len(self._installed):
            return False
        self._installed = kept
        self._changed()
        return True

    def _changed(self) -> None:
        self._own = None
        self._layers.clear()
        self._kept.clear()


def _outlived(profile: ChargingProfile, offline_s: int) -> bool:
    longest = profile.max_offline_s
    return bool(profile.invalid_after_offline) and longest is not None and offline_s > longest
