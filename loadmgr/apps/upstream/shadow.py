"""Shadow mode: what loadmgr would do at a site that a CSMS controls; everything passes, nothing is sent.

Rules
-----
1. The controller works as always. Its commands are answered here, by a copy of the station that holds what it was sent.
2. What the CSMS sets goes to the stations and is noted on the way, so that both can be compared with what is drawn.
"""

import json
import logging
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Unpack

from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.upstream.csms_watch import CsmsWatch
from loadmgr.bridge.held_station import HeldStation
from loadmgr.bridge.profile_messages import CallFault
from loadmgr.control.decision import CircuitView
from loadmgr.csms.site_door import Manner
from loadmgr.model.ids import StationId, TransactionId
from loadmgr.model.profile import OcppVersion
from ocpp_link.answers import station_answer
from ocpp_link.clock import Clock
from ocpp_link.errors import CallRejected
from ocpp_link.proxy.interceptor import Pass, Verdict
from ocpp_link.proxy.relay import CSMS_LOST, RelayedStation

log = logging.getLogger(__name__)

LOOK_S = 5
"""How often both are compared [s]."""

_SETS = ("SetChargingProfile", "ClearChargingProfile")


class ShadowLink:
    """A way to a station that ends here: what it is told, a copy of it takes.

    Parameters
    ----------
    station : RelayedStation
    process : SiteProcess
    clock : Clock
    """

    def __init__(self, station: RelayedStation, process: SiteProcess, clock: Clock) -> None:
        self.station = station
        self.id = station.id
        self.version = station.version
        self._clock = clock
        version, site = OcppVersion(station.version), process.site
        self.ours = HeldStation(StationId(station.id), site, version=version, now=clock.now())
        self.theirs = HeldStation(StationId(station.id), site, version=version, now=clock.now())

    async def call(self, action: str, payload: dict[str, Any], **manner: Unpack[Manner]) -> dict[str, Any]:
        """Answer as the station would.

        Raises
        ------
        CallRejected
            As the station would.
        """
        now = self._clock.now()
        answer: dict[str, Any] | CallFault
        match action:
            case "SetChargingProfile":
                answer = self.ours.set_profile(payload, now)
            case "ClearChargingProfile":
                answer = self.ours.clear_profile(payload)
            case "GetCompositeSchedule":
                answer = self.ours.composite(payload, now)
            case _:
                answer = station_answer(self.station.version, action, payload)
        if isinstance(answer, CallFault):
            raise CallRejected(answer.code, answer.description, {})
        return answer

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        """Close the connections to the station and to its CSMS."""
        self.station.end(code, reason)

    def took(self, action: str, payload: dict[str, Any]) -> None:
        """Note what the station took of its CSMS."""
        if action == "SetChargingProfile":
            self.theirs.set_profile(payload, self._clock.now())
        else:
            self.theirs.clear_profile(payload)

    def began(self, number: int, transaction: str, at: datetime) -> None:
        """Note a transaction."""
        for each in (self.ours, self.theirs):
            each.started(number, TransactionId(transaction), token=None, at=at)

    def over(self, transaction: str) -> None:
        """Note its end."""
        for each in (self.ours, self.theirs):
            each.ended(TransactionId(transaction))


