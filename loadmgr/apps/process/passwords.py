"""New passwords for stations that are connected: ``loadmgr station password``.

Rules
-----
1. The station is told over OCPP (A01); the old password and the new one are good until it has said, or used, which.
2. A password never stands in a log, an answer or a file: nobody but the station knows one that is made here, and the
   access file has a hash.
3. Who changed what is kept beside the access file, one JSON object a line.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from loadmgr.apps.process.site import SiteProcess
from loadmgr.errors import InputError
from loadmgr.model.ids import StationId
from ocpp_link.access_file import change_password, new_password
from ocpp_link.errors import OcppError
from ocpp_link.security import AccessList

log = logging.getLogger(__name__)


class Passwords:
    """Changes passwords of a site's stations.

    Parameters
    ----------
    process : SiteProcess
    access : AccessList, optional
        Who may connect; without one nobody has a password.
    file : Path, optional
        Where that is kept; the audit lies beside it.
    now : callable
        The time of day.
    """

    def __init__(
        self, process: SiteProcess, access: AccessList | None, *, file: Path | None, now: Callable[[], datetime]
    ) -> None:
        self._process = process
        self._access = access
        self._audit = None if file is None else file.with_name(f"{file.name}.audit.jsonl")
        self._now = now

    async def change(self, request: dict[str, Any], by: str) -> dict[str, Any]:
        """Do what a request says: ``station``, and ``password`` where it is not to be made here.

        Raises
        ------
        InputError
            If it cannot be done, or the station did not take it.
        """
        station, password = request.get("station"), request.get("password")
        if self._access is None:
            raise InputError("stations log in without passwords here: `loadmgr run --access FILE` names theirs")
        if not isinstance(station, str) or StationId(station) not in self._process.site.station_by_id:
            known = ", ".join(self._process.site.station_by_id)
            raise InputError(f"there is no station {station} at {self._process.site.name}; there are: {known}")
        if password is not None and not isinstance(password, str):
            raise InputError("password: must be a text")
        link = self._process.link_of(station)
        if link is None:
            raise InputError(f"station {station} is not connected: it can be told a new password only while it is")
        if not self._uses_password(station):
            raise InputError(f"station {station} logs in without a password (its security profile is 0 or 3)")
        try:
            said = await change_password(link, self._access, new_password() if password is None else password)
        except ValueError as error:
            raise InputError(f"password: {error}") from error
        except OcppError as error:
            await self._note(station, by, "no answer")
            raise InputError(
                f"station {station} did not answer ({error}): its old password and the new one are good until it uses"
                " either; ask again if it keeps the old one"
            ) from error
        await self._note(station, by, said)
        if said not in ("Accepted", "RebootRequired"):
            raise InputError(f"station {station} refused a new password ({said}): the old one stays")
        return {"station": station, "status": said, "by": by}

    def _uses_password(self, station: str) -> bool:
        assert self._access is not None
        try:
            return bool(self._access[station].passwords)
        except KeyError:
            return False

    async def _note(self, station: str, by: str, outcome: str) -> None:
        log.info("%s: new password by order of %s: %s", station, by, outcome)
        entry = {"at": self._now().isoformat(), "by": by, "do": "password", "station": station, "outcome": outcome}
        if self._audit is not None:
            try:
                await asyncio.to_thread(_append, self._audit, json.dumps(entry))
            except OSError as error:
                log.warning("%s: the audit cannot be written: %s", self._audit, error)


def _append(path: Path, line: str) -> None:
    path.touch(mode=0o600)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
