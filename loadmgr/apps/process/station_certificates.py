"""New client certificates for stations that are connected: ``loadmgr station renew-certificate``."""

from typing import Any

from loadmgr.apps.process.audit import Audit
from loadmgr.apps.process.local_control import connected_station
from loadmgr.apps.process.site import SiteProcess
from loadmgr.errors import InputError
from ocpp_link.errors import OcppError
from ocpp_link.renewal import Renewals


class StationCertificates:
    """Has stations of a site renew their certificates.

    Parameters
    ----------
    process : SiteProcess
    renewals : Renewals, optional
        Signs what they ask for; without one nothing is signed here.
    audit : Audit
    """

    def __init__(self, process: SiteProcess, renewals: Renewals | None, *, audit: Audit) -> None:
        self._process = process
        self._renewals = renewals
        self._audit = audit

    async def renew(self, request: dict[str, Any], by: str) -> dict[str, Any]:
        """Do what a request says: ``station``.

        Raises
        ------
        InputError
            If it cannot be done, or the station did not take a certificate; its old one is good until it ends.
        """
        if self._renewals is None:
            raise InputError(
                "nothing is signed here: `loadmgr run --tls-sign-ca FILE --tls-sign-key FILE` names who signs"
            )
        link = connected_station(self._process, request.get("station"))
        try:
            outcome = await self._renewals.renew(link)
        except OcppError as error:
            outcome = str(error)
        await self._audit.note("certificate", link.id, by=by, outcome=outcome)
        if outcome != "Accepted":
            raise InputError(f"station {link.id} has no new certificate: {outcome}; what it had stays")
        return {"station": link.id, "status": outcome, "by": by}