class Shadow:
    """The interceptor of a relay that only looks on.

    Parameters
    ----------
    process : SiteProcess
        Made with ``watching``.
    clock : Clock
    csms : CsmsWatch
        Told whether the CSMS is there.
    folder : Path
        ``shadow.jsonl`` in it gets a line for each change: what we would set, what the CSMS allows, what is drawn [A].
    """

    def __init__(self, process: SiteProcess, *, clock: Clock, csms: CsmsWatch, folder: Path) -> None:
        self._process = process
        self._clock = clock
        self._links: dict[str, ShadowLink] = {}
        self._told: dict[str, tuple[float | None, ...]] = {}
        self._file = folder / "shadow.jsonl"
        self.over_s: Counter[str] = Counter()
        """For how long each circuit carried more than its limit, as it was [s]."""
        self._csms = csms
        folder.mkdir(parents=True, exist_ok=True)

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            await self._clock.sleep_until(self._clock.now_s() + LOOK_S)
            if self._process.decided:
                self._compare()

    def summary(self) -> str:
        """Return what was seen, in a line."""
        if not self.over_s:
            return "shadow: no circuit was seen above its limit"
        listed = ", ".join(f"{circuit} for {seconds} s" for circuit, seconds in sorted(self.over_s.items()))
        return f"shadow: above their limits were {listed}; what would have been set instead is in {self._file}"

    def _compare(self) -> None:
        view, now = self._process.controller.view(), self._clock.now()
        for circuit in view.circuits:
            if _is_over(circuit):
                self.over_s[circuit.circuit] += LOOK_S
        lines = []
        for evse in view.evses:
            link = self._links.get(evse.station)
            if link is None or evse.session is None:
                continue
            drawn = None if evse.measured_a is None else round(max(evse.measured_a), 1)
            limits = (evse.setpoint_a, link.theirs.limit_a(evse.number, now), drawn)
            if self._told.get(evse.evse) != limits:
                self._told[evse.evse] = limits
                named = dict(zip(("ours_a", "csms_a", "drawn_a"), limits, strict=True))
                lines.append({"at": now.isoformat(), "evse": evse.evse, **named, "reason": evse.reason})
                allowed = "no limit" if limits[1] is None else f"{limits[1]:g} A"
                draws = "unknown" if drawn is None else f"{drawn:g} A"
                log.info("%s: would get %s; of the CSMS: %s, draw: %s", evse.evse, evse.reason, allowed, draws)
        if lines:
            with self._file.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)

    # What a relay asks of its interceptor.

    def holds(self, action: str) -> bool:
        """Hold nothing."""
        return False

    def on_connect(self, station: RelayedStation) -> None:
        """Take note of a station."""
        self._csms.note(station.id, there=station.upstream_connected, served=not station.upstream_connected)
        link = self._links[station.id] = ShadowLink(station, self._process, self._clock)
        self._process.attach(link)

    def on_upstream(self, station: RelayedStation, *, connected: bool) -> None:
        """Take note that the CSMS is lost, or back."""
        self._csms.note(station.id, there=connected, served=not connected)

    def on_disconnect(self, station: RelayedStation, reason: str) -> None:
        """Take note that a station is gone."""
        link = self._links.get(station.id)
        if link is not None and link.station is station:
            del self._links[station.id]
            if not station.upstream_connected or reason == CSMS_LOST:
                self._csms.note(station.id, there=False)
            self._process.detach(link, reason)

    def on_csms_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
        """Let everything pass."""
        return Pass()

    def on_station_call(self, station: RelayedStation, action: str, payload: dict[str, Any]) -> Verdict:
        """Hear it, and let it pass."""
        link = self._links[station.id]
        match action:
            case "StartTransaction" | "ReportChargingProfiles":
                return Pass()  # heard of when it is answered; asked by the CSMS
            case "TransactionEvent":
                transaction = payload["transactionInfo"]["transactionId"]
                if payload["eventType"] == "Ended":
                    link.over(transaction)
                elif "evse" in payload:
                    link.began(payload["evse"]["id"], transaction, self._clock.now())
            case "StopTransaction":
                link.over(str(payload["transactionId"]))
        self._process.hear(link, action, payload)
        return Pass()

    def on_csms_reply(
        self, station: RelayedStation, action: str, payload: dict[str, Any], reply: dict[str, Any] | None
    ) -> None:
        """Hear of a transaction that 1.6 names in the answer to its start."""
        if action == "StartTransaction" and reply is not None:
            link, transaction = self._links[station.id], str(reply["transactionId"])
            link.began(payload["connectorId"], transaction, self._clock.now())
            self._process.hear(link, action, payload, transaction=transaction)

    def on_station_reply(
        self, station: RelayedStation, action: str, payload: dict[str, Any], reply: dict[str, Any] | None
    ) -> None:
        """Note what the station took of its CSMS."""
        if action in _SETS and reply is not None and reply.get("status") == "Accepted":
            self._links[station.id].took(action, payload)


def _is_over(circuit: CircuitView) -> bool:
    if circuit.measured_a is None:
        return False
    return any(limit is not None and a > limit for a, limit in zip(circuit.measured_a, circuit.limit_a, strict=True))
