"""The plain keeper of a CSMS's profiles: in memory, and without the rules by which stations refuse some.

Whoever needs those rules, or profiles that outlive a restart, brings a `ProfileKeeper` of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ocpp_link.proxy.profiles import HeldProfile
from ocpp_link.proxy.relay import RelayedStation
from ocpp_link.timestamps import to_wire

_Payload = dict[str, Any]


class HeldProfiles:
    """What the CSMS installed at each station, as far as the CSMS can tell: a `ProfileKeeper`.

    Parameters
    ----------
    changed
        Told whenever the profiles of a station changed: combine and push.
    """

    def __init__(self, changed: Callable[[RelayedStation], None]) -> None:
        self._changed = changed
        self._held: dict[str, list[HeldProfile]] = {}
        self._priority: dict[str, set[str]] = {}

    def of(self, station_id: str) -> tuple[HeldProfile, ...]:
        """Return the profiles of a station."""
        return tuple(self._held.get(station_id, ()))

    def priority_of(self, station_id: str) -> frozenset[str]:
        """Return the transactions for which the CSMS has put PriorityCharging profiles in force (2.1, K21)."""
        return frozenset(self._priority.get(station_id, ()))

    def transaction_ended(self, station: RelayedStation, evse_id: int, *, transaction_id: str | None = None) -> None:
        """Forget the TxProfiles and the priority of an EVSE: they end with their transaction."""
        if transaction_id is not None:
            self._priority.get(station.id, set()).discard(transaction_id)
        kept = [
            each
            for each in self._held.get(station.id, ())
            if each.evse_id != evse_id or each.profile["chargingProfilePurpose"] != "TxProfile"
        ]
        self._replace(station, kept)

    def lets_through(self, station: RelayedStation, action: str, payload: _Payload) -> bool:
        """Let nothing through: whether a limit could be lifted is not known here."""
        return False

    def went_through(self, station: RelayedStation, action: str, payload: _Payload, reply: _Payload | None) -> None:
        """Nothing: nothing went."""

    def at_station(self, station_id: str) -> frozenset[int]:
        """Return that no station holds a profile of the CSMS itself."""
        return frozenset()

    def set_profile(self, station: RelayedStation, payload: _Payload) -> _Payload:
        """Answer SetChargingProfile."""
        if station.version == "1.6":
            held = HeldProfile(evse_id=payload["connectorId"], profile=payload["csChargingProfiles"])
        else:
            held = HeldProfile(evse_id=payload["evseId"], profile=payload["chargingProfile"])
        self._hold(station, held)
        return {"status": "Accepted"}

    def take_start(self, station: RelayedStation, payload: _Payload) -> _Payload | None:
        """Take the profile of a remote start."""
        evse_id = payload.get("connectorId") or payload.get("evseId") or 0
        self._hold(station, HeldProfile(evse_id=evse_id, profile=payload["chargingProfile"]))
        return None

    def update_dynamic(self, station: RelayedStation, payload: _Payload) -> _Payload:
        """Give a held dynamic profile new values (2.1, K28): those that are named, the rest stays."""
        held = self._held.get(station.id, [])
        for place, each in enumerate(held):
            if each.id != payload["chargingProfileId"] or each.profile["chargingProfileKind"] != "Dynamic":
                continue
            schedule = each.profile["chargingSchedule"][0]
            period = {**schedule["chargingSchedulePeriod"][0], **payload["scheduleUpdate"]}
            changed = {
                **each.profile,
                "chargingSchedule": [{**schedule, "chargingSchedulePeriod": [period]}],
                "dynUpdateTime": to_wire(station.clock.now()),
            }
            held[place] = HeldProfile(evse_id=each.evse_id, profile=changed)
            self._changed(station)
            return {"status": "Accepted"}
        return {"status": "Rejected"}

    def use_priority(self, station: RelayedStation, payload: _Payload) -> _Payload:
        """Put held PriorityCharging profiles in force for a transaction, or out of force (2.1, K21)."""
        transaction_id, activate = payload["transactionId"], payload["activate"]
        if not any(each.profile["chargingProfilePurpose"] == "PriorityCharging" for each in self.of(station.id)):
            return {"status": "NoProfile"}
        favoured = self._priority.setdefault(station.id, set())
        if activate != (transaction_id in favoured):
            (favoured.add if activate else favoured.discard)(transaction_id)
            self._changed(station)
        return {"status": "Accepted"}

    def clear_profile(self, station: RelayedStation, payload: _Payload) -> _Payload:
        """Answer ClearChargingProfile."""
        criteria = payload.get("chargingProfileCriteria", payload)
        wanted_id = payload.get("id", payload.get("chargingProfileId"))
        wanted = {
            "evse_id": criteria.get("connectorId", criteria.get("evseId")),
            "purpose": criteria.get("chargingProfilePurpose"),
            "level": criteria.get("stackLevel"),
        }
        held = self._held.get(station.id, [])
        kept = [each for each in held if not _meant(each, wanted_id, wanted)]
        self._replace(station, kept)
        return {"status": "Accepted" if len(kept) < len(held) else "Unknown"}

    def _hold(self, station: RelayedStation, new: HeldProfile) -> None:
        kept = [each for each in self._held.get(station.id, ()) if new.id != each.id and new.place != each.place]
        self._held[station.id] = [*kept, new]
        self._changed(station)

    def _replace(self, station: RelayedStation, kept: list[HeldProfile]) -> None:
        if len(kept) != len(self._held.get(station.id, ())):
            self._held[station.id] = kept
            self._changed(station)


def _meant(each: HeldProfile, wanted_id: int | None, wanted: Mapping[str, Any]) -> bool:
    """Tell whether ClearChargingProfile means a profile: by id alone, else by everything that is named."""
    if wanted_id is not None:
        return each.id == wanted_id
    is_at = dict(zip(("evse_id", "purpose", "level"), each.place, strict=True))
    return all(value in (None, is_at[name]) for name, value in wanted.items())
