"""A site between its stations and an existing CSMS: messages pass, limits are ours.

Rules
-----
1. What a station says is heard by the site's controller exactly as if it were connected here, and goes on as it is.
2. The CSMS's charging profiles reach the controller as a limit of others. They are held; where our limit is a station
   maximum, proven, they go on to the station besides. `ProfileGuard` lets nothing by that could lift a limit.
3. A failure here stops no message: what could not be heard is logged.
"""

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.upstream.csms_watch import CsmsWatch
from loadmgr.apps.upstream.handing_over import hand_over
from loadmgr.apps.upstream.held_folder import HeldFolder
from loadmgr.apps.upstream.passed_profiles import PassedProfiles
from loadmgr.apps.upstream.relayed_link import FIRST_REQUEST_ID, RelayedLink
from loadmgr.bridge.held_station import HeldStation
from loadmgr.control.decision import Decision
from loadmgr.model.ids import StationId, TransactionId
from ocpp_link.clock import Clock
from ocpp_link.proxy.interceptor import Answer, Verdict
from ocpp_link.proxy.profiles import STARTS, ProfileGuard, refused_variables
from ocpp_link.proxy.relay import CSMS_LOST, RelayedStation
from ocpp_link.proxy.settings import sets_password
from ocpp_link.timestamps import from_wire

log = logging.getLogger(__name__)

TOLD_AGAIN_S = 600
"""Limits are told for a day ahead; so often they are told anew [s]."""

LOOK_S = 5.0
CLOCK_SET_S = 2.0
"""A time of day that moves by so much against the time that passes was set [s]."""

AGAIN_S = 30.0
"""After so long a station that did not answer is given the CSMS's profiles again [s]."""


