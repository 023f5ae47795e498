"""A station as the CSMS above a Local Controller knows it: with the profiles that the CSMS installed.

Rules
-----
1. The CSMS's profiles never reach the station. They are kept here by the rules of the station's version, answered for
   here, and told to the controller as a limit of others, which its own limits stay below.
2. What is told is the composite of the held profiles: stacking, transactions and priority are settled before.
3. A station maximum of the CSMS is a limit of all EVSEs together; each gets an equal share of it, so that whatever
   their setpoints are, the sum obeys.
"""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from loadmgr.bridge.held_profiles import Step, combined_by_minimum
from loadmgr.bridge.profile_json import profile_from_json, profile_to_json
from loadmgr.bridge.profile_messages import (
    CallFault,
    Payload,
    clear_charging_profile,
    get_composite_schedule,
    set_charging_profile,
    update_dynamic_schedule,
    use_priority_charging,
)
from loadmgr.bridge.store_json import snapshot_from_json, snapshot_to_json
from loadmgr.composite.answer import CompositeSchedule
from loadmgr.composite.schedule import composite_schedule
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.transaction import StationTransaction
from loadmgr.control.observation import ForeignProfiles
from loadmgr.model.ids import ProfileId, StationId, TransactionId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from loadmgr.model.topology import Site

SOURCE = "the CSMS"
"""Who limits, in the controller's words."""

START_WAITS_S = 300
"""How long the profile of a remote start waits for its transaction: the time to plug in, and more [s]."""

TOLD_AHEAD_S = 24 * 3600
"""For how long ahead a limit is told [s]; what holds at the end goes on until it is told again."""


