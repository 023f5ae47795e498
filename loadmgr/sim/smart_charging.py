"""Smart charging at a simulated station: every answer comes from its profile store, and so does what it tells unasked.

Rules kept here
---------------
1. A station without smart charging serves none of these messages: NotSupported (K01.FR.29), and it ignores the profile
   of a remote start (K05.FR.04, 1.6 section 5.11).
2. A limit of an external system is a profile in the store, like any other; 2.x also tells the CSMS of it (K12, K13).
3. A dynamic profile with an interval is pulled that long after its last update, whoever made it (K28, 2.1).
"""

import logging
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.bridge.profile_json import profile_to_json
from loadmgr.bridge.profile_messages import (
    CallFault,
    clear_charging_profile,
    get_charging_profiles,
    get_composite_schedule,
    set_charging_profile,
    set_profile_for_start,
    take_pulled_update,
    update_dynamic_schedule,
    use_priority_charging,
)
from loadmgr.composite.delays import uniform_delays
from loadmgr.composite.hardware import HardwareLimit
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.snapshot import InstalledProfile
from loadmgr.composite.store import ProfileStore
from loadmgr.errors import InputError
from loadmgr.model.ids import ProfileId, StationId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    OcppVersion,
    OperationMode,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    SchedulePeriod,
)
from loadmgr.model.topology import CurrentType, Evse
from ocpp_link.dialect import Fault
from ocpp_link.errors import CallRefused, OcppError

if TYPE_CHECKING:
    from loadmgr.sim.station import SimStation

logger = logging.getLogger(__name__)

Payload = dict[str, Any]
Answer = Callable[[Payload, datetime], Awaitable[Payload]]

OURS = "CSO"
"""ChargingLimitSource of what a CSMS has set."""


V2X_MODES = frozenset({OperationMode.CHARGING_ONLY, OperationMode.CENTRAL_SETPOINT, OperationMode.IDLE})
"""What a simulated station that can feed back follows (2.1)."""


def settings_of(
    version: OcppVersion, evses: Sequence[Evse], *, voltage_v: float, time_zone: str | None
) -> StationSettings:
    """Return what a simulated station with these EVSEs can do with profiles.

    Its largest EVSE caps every answer; on DC by power, whatever the voltage of the vehicle.
    """
    direct = all(e.current_type is CurrentType.DC for e in evses)
    most_a = max(e.max_a for e in evses)
    most_w = max(e.max_a * len(e.phases) for e in evses) * voltage_v
    return StationSettings(
        version=version,
        evses=max(e.number for e in evses),
        max_stack_level=8,
        max_periods=24,
        max_profiles=16,
        default_current_a=most_a,
        evse_hardware=HardwareLimit(power_w=most_w) if direct else HardwareLimit(current_a=most_a),
        direct_current=direct,
        voltage_v=voltage_v,
        time_zone=None if time_zone is None else ZoneInfo(time_zone),
        operation_modes=V2X_MODES if any(e.discharge_a > 0.0 for e in evses) else None,
    )


def empty_store(station: StationId, settings: StationSettings) -> ProfileStore:
    """Return the profile store of a station as it leaves the factory; random delays follow from its name (2.1)."""
    rng = np.random.default_rng(zlib.crc32(station.encode()))
    return ProfileStore(settings, draw_delays=uniform_delays(rng))