class LocalController:
    """The interceptor of a relay that serves a site's controller.

    Parameters
    ----------
    process : SiteProcess
    clock : Clock
    csms : CsmsWatch
        Told whether the CSMS is there.
    folder : Path
        Where the CSMS's profiles are kept.
    vendors : collection of str
        Vendor ids whose DataTransfer goes on to stations: those known to set no limit.
    keys : collection of str
        Stations whose password is known here: a new one that the CSMS gives them would lock them out.

    Raises
    ------
    InputError
        If the folder holds a file that cannot be read.
    """

    def __init__(
        self,
        process: SiteProcess,
        *,
        clock: Clock,
        csms: CsmsWatch,
        folder: Path,
        vendors: Collection[str] = (),
        keys: Collection[str] = (),
    ) -> None:
        self._keys = frozenset(keys)
        self._process = process
        self._clock = clock
        self._passed = PassedProfiles(
            folder.with_name("passed.json"), site=lambda: process.site, bounded=self._is_bounded
        )
        self._held = HeldFolder(folder, lambda: process.site, clock=clock, passed=self._passed, changed=self._tell)
        self._guard = ProfileGuard(self._held, vendors=vendors)
        self._links: dict[str, RelayedLink] = {}
        self._handing: dict[str, asyncio.Task[None]] = {}
        process.on_decision.append(self._look_who_is_bounded)
        self._csms = csms

    async def run(self) -> None:
        """Tell limits anew, until cancelled: from time to time, and when the site or the time of day was changed."""
        due_s = self._clock.now_s() + TOLD_AGAIN_S
        while True:
            site, ahead_s = self._process.site, self._ahead_s()
            await self._clock.sleep_until(self._clock.now_s() + LOOK_S)
            changed = self._process.site is not site or abs(self._ahead_s() - ahead_s) > CLOCK_SET_S
            if changed or self._clock.now_s() >= due_s:
                due_s = self._clock.now_s() + TOLD_AGAIN_S
                for station_id in list(self._links):
                    self._tell(station_id)

    def _ahead_s(self) -> float:
        return self._clock.now().timestamp() - self._clock.now_s()

    # What a relay asks of its interceptor.

    def holds(self, action: str) -> bool:
        """Tell whether an action of the CSMS must not reach a station unread."""
        return self._guard.holds(action)

    def on_connect(self, station: RelayedStation) -> None:
        """Take note of a station."""
        link = RelayedLink(station, patience_s=self._process.site.timing.call_timeout_s, alone=self._passed.withdraw)
        self._links[station.id] = link
        self._passed.shut(station.id)
        self._csms.note(station.id, there=station.upstream_connected, served=not station.upstream_connected)
        self._held.station(station.id, station.version)
        self._process.attach(link)
        self._tell(station.id)

    def on_upstream(self, station: RelayedStation, *, connected: bool) -> None:
        """Take note that the CSMS is lost, or back."""
        self._csms.note(station.id, there=connected, served=not connected)
        log.warning("%s: the CSMS is %s", station.id, "back" if connected else "lost; the station is served on")

    def on_disconnect(self, station: RelayedStation, reason: str) -> None:
        """Take note that a station is gone."""
        link = self._links.get(station.id)
        if link is not None and link.station is station:
            del self._links[station.id]
            if not station.upstream_connected or reason == CSMS_LOST:
                self._csms.note(station.id, there=False)
            self._stop_handing(station.id)
            self._process.detach(link, reason)

    def on_csms_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
        """Decide about a call of the CSMS."""
        if station.id in self._keys and sets_password(action, payload):
            log.warning("%s: the CSMS may not change a password that is known here", station.id)
            return Answer({"status": "Rejected"} if action == "ChangeConfiguration" else refused_variables(payload))
        return self._guard.judge(station, action, payload)

    def on_station_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
        """Hear a station's call, and decide whether it is for us."""
        verdict = self._guard.judge_station(station, action, payload)
        if action == "BootNotification":
            self._passed.restarted(station.id)
            self._stop_handing(station.id)
        if action == "ReportChargingProfiles":
            request = payload["requestId"]
            ours = request >= FIRST_REQUEST_ID
            payload = payload | {"requestId": request - FIRST_REQUEST_ID if ours else -1}  # -1: asked by the CSMS
            verdict = Answer({}) if ours else verdict
        link = self._links.get(station.id)
        if link is not None and link.station is station and not _opens(action, payload):
            link.look()  # a boot is under way from its request on
            self._process.hear(link, action, payload)
            self._note(link, action, payload)
        return verdict

    def on_csms_reply(
        self, station: RelayedStation, action: str, payload: dict[str, Any], reply: dict[str, Any] | None
    ) -> None:
        """Hear of a transaction that begins.

        Only now: 1.6 names it in the answer, and a station knows of it, and takes its profiles, from the answer on.
        """
        link = self._links.get(station.id)
        if link is None or link.station is not station:
            return
        link.look()
        if action == "TransactionEvent" and _opens(action, payload):
            self._process.hear(link, action, payload)
            self._note(link, action, payload)
        elif action == "StartTransaction" and reply is not None:
            transaction = str(reply["transactionId"])
            self._process.hear(link, action, payload, transaction=transaction)
            self._began(link, payload["connectorId"], transaction, token=payload.get("idTag"))

    def on_station_reply(
        self, station: RelayedStation, action: str, payload: dict[str, Any], reply: dict[str, Any] | None
    ) -> None:
        """Take note of what the station took; the profile of a remote start that it did not take waits for nothing."""
        self._guard.note_reply(station, action, payload, reply)
        if action in STARTS and (reply or {}).get("status") != "Accepted":
            self._held.station(station.id, station.version).start_refused()

    # Profiles that go on to stations.

    def _is_bounded(self, station_id: str) -> bool:
        return self._process.controller.leaves_room(StationId(station_id))

    def _look_who_is_bounded(self, _: Decision) -> None:
        for name, link in self._links.items():
            if name not in self._handing and self._passed.is_bounded(name) and not self._passed.is_open(name):
                self._handing[name] = asyncio.create_task(self._hand_over(link))

    async def _hand_over(self, link: RelayedLink) -> None:
        while not await hand_over(link.station, self._held, self._passed):
            await self._clock.sleep_until(self._clock.now_s() + AGAIN_S)
        self._handing.pop(link.id, None)

    def _stop_handing(self, station_id: str) -> None:
        task = self._handing.pop(station_id, None)
        if task is not None:
            task.cancel()

    # Transactions, for the profiles that belong to them.

    def _note(self, link: RelayedLink, action: str, payload: dict[str, Any]) -> None:
        match action:
            case "StopTransaction":
                self._over(link, str(payload["transactionId"]))
            case "MeterValues" if link.version == "1.6" and payload.get("transactionId", 0) > 0:
                self._began(link, payload["connectorId"], str(payload["transactionId"]), token=None)
            case "TransactionEvent":
                transaction = payload["transactionInfo"]["transactionId"]
                if payload["eventType"] == "Ended":
                    self._over(link, transaction)
                elif "evse" in payload:
                    token = payload.get("idToken", {}).get("idToken")
                    at = self._when(payload["timestamp"])
                    self._began(link, payload["evse"]["id"], transaction, token=token, at=at)

    def _began(
        self, link: RelayedLink, number: int, transaction: str, *, token: str | None, at: datetime | None = None
    ) -> None:
        held, now = self._of(link), self._clock.now()
        if held.started(number, TransactionId(transaction), token=token, at=min(at or now, now)):
            self._held.save(link.id)

    def _over(self, link: RelayedLink, transaction: str) -> None:
        self._held.ended(link.station, TransactionId(transaction))

    def _of(self, link: RelayedLink) -> HeldStation:
        return self._held.station(link.id, link.version)

    def _when(self, written: str) -> datetime | None:
        try:
            return from_wire(written)
        except ValueError:
            return None

    def _tell(self, station_id: str) -> None:
        link = self._links.get(station_id)
        if link is not None:
            for limit in self._of(link).limits(self._clock.now()):
                self._process.observe(limit, source=station_id)


def _opens(action: str, payload: dict[str, Any]) -> bool:
    return action == "StartTransaction" or (action == "TransactionEvent" and payload["eventType"] == "Started")
