"""The profiles of the CSMS above a Local Controller, in a folder: one file for each station.

A profile is on the disk before the CSMS is told that it is accepted, so that neither a restart nor a power cut makes
that answer untrue. Those that went on to a station are kept here too: they limit as the others do.
"""

import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from loadmgr.apps.upstream.passed_profiles import PassedProfiles, id_of
from loadmgr.bridge.held_station import HeldStation
from loadmgr.bridge.profile_messages import CallFault
from loadmgr.bridge.store_json import snapshot_from_json
from loadmgr.errors import InputError
from loadmgr.model.ids import StationId, TransactionId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.topology import Site
from ocpp_link.clock import Clock
from ocpp_link.dialect import Fault
from ocpp_link.errors import CallRefused
from ocpp_link.proxy.profiles import HeldProfile
from ocpp_link.proxy.relay import RelayedStation

log = logging.getLogger(__name__)

_Payload = dict[str, Any]


class HeldFolder:
    """Keeps what the CSMS installed: the `ocpp_link.proxy.profiles.ProfileKeeper` of a Local Controller.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    site : callable
        Returns the site as it is now: its file may be read again.
    clock : Clock
    passed : PassedProfiles
        Which of them are on stations.
    changed : callable
        Called with a station's id whenever the limits that follow from its profiles may have changed.

    Raises
    ------
    InputError
        If a file of the folder cannot be read.
    OSError
        If the folder cannot be made or read.
    """

    def __init__(
        self,
        folder: Path,
        site: Callable[[], Site],
        *,
        clock: Clock,
        passed: PassedProfiles,
        changed: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._passed = passed
        self._site = site
        self._clock = clock
        self._changed = changed
        self._stations: dict[str, HeldStation] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._kept = {str(s.id): kept for s in site().stations if (kept := self._read(str(s.id))) is not None}

    def station(self, station_id: str, version: str) -> HeldStation:
        """Return what is held for a station; profiles of another OCPP version than it speaks now are gone."""
        known, site = self._stations.get(station_id), self._site()
        asked = OcppVersion(version)
        if known is not None and known.version is asked and known.site is site:
            return known
        kept = self._kept.pop(station_id, None) if known is None else known.text
        if kept is not None and snapshot_from_json(kept).version is not asked:
            kept = None
            log.warning("%s: speaks another OCPP version now: the CSMS has to set its profiles again", station_id)
        held = HeldStation(StationId(station_id), site, version=asked, now=self._clock.now(), kept=kept)
        self._stations[station_id] = held
        return held

    def save(self, station_id: str) -> None:
        """Write a station's file, and tell that its limits may have changed."""
        path = self._path(station_id)
        beside = path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(self._stations[station_id].text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        self._changed(station_id)

    # What the CSMS asks.

    def of(self, station_id: str) -> tuple[HeldProfile, ...]:
        """Return the profiles of a station."""
        held = self._stations.get(station_id)
        return () if held is None else tuple(HeldProfile(evse_id=n, profile=p) for n, p in held.profiles)

    def set_profile(self, station: RelayedStation, payload: _Payload) -> _Payload | Awaitable[_Payload]:
        """Answer SetChargingProfile."""
        new = profile_in(payload)
        if id_of(new) in self._passed.of(station.id) and not self._passed.may_go(station.id, new):
            return self._replace(station, payload)  # the older one of its id is on the station
        return self._held(station, payload)

    async def _replace(self, station: RelayedStation, payload: _Payload) -> _Payload:
        await self._passed.withdraw(station, (id_of(profile_in(payload)),))
        return self._held(station, payload)

    def _held(self, station: RelayedStation, payload: _Payload) -> _Payload:
        return self._answered(station, lambda held: held.set_profile(payload, self._clock.now()))

    def clear_profile(self, station: RelayedStation, payload: _Payload) -> _Payload | Awaitable[_Payload]:
        """Answer ClearChargingProfile."""
        meant = self._meant(station, payload) & self._passed.of(station.id)
        return self._withdraw(station, payload, meant) if meant else self._cleared(station, payload)

    def _meant(self, station: RelayedStation, payload: _Payload) -> frozenset[int]:
        """Return the ids of the profiles that ClearChargingProfile means; one that may be there is meant by its id."""
        held = self.station(station.id, station.version)
        left = held.copy(self._clock.now())
        left.clear_profile(payload)
        named = payload.get("id", payload.get("chargingProfileId"))
        unsure = self._passed.of(station.id) - held.ids
        criteria = payload.get("chargingProfileCriteria", payload)
        return (held.ids - left.ids) | {i for i in unsure if named == i or (named is None and not criteria)}

    async def _withdraw(self, station: RelayedStation, payload: _Payload, ids: frozenset[int]) -> _Payload:
        await self._passed.withdraw(station, ids)
        answer = self._cleared(station, payload)
        return {"status": "Accepted"} if answer.get("status") == "Unknown" else answer

    def _cleared(self, station: RelayedStation, payload: _Payload) -> _Payload:
        return self._answered(station, lambda held: held.clear_profile(payload))

    def lets_through(self, station: RelayedStation, action: str, payload: _Payload) -> bool:
        """Return whether a call goes on to a station that our maximum bounds; its id is on the disk then."""
        passed = self._passed
        if not passed.is_open(station.id):
            return False
        match action:
            case "UpdateDynamicSchedule":
                return payload["chargingProfileId"] in passed.of(station.id)
            case "UsePriorityCharging":
                favoured = (p for p in self.of(station.id) if p.place[1] == "PriorityCharging")
                return any(each.id in passed.of(station.id) for each in favoured)
        profile = profile_in(payload)
        if not passed.may_go(station.id, profile) or not self._would_take(station, action, payload):
            return False
        passed.note(station.id, id_of(profile))
        return True

    def _would_take(self, station: RelayedStation, action: str, payload: _Payload) -> bool:
        """Return whether a profile keeps the rules by which it is kept here: else it is answered for here."""
        copy, now = self.station(station.id, station.version).copy(self._clock.now()), self._clock.now()
        try:
            if action != "SetChargingProfile":
                return copy.take_start(payload, now) is None
            answer = copy.set_profile(payload, now)
        except InputError:
            return False
        return not isinstance(answer, CallFault) and answer.get("status") == "Accepted"

    def went_through(self, station: RelayedStation, action: str, payload: _Payload, reply: _Payload | None) -> None:
        """Take what a station accepted for what it holds."""
        if (reply or {}).get("status") == "Accepted":
            self._take(station, action, payload)
            for each in self.of(station.id):
                if each.id in self._passed.of(station.id):
                    self._passed.settle(station.id, each, taken=True)
        elif reply is not None and action not in ("UpdateDynamicSchedule", "UsePriorityCharging"):
            refused = id_of(profile_in(payload))
            if refused not in self.station(station.id, station.version).ids:
                self._passed.forget(station.id, (refused,))

    def _take(self, station: RelayedStation, action: str, payload: _Payload) -> None:
        match action:
            case "SetChargingProfile":
                self._held(station, payload)
            case "UpdateDynamicSchedule":
                self.update_dynamic(station, payload)
            case "UsePriorityCharging":
                self.use_priority(station, payload)
            case _:
                self.take_start(station, payload)

    def at_station(self, station_id: str) -> frozenset[int]:
        """Return the ids of the CSMS's profiles that a station holds itself."""
        return self._passed.of(station_id)

    def update_dynamic(self, station: RelayedStation, payload: _Payload) -> _Payload:
        """Answer UpdateDynamicSchedule."""
        return self._answered(station, lambda held: held.update_dynamic(payload, self._clock.now()))

    def use_priority(self, station: RelayedStation, payload: _Payload) -> _Payload:
        """Answer UsePriorityCharging."""
        return self._answered(station, lambda held: held.use_priority(payload))

    def take_start(self, station: RelayedStation, payload: _Payload) -> _Payload | None:
        """Take the profile of a remote start; return the answer that refuses it, ``None`` to let it go on."""
        answer = self._answered(station, lambda held: held.take_start(payload, self._clock.now()) or {})
        return answer or None

    def _answered(
        self, station: RelayedStation, ask: Callable[[HeldStation], dict[str, object] | CallFault]
    ) -> _Payload:
        try:
            answer = ask(self.station(station.id, station.version))
        except InputError as error:
            raise CallRefused(Fault.FORMAT, str(error)) from error
        if isinstance(answer, CallFault):
            raise CallRefused(Fault(answer.code), answer.description)
        if answer.get("status") in (None, "Accepted"):
            self.save(station.id)
        return answer

    def ended(self, station: RelayedStation, transaction: TransactionId) -> None:
        """Note that a transaction is over, and its profiles with it, on the station too (K02.FR.05)."""
        held = self.station(station.id, station.version)
        before = held.ids
        if held.ended(transaction):
            self._passed.forget(station.id, before - held.ids)
            self.save(station.id)

    def _path(self, station_id: str) -> Path:
        return self._folder / f"{quote(station_id, safe='')}.json"

    def _read(self, station_id: str) -> str | None:
        path = self._path(station_id)
        try:
            kept = path.read_text(encoding="utf-8")
            snapshot_from_json(kept)
        except FileNotFoundError:
            return None
        except (InputError, ValueError) as error:
            raise InputError(
                f"{path}: {error}; mend it, or remove it and let the CSMS set its profiles again"
            ) from error
        return kept


def profile_in(payload: _Payload) -> _Payload:
    """Return the profile of a call that sets one, in any version."""
    found: _Payload = payload["csChargingProfiles" if "csChargingProfiles" in payload else "chargingProfile"]
    return found