class SmartCharging:
    """What a simulated station does with charging profiles, besides obeying them.

    Parameters
    ----------
    station : SimStation
    available : bool
        Whether the station knows smart charging at all.
    """

    def __init__(self, station: "SimStation", *, available: bool) -> None:
        self.available = available
        self.forget_to_tell = False
        """Whether limits of external systems come and go without a word."""
        self.least_s_between_profiles = 0.0
        """A profile for an EVSE that comes sooner after the one before is refused (2.1, K01.FR.56) [s]."""
        self._last_set: dict[int, datetime] = {}
        self._station = station
        self._sources: dict[ProfileId, str] = {}
        self._pulled: set[ProfileId] = set()

    def answers(self) -> dict[str, Answer]:
        """Return what answers each action of the station's version."""
        if not self.available:
            return {}
        version = self._station.version
        table: dict[str, Answer] = {
            "ClearChargingProfile": self._clear,
            "GetCompositeSchedule": self._composite,
            "SetChargingProfile": self._set,
        }
        if version is not OcppVersion.V16:
            table["GetChargingProfiles"] = self._get
        if version is OcppVersion.V21:
            table |= {"UpdateDynamicSchedule": self._update, "UsePriorityCharging": self._use_priority}
        return table

    def accept_start(self, evse_id: int, data: object, now: datetime) -> Payload:
        """Take the profile of a remote start: the status that the start is answered with."""
        if not self.available:
            return {"status": "Accepted"}
        return set_profile_for_start(self._station.store, evse_id, data, now=now)

    # Answers.

    async def _set(self, payload: Payload, now: datetime) -> Payload:
        number, least = payload.get("evseId", 0), timedelta(seconds=self.least_s_between_profiles)
        if number in self._last_set and timedelta(0) <= now - self._last_set[number] < least:  # a clock may go back
            return {"status": "Rejected", "statusInfo": {"reasonCode": "RateLimitExceeded"}}
        answer = set_charging_profile(self._station.store, payload, now=now)
        if isinstance(answer, dict) and answer["status"] == "Accepted":
            self._last_set[number] = now
        self._changed()
        return _result(answer)

    async def _clear(self, payload: Payload, now: datetime) -> Payload:
        answer = clear_charging_profile(self._station.store, payload)
        self._changed()
        return answer

    async def _composite(self, payload: Payload, now: datetime) -> Payload:
        return _result(get_composite_schedule(self._station.store, payload, now=now))

    async def _get(self, payload: Payload, now: datetime) -> Payload:
        answer, reports = get_charging_profiles(self._station.store, payload, source_of=self._source_of)
        if reports:
            self._station.spawn(self._tell(*(("ReportChargingProfiles", report) for report in reports)))
        return answer

    async def _update(self, payload: Payload, now: datetime) -> Payload:
        answer = update_dynamic_schedule(self._station.store, payload, now=now)
        self._changed()
        return answer

    async def _use_priority(self, payload: Payload, now: datetime) -> Payload:
        answer = use_priority_charging(self._station.store, payload)
        self._changed()
        return answer

    def _changed(self) -> None:
        """Obey at once, and see that every dynamic profile is pulled when it is due."""
        self._station.refresh_all()
        for installed in self._station.store.profiles:
            profile = installed.profile
            if profile.dyn_update_interval_s and profile.profile_id not in self._pulled:
                self._pulled.add(profile.profile_id)
                self._station.spawn(self._pull(profile.profile_id))

    def note_soc(self, number: int, soc_ratio: float | None) -> None:
        """Note how full the vehicle on an EVSE is, where a profile asks for it (limitAtSoC, 2.1)."""
        store = self._station.store
        if any(s.limit_at_soc is not None for installed in store.profiles for s in installed.profile.schedules):
            store.note_soc(number, None if soc_ratio is None else soc_ratio * 100.0)

    # What a station tells unasked.

    async def limit_externally(
        self,
        number: int,
        limit: float,
        *,
        source: str = "EMS",
        unit: RateUnit = RateUnit.A,
        duration_s: int | None = None,
    ) -> None:
        """Obey a limit of an external system on an EVSE (0: the station), and tell the CSMS (K12, 2.x).

        Parameters
        ----------
        number : int
        limit : float
            [A] per phase or [W] in total.
        source : str
            ChargingLimitSource: EMS, SO or Other; each has one limit on each EVSE.
        unit : RateUnit
        duration_s : int, optional
            Until it is released, if absent [s].
        """
        now = self._station.clock.now().replace(microsecond=0)
        schedule = ChargingSchedule(
            unit=unit,
            periods=(SchedulePeriod(start_s=0, limit=limit),),
            schedule_id=1,
            start=now,
            duration_s=duration_s,
        )
        profile = ChargingProfile(
            profile_id=self._external_id(number, source),
            stack_level=0,
            purpose=ProfilePurpose.EXTERNAL_CONSTRAINTS,
            kind=ProfileKind.ABSOLUTE,
            schedules=(schedule,),
        )
        self._sources[profile.profile_id] = source
        self._station.store.put(number, profile, now=now)
        self._station.refresh_all()
        if self._tells:
            told = {
                "evseId": number,
                "chargingLimit": {"chargingLimitSource": source},
                "chargingSchedule": profile_to_json(profile, self._station.version)["chargingSchedule"],
            }
            await self._tell(("NotifyChargingLimit", told))

    async def release_external(self, number: int, *, source: str = "EMS") -> None:
        """Take the limit of an external system away, and tell the CSMS (K13, 2.x)."""
        profile_id = self._external_id(number, source)
        self._station.store.remove(profile_id)
        self._sources.pop(profile_id, None)
        self._station.refresh_all()
        if self._tells:
            await self._tell(("ClearedChargingLimit", {"chargingLimitSource": source, "evseId": number}))

    async def use_priority(self, number: int, *, activate: bool) -> None:
        """Let the driver ask for priority charging at the station itself, and tell the CSMS (K22, 2.1)."""
        transaction = self._station.store.transaction(number)
        if transaction is None or not self._station.store.use_priority_charging(number, activate=activate).accepted:
            return
        self._station.refresh_all()
        told = {"transactionId": transaction.transaction_id, "activated": activate}
        await self._tell(("NotifyPriorityCharging", told))

    async def _pull(self, profile_id: ProfileId) -> None:
        """Pull a dynamic profile whenever its interval has passed since the last update, as long as it is there."""
        station = self._station
        tried_at: datetime | None = None
        while (profile := self._dynamic(profile_id)) is not None:
            updated_at = max(filter(None, (profile.dyn_update_time, tried_at)))
            due = updated_at + timedelta(seconds=profile.dyn_update_interval_s or 0)
            wait_s = (due - station.clock.now()).total_seconds()
            if wait_s > 0.0:
                await station.clock.sleep_until(station.clock.now_s() + max(wait_s, 1e-3))
                continue
            tried_at = station.clock.now()
            asked = partial(station.wire.call, "PullDynamicScheduleUpdate", {"chargingProfileId": profile_id})
            try:
                taken = take_pulled_update(station.store, profile_id, await asked(), now=station.clock.now())
            except (OcppError, InputError) as error:
                logger.debug("%s: no update of profile %s: %s", station.id, profile_id, error)
            else:
                if taken:
                    station.refresh_all()
        self._pulled.discard(profile_id)

    def _dynamic(self, profile_id: ProfileId) -> ChargingProfile | None:
        held = (installed.profile for installed in self._station.store.profiles)
        return next((p for p in held if p.profile_id == profile_id and p.dyn_update_interval_s), None)

    async def _tell(self, *messages: tuple[str, Payload]) -> None:
        for action, payload in messages:
            await self._station.deliver(partial(self._station.wire.call, action, payload))

    @property
    def _tells(self) -> bool:
        return self._station.version is not OcppVersion.V16 and not self.forget_to_tell

    def _source_of(self, installed: InstalledProfile) -> str:
        return self._sources.get(installed.profile.profile_id, OURS)

    def _external_id(self, number: int, source: str) -> ProfileId:
        """Return the id of a source's limit on an EVSE: below those of every CSMS (K01.FR.81)."""
        known = ("EMS", "SO", "Other")
        return ProfileId(-1 - number * (len(known) + 1) - (known.index(source) if source in known else len(known)))


def _result(answer: Payload | CallFault) -> Payload:
    if isinstance(answer, CallFault):
        raise CallRefused(Fault(answer.code), answer.description)
    return answer