class HeldStation:
    """The profiles and transactions of one station, as its CSMS sees them.

    Parameters
    ----------
    station : StationId
    site : Site
        That the station belongs to.
    version : OcppVersion
    kept : str, optional
        What ``text`` returned before a restart.
    now : datetime

    Raises
    ------
    InputError
        If ``kept`` cannot be read.
    ValueError
        If ``kept`` is of another OCPP version.
    """

    def __init__(
        self, station: StationId, site: Site, *, version: OcppVersion, now: datetime, kept: str | None = None
    ) -> None:
        self.station = station
        self.site = site
        self._numbers = tuple(e.number for e in site.evses_of(station))
        settings = StationSettings(
            version=version,
            evses=max(self._numbers, default=1),
            voltage_v=site.voltage_v,
            time_zone=ZoneInfo(site.time_zone),
        )
        self._store = (
            ProfileStore(settings)
            if kept is None
            else ProfileStore.restored(settings, snapshot_from_json(kept), now=now)
        )
        self._starts: dict[int, tuple[str, datetime]] = {}

    @property
    def version(self) -> OcppVersion:
        """The OCPP version of the station."""
        return self._store.settings.version

    @property
    def text(self) -> str:
        """All that a restart must not lose."""
        return snapshot_to_json(self._store.snapshot())

    @property
    def profiles(self) -> tuple[tuple[int, dict[str, Any]], ...]:
        """EVSE and profile on the wire, as the CSMS installed them."""
        return tuple((each.evse_id, profile_to_json(each.profile, self.version)) for each in self._store.profiles)

    @property
    def ids(self) -> frozenset[int]:
        """The ids of the profiles."""
        return frozenset(int(each.profile.profile_id) for each in self._store.profiles)

    def copy(self, now: datetime) -> "HeldStation":
        """Return another that holds the same, to try on it what would become of this one."""
        return HeldStation(self.station, self.site, version=self.version, now=now, kept=self.text)

    # What the CSMS asks; each raises InputError on a payload that cannot be read.

    def set_profile(self, payload: Payload, now: datetime) -> Payload | CallFault:
        """Answer SetChargingProfile."""
        return set_charging_profile(self._store, payload, now=now)

    def clear_profile(self, payload: Payload) -> Payload:
        """Answer ClearChargingProfile."""
        return clear_charging_profile(self._store, payload)

    def composite(self, payload: Payload, now: datetime) -> Payload | CallFault:
        """Answer GetCompositeSchedule; a station that nothing limits has none."""
        try:
            return get_composite_schedule(self._store, payload, now=now)
        except ValueError:
            return {"status": "Rejected"}

    def update_dynamic(self, payload: Payload, now: datetime) -> Payload:
        """Answer UpdateDynamicSchedule."""
        return update_dynamic_schedule(self._store, payload, now=now)

    def use_priority(self, payload: Payload) -> Payload:
        """Answer UsePriorityCharging."""
        return use_priority_charging(self._store, payload)

    def take_start(self, payload: dict[str, Any], now: datetime) -> Payload | None:
        """Take the profile of a remote start for the transaction to come; return the refusal of one that breaks rules.

        A start that names no EVSE brings it for whichever EVSE the token starts on.
        """
        profile = profile_from_json(payload["chargingProfile"], self.version, place="chargingProfile")
        named = payload.get("connectorId" if self.version is OcppVersion.V16 else "evseId")
        for number in self._numbers if not named else (named,):
            self._store.drop_pending(number)
            verdict = self._store.set_for_start(number, profile, now=now)
            if not verdict.accepted:
                return {"status": "Rejected"}
            self._starts[number] = _token(payload), now
        return None

    def start_refused(self) -> None:
        """Note that the station did not take the remote start."""
        for number in self._numbers:
            self._drop_start(number)

    # What the station tells

    def started(self, number: int, transaction: TransactionId, *, token: str | None, at: datetime) -> bool:
        """Note that a transaction runs; return whether that is new."""
        running = self._store.transaction(number)
        if number not in self._numbers or (running is not None and running.transaction_id == transaction):
            return False
        if running is not None:
            self._store.end_transaction(number)
        if not self._is_awaited(number, token, at):
            self._drop_start(number)  # somebody else came first, or nobody for long
        began = StationTransaction(evse_id=number, transaction_id=transaction, started_at=at)
        self._store.start_transaction(began, now=at)
        if number in self._starts:
            self.start_refused()  # one start, one transaction
        return True

    def ended(self, transaction: TransactionId) -> bool:
        """Note that a transaction is over and its profiles with it; return whether it ran."""
        for number in self._numbers:
            running = self._store.transaction(number)
            if running is not None and running.transaction_id == transaction:
                self._store.end_transaction(number)
                return True
        return False

    def limit_a(self, number: int, now: datetime) -> float | None:
        """Return what the profiles allow an EVSE now [A per phase]; ``None`` where none limits."""
        return self._store.limit_at(number, now).limit_a

    # What the controller is told

    def limits(self, at: datetime) -> tuple[ForeignProfiles, ...]:
        """Return what the held profiles allow each EVSE from an instant on."""
        whole = self._whole_station(at)
        return tuple(
            ForeignProfiles(
                at=at, station=self.station, number=number, source=SOURCE, profiles=self._limit(number, whole, at)
            )
            for number in self._numbers
        )

    def _limit(self, number: int, whole: tuple[Step, ...], at: datetime) -> tuple[ChargingProfile, ...]:
        composite = _lowest(_ask(self._store, number, at))
        steps = combined_by_minimum(whole, composite)
        if all(limit is None for _, limit in steps):
            return ()
        unlimited = max(limit for _, limit in steps if limit is not None) + _NO_LIMIT_A
        periods = tuple(SchedulePeriod(start_s=s, limit=unlimited if a is None else a) for s, a in steps)
        return (
            ChargingProfile(
                profile_id=ProfileId(-1),
                stack_level=0,
                purpose=ProfilePurpose.EXTERNAL_CONSTRAINTS,
                kind=ProfileKind.ABSOLUTE,
                schedules=(ChargingSchedule(unit=RateUnit.A, start=composite.start, periods=periods),),
            ),
        )

    def _whole_station(self, at: datetime) -> tuple[Step, ...]:
        """Return each EVSE's share of the CSMS's station maxima."""
        maxima = [p for p in self._store.profiles if p.profile.purpose in _OF_THE_STATION and p.evse_id == 0]
        if len(self._numbers) < 2 or not maxima:
            return ((0, None),)
        alone = ProfileStore(self._store.settings)
        for each in maxima:
            alone.load(0, each.profile, now=at)
        rows = _lowest(_ask(alone, self._numbers[0], at)).rows
        return tuple((s, None if limit is None else limit / len(self._numbers)) for s, limit, _ in rows)

    def _is_awaited(self, number: int, token: str | None, at: datetime) -> bool:
        """Return whether a transaction may be that of the remote start; one from before a restart is believed."""
        meant, when = self._starts.get(number, (None, at))
        return token in (None, meant or token) and (at - when).total_seconds() <= START_WAITS_S

    def _drop_start(self, number: int) -> None:
        self._starts.pop(number, None)
        self._store.drop_pending(number)


_NO_LIMIT_A = 1000.0
_OF_THE_STATION = (ProfilePurpose.CHARGE_POINT_MAX, ProfilePurpose.EXTERNAL_CONSTRAINTS)


def _ask(store: ProfileStore, number: int, at: datetime) -> CompositeSchedule:
    return composite_schedule(store, evse_id=number, start=at, duration_s=TOLD_AHEAD_S, unit=RateUnit.A)


def _lowest(composite: CompositeSchedule) -> CompositeSchedule:
    """Return a schedule whose limit is the lowest of what it says: phases limited apart, a setpoint, discharging."""
    if composite.rich is None:
        return composite
    rows: list[tuple[int, float | None, int]] = []
    for (start_s, limit, code), rich in zip(composite.rows, composite.rich, strict=True):
        said = (limit, rich.limit, rich.limit_l2, rich.limit_l3, rich.setpoint, rich.setpoint_l2, rich.setpoint_l3)
        lowest = min((max(0.0, each) for each in said if each is not None), default=None)
        rows.append((start_s, lowest, code))
    return composite._replace(rows=rows, rich=None)


def _token(payload: dict[str, Any]) -> str:
    token = payload.get("idToken")
    return str(token.get("idToken", "") if isinstance(token, dict) else payload.get("idTag", ""))
