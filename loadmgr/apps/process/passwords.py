"""New passwords for stations that are connected: ``loadmgr station password``.

Rules
-----
1. The station is told over OCPP (A01); the old password and the new one are good until it has said, or used, which.
2. A password never stands in a log, an answer or a file: nobody but the station knows one that is made here, and the
   access file has a hash.
3. Who changed what is kept beside the access file, one JSON object a line.
"""

from typing import Any

from loadmgr.apps.process.audit import Audit
from loadmgr.apps.process.local_control import connected_station
from loadmgr.apps.process.site import SiteProcess
from loadmgr.errors import InputError
from ocpp_link.access_file import change_password, new_password
from ocpp_link.errors import OcppError
from ocpp_link.security import AccessList


class Passwords:
    """Changes passwords of a site's stations.

    Parameters
    ----------
    process : SiteProcess
    access : AccessList, optional
        Who may connect; without one nobody has a password.
    audit : Audit
    """

    def __init__(self, process: SiteProcess, access: AccessList | None, *, audit: Audit) -> None:
        self._process = process
        self._access = access
        self._audit = audit

    async def change(self, request: dict[str, Any], by: str) -> dict[str, Any]:
        """Do what a request says: ``station``, and ``password`` where it is not to be made here.

        Raises
        ------
        InputError
            If it cannot be done, or the station did not take it.
        """
        password = request.get("password")
        if self._access is None:
            raise InputError("stations log in without passwords here: `loadmgr run --access FILE` names theirs")
        link = connected_station(self._process, request.get("station"))
        station = link.id
        if password is not None and not isinstance(password, str):
            raise InputError("password: must be a text")
        if not self._uses_password(station):
            raise InputError(f"station {station} logs in without a password (its security profile is 0 or 3)")
        try:
            said = await change_password(link, self._access, new_password() if password is None else password)
        except ValueError as error:
            raise InputError(f"password: {error}") from error
        except OcppError as error:
            await self._audit.note("password", station, by=by, outcome="no answer")
            raise InputError(
                f"station {station} did not answer ({error}): its old password and the new one are good until it uses"
                " either; ask again if it keeps the old one"
            ) from error
        await self._audit.note("password", station, by=by, outcome=said)
        if said not in ("Accepted", "RebootRequired"):
            raise InputError(f"station {station} refused a new password ({said}): the old one stays")
        return {"station": station, "status": said, "by": by}

    def _uses_password(self, station: str) -> bool:
        assert self._access is not None
        try:
            return bool(self._access[station].passwords)
        except KeyError:
            return False
