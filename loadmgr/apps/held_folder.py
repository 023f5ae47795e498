"""The profiles of the CSMS above a Local Controller, in a folder: one file for each station.

A profile is on the disk before the CSMS is told that it is accepted, so that neither a restart nor a power cut makes
that answer untrue.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from loadmgr.bridge.held_station import HeldStation
from loadmgr.bridge.profile_messages import CallFault
from loadmgr.bridge.store_json import snapshot_from_json
from loadmgr.errors import InputError
from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.topology import Site
from ocpp_link.clock import Clock
from ocpp_link.dialect import Fault
from ocpp_link.errors import CallRefused
from ocpp_link.proxy import RelayedStation
from ocpp_link.proxy_profiles import HeldProfile

log = logging.getLogger(__name__)

_Payload = dict[str, Any]


class HeldFolder:
    """Keeps what the CSMS installed: the `ocpp_link.proxy_profiles.ProfileKeeper` of a Local Controller.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    site : callable
        Returns the site as it is now: its file may be read again.
    clock : Clock
    changed : callable
        Called with a station's id whenever the limits that follow from its profiles may have changed.

    Raises
    ------
    InputError
        If a file of the folder cannot be read.
    OSError
        If the folder cannot be made or read.
    """

    def __init__(self, folder: Path, site: Callable[[], Site], *, clock: Clock, changed: Callable[[str], None]) -> None:
        self._folder = folder
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

    def set_profile(self, station: RelayedStation, payload: _Payload) -> _Payload:
        """Answer SetChargingProfile."""
        return self._answered(station, lambda held: held.set_profile(payload, self._clock.now()))

    def clear_profile(self, station: RelayedStation, payload: _Payload) -> _Payload:
        """Answer ClearChargingProfile."""
        return self._answered(station, lambda held: held.clear_profile(payload))

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
