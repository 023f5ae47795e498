"""Stations' certificates, renewed over OCPP: SignCertificate, CertificateSigned, and what triggers them (A02, A03).

Rule 1: a certificate is signed only for a station that has proved over TLS who it is: of security profile 2 or 3.
Rule 2: connections stay. The station comes back with its new certificate when it wants to, and the old one is good
    until it ends, so that a certificate that is lost on the way costs nothing.
Rule 3: a station of profile 2 gets its first certificate only when it is ordered here: who stole a password shall not
    make a lasting login of it. Once it has one it may show it: profile 3 is offered to it.
Rule 4: nothing that a station sends makes this raise; what it may not have is refused.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from ocpp_link.access_file import Changeable
from ocpp_link.errors import CallRejected, CallTimeout, OcppError
from ocpp_link.security import AccessList
from ocpp_link.station import Station

logger = logging.getLogger(__name__)

RENEW_BEFORE = timedelta(days=30)
"""A certificate that ends within this is renewed without being asked for."""

LOOK_EVERY_S = 6 * 3600.0
"""How often connected stations are looked at for that [s]."""

PATIENCE_S = 120.0
"""How long a station may take from the trigger to its answer to the certificate; making an RSA key takes some [s]."""

STATION_CERTIFICATE = "ChargingStationCertificate"


class Signer(Protocol):
    """Who signs: `ocpp_link.authority.Authority`, or what stands before one."""

    def sign(self, csr: str, *, identity: str, organisation: str | None, now: datetime) -> str:
        """Return the new certificate and those of the authorities below the root, in PEM; raise ValueError if not."""


class Renewals:
    """Renews the certificates of a server's stations.

    Parameters
    ----------
    signer
        Who signs.
    access
        Who may connect, and how.
    now
        The time of day.
    """

    def __init__(
        self,
        signer: Signer,
        access: AccessList,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._signer = signer
        self._access = access
        self._now = now
        self._handing_over: dict[str, asyncio.Task[None]] = {}
        self._awaited: dict[str, asyncio.Future[str]] = {}

    def answer(self, station: Changeable, payload: dict[str, Any]) -> dict[str, Any]:
        """Answer SignCertificate; a certificate follows by CertificateSigned.

        Returns
        -------
        dict
            The response.
        """
        try:
            chain = self._signed(station.id, payload)
        except ValueError as error:
            self._tell(station.id, f"not signed: {error}")
            if station.version == "1.6":
                return {"status": "Rejected"}
            return {
                "status": "Rejected",
                "statusInfo": {"reasonCode": "InvalidCSR", "additionalInfo": str(error)[:512]},
            }
        told = {"certificateChain": chain}
        if station.version != "1.6":
            told |= {"certificateType": STATION_CERTIFICATE}
        if "requestId" in payload:
            told |= {"requestId": payload["requestId"]}  # 2.1
        task = asyncio.create_task(self._hand_over(station, told))  # begins after the answer is written
        self._handing_over[station.id] = task
        task.add_done_callback(partial(self._handed_over, station.id))
        return {"status": "Accepted"}

    async def renew(self, station: Changeable) -> str:
        """Have a connected station renew its certificate.

        Returns
        -------
        str
            ``Accepted`` where it has the new one, else what went wrong.

        Raises
        ------
        OcppError
            It did not answer, or neither asked for a certificate nor took one in time.
        """
        outcome = self._awaited.setdefault(station.id, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(PATIENCE_S):
                said = await _trigger(station)
                return await asyncio.shield(outcome) if said == "Accepted" else f"it says {said}"
        except TimeoutError as error:
            raise CallTimeout(f"it has taken no certificate within {PATIENCE_S:g} s") from error
        finally:
            if self._awaited.get(station.id) is outcome:
                del self._awaited[station.id]

    async def watch(self, stations: Callable[[], Iterable[Station]]) -> None:
        """Have stations renew what ends soon, for ever."""
        while True:
            for station in list(stations()):
                await self.renew_what_ends(station)
            await asyncio.sleep(LOOK_EVERY_S)

    async def renew_what_ends(self, station: Station) -> None:
        """Have a station renew the certificate that it showed, if that ends soon."""
        ends = station.certificate_ends
        if ends is None or ends - self._now() > RENEW_BEFORE:
            return
        logger.warning("%s: its certificate is good until %s: it is asked to renew it", station.id, f"{ends:%Y-%m-%d}")
        try:
            said = await self.renew(station)
        except OcppError as error:
            said = str(error)
        if said != "Accepted":
            logger.warning("%s: its certificate is not renewed: %s", station.id, said)

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._handing_over.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Private methods.

    def _signed(self, identity: str, payload: dict[str, Any]) -> str:
        try:
            profile = self._access[identity].profile
        except KeyError:
            raise ValueError("it has no login") from None
        if profile not in (2, 3):
            raise ValueError(f"security profile {profile} does not prove who asks")
        if profile == 2 and identity not in self._awaited:
            raise ValueError("its first certificate was not ordered")
        wanted = payload.get("certificateType", STATION_CERTIFICATE)
        if wanted != STATION_CERTIFICATE:
            raise ValueError(f"there is no authority for a {wanted} here")
        if identity in self._handing_over:
            raise ValueError("the certificate before it is on its way")
        organisation = self._access.organisation
        return self._signer.sign(payload["csr"], identity=identity, organisation=organisation, now=self._now())

    async def _hand_over(self, station: Changeable, told: dict[str, Any]) -> None:
        try:
            answer = await station.call("CertificateSigned", told)
        except OcppError as error:
            self._tell(station.id, f"not taken: {error}")
            return
        if answer["status"] != "Accepted":
            self._tell(station.id, "not taken: the station refused it")
            return
        if self._access[station.id].profile == 2:
            self._access.offer_profile(station.id, 3)  # it may show what it has now
        self._tell(station.id, "Accepted")

    def _handed_over(self, identity: str, task: asyncio.Task[None]) -> None:
        del self._handing_over[identity]
        if not task.cancelled() and task.exception() is not None:
            logger.error("%s: its certificate was not handed over", identity, exc_info=task.exception())

    def _tell(self, identity: str, outcome: str) -> None:
        logger.log(
            logging.INFO if outcome == "Accepted" else logging.WARNING, "%s: new certificate: %s", identity, outcome
        )
        awaited = self._awaited.pop(identity, None)
        if awaited is not None:
            awaited.set_result(outcome)


async def _trigger(station: Changeable) -> str:
    """Ask a station to ask for a certificate; return its status, or the code with which it refused."""
    try:
        if station.version == "1.6":
            payload = {"requestedMessage": "SignChargePointCertificate"}
            answer = await station.call("ExtendedTriggerMessage", payload)
        else:
            answer = await station.call("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"})
    except CallRejected as error:
        return error.code
    return str(answer["status"])
