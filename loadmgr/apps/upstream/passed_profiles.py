"""Which profiles of the CSMS are on stations themselves, beside a station maximum of ours.

Rules
-----
1. A profile goes on only to a station that our proven maximum bounds, and only if nothing in it could get past that: no
   station maximum, no local generation (it adds to a maximum, K04.FR.05), no discharging, no id of ours.
2. An id is on the disk before the station hears of its profile: so whatever happens, what has to be cleared is known.
3. What is cleared is cleared by its id. A request that names nothing would clear ours too.
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from loadmgr.control.sending.form import own_ids
from loadmgr.errors import InputError
from loadmgr.model.ids import StationId
from loadmgr.model.topology import Site
from ocpp_link.errors import CallRejected
from ocpp_link.proxy.profiles import HeldProfile
from ocpp_link.proxy.relay import RelayedStation

PASSABLE = frozenset({"TxDefaultProfile", "TxProfile", "PriorityCharging"})
"""Purposes of which a station maximum takes the minimum."""

_CHARGING = (None, "ChargingOnly", "Idle")


class PassedProfiles:
    """Ids of the CSMS's profiles that stations hold, or may hold.

    Parameters
    ----------
    path : Path
        The file that keeps them.
    site : callable
        Returns the site as it is now.
    bounded : callable
        Tells of a station's id whether profiles of others may be on it now.

    Raises
    ------
    InputError
        If the file cannot be read.
    """

    def __init__(self, path: Path, *, site: Callable[[], Site], bounded: Callable[[str], bool]) -> None:
        self._path = path
        self._site = site
        self._bounded = bounded
        self._open: set[str] = set()
        self._ids = _read(path)
        self._settled: dict[str, dict[int, HeldProfile]] = {}

    def of(self, station_id: str) -> frozenset[int]:
        """Return the ids that a station may hold; an id that is ours by now is not among them."""
        return frozenset(self._ids.get(station_id, ())) - self._ours(station_id)

    def is_bounded(self, station_id: str) -> bool:
        """Return whether profiles of others may be on a station now; where they may not, the way is shut."""
        if self._bounded(station_id):
            return True
        self._open.discard(station_id)
        return False

    def is_open(self, station_id: str) -> bool:
        """Return whether what the CSMS sets goes on to a station."""
        return self.is_bounded(station_id) and station_id in self._open

    def open(self, station_id: str) -> None:
        """Let through what the CSMS sets from now on: what it set before is on the station."""
        self._open.add(station_id)

    def shut(self, station_id: str) -> None:
        """Hold what the CSMS sets from now on."""
        self._open.discard(station_id)

    def restarted(self, station_id: str) -> None:
        """Note that a station may have lost what it held: everything is set anew."""
        self.shut(station_id)
        self._settled.pop(station_id, None)

    def is_due(self, station_id: str, profile: HeldProfile) -> bool:
        """Return whether a profile that is held is yet to be set on the station, as it is now."""
        known = self._settled.get(station_id, {}).get(profile.id)
        return known != profile and self.may_go(station_id, profile.profile)

    def settle(self, station_id: str, profile: HeldProfile, *, taken: bool) -> None:
        """Note a station's word on a profile: it need not be asked again."""
        if not taken:
            self.forget(station_id, (profile.id,))
        self._settled.setdefault(station_id, {})[profile.id] = profile

    def may_go(self, station_id: str, profile: Mapping[str, Any]) -> bool:
        """Return whether nothing in a profile could get past a station maximum of ours."""
        known = profile["chargingProfilePurpose"] in PASSABLE and id_of(profile) not in self._ours(station_id)
        return known and _only_charges(profile)

    def _ours(self, station_id: str) -> frozenset[int]:
        return frozenset(i for evse in self._site().evses_of(StationId(station_id)) for i in own_ids(evse))

    def note(self, station_id: str, profile_id: int) -> None:
        """Keep on the disk that a station may hold a profile from now on."""
        if profile_id not in self.of(station_id):
            self._ids.setdefault(station_id, set()).add(profile_id)
            self._save()

    def forget(self, station_id: str, ids: Iterable[int]) -> None:
        """Note that a station does not hold some profiles any more."""
        gone = self.of(station_id).intersection(ids)
        for profile_id in gone:
            self._settled.get(station_id, {}).pop(profile_id, None)
        if gone:
            self._ids[station_id] -= gone
            self._save()

    async def withdraw(self, station: RelayedStation, ids: Collection[int] | None = None) -> None:
        """Clear profiles of the CSMS from a station by their ids; all of them if none are named.

        Raises
        ------
        OcppError
            If the station does not do it: then it may hold some of them still.
        """
        known = self.of(station.id)
        name = "id" if station.version == "1.6" else "chargingProfileId"
        for profile_id in sorted(known if ids is None else known.intersection(ids)):
            answer = await station.call("ClearChargingProfile", {name: profile_id})
            if answer["status"] not in ("Accepted", "Unknown"):
                raise CallRejected("InternalError", f"profile {profile_id} was not cleared: {answer['status']}", {})
            self.forget(station.id, (profile_id,))

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump({key: sorted(ids) for key, ids in sorted(self._ids.items()) if ids}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def id_of(profile: Mapping[str, Any]) -> int:
    """Return a profile's id in any version."""
    found: int = profile["chargingProfileId" if "chargingProfileId" in profile else "id"]
    return found


def _only_charges(profile: Mapping[str, Any]) -> bool:
    """Return whether a profile lets nothing flow back, which no maximum bounds (2.1 Q)."""
    schedules = profile["chargingSchedule"]
    periods = (p for s in (schedules if isinstance(schedules, list) else [schedules]) for p in _periods(s))
    return all(
        period.get("operationMode") in _CHARGING
        and not any(key.startswith(("discharge", "setpoint", "v2x")) for key in period)
        for period in periods
    )


def _periods(schedule: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    periods: Iterable[Mapping[str, Any]] = schedule["chargingSchedulePeriod"]
    return periods


def _read(path: Path) -> dict[str, set[int]]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {str(station): {int(each) for each in ids} for station, ids in kept.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: must hold station ids with profile ids, {error}; clear the profiles that the CSMS set from the "
            "stations, then remove it"
        ) from error
