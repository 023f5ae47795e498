"""A CSMS that is built on the `ocpp` package: its own ChargePoint objects, with load management beside its handlers.

In the CSMS, where a station connects::

    async with attached(charge_point, site):
        await charge_point.start()

Rules
-----
1. The CSMS goes on answering every call; what a station says is heard on its way, and nothing of it is changed.
2. Commands go out through the ChargePoint's own ``call``, one at a time with those of the CSMS.
3. Whatever the package raises ends as an error of the link, never in the CSMS.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Unpack

from loadmgr.csms.site_door import Manner, SiteDoor
from ocpp_link.errors import CallRejected, CallTimeout, ConnectionLost

log = logging.getLogger(__name__)

_MODULES = {"1.6": "ocpp.v16.call", "2.0.1": "ocpp.v201.call", "2.1": "ocpp.v21.call"}
_CALL, _RESULT = 2, 3


class ChargePointLink:
    """A way to a station through a ChargePoint of the `ocpp` package.

    Parameters
    ----------
    charge_point : object
        A ``ocpp.v16.ChargePoint``, ``ocpp.v201.ChargePoint`` or ``ocpp.v21.ChargePoint``.

    Raises
    ------
    ValueError
        If it speaks another version.
    """

    def __init__(self, charge_point: Any) -> None:
        self.id = str(charge_point.id)
        self.version = str(charge_point._ocpp_version)
        if self.version not in _MODULES:
            raise ValueError(f"charge_point must speak one of {', '.join(_MODULES)}, got {self.version!r}")
        self._charge_point = charge_point
        self._calls = import_module(_MODULES[self.version])

    async def call(self, action: str, payload: dict[str, Any], **manner: Unpack[Manner]) -> dict[str, Any]:
        """Ask the station by its charge point, which sends in the order of its callers."""
        from ocpp.charge_point import camel_to_snake_case, remove_nones, serialize_as_dict, snake_to_camel_case
        from ocpp.exceptions import OCPPError

        try:
            message = getattr(self._calls, action)(**camel_to_snake_case(payload))
            async with asyncio.timeout(manner.get("timeout_s")):
                answer = await self._charge_point.call(message, suppress=False)
        except TimeoutError as error:
            raise CallTimeout(f"{action}: {error or 'no answer in time'}") from error
        except OCPPError as error:
            raise CallRejected(error.code, error.description or str(error)) from error
        except Exception as error:
            # Whatever kind of connection the CSMS has: its errors mean that the station cannot be reached.
            raise ConnectionLost(f"{action}: {type(error).__name__}: {error}") from error
        found: dict[str, Any] = remove_nones(snake_to_camel_case(serialize_as_dict(answer)))
        return found

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        """Nothing: the station stays connected to its CSMS."""
        del code, reason


class _Listening:
    """A connection as the ChargePoint uses it, with an ear on what passes."""

    def __init__(self, connection: Any, link: ChargePointLink, site: SiteDoor) -> None:
        self._connection = connection
        self._link = link
        self._site = site
        self._starts: dict[str, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def recv(self) -> Any:
        """Receive a frame."""
        raw = await self._connection.recv()
        self._note(raw, self._called)
        return raw

    async def send(self, raw: Any) -> None:
        """Send a frame."""
        await self._connection.send(raw)
        self._note(raw, self._answered)

    def _note(self, raw: Any, take: Any) -> None:
        try:
            frame = json.loads(raw)
            take(frame)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            log.debug("%s: a frame that is none was passed on: %s", self._link.id, error)

    def _called(self, frame: list[Any]) -> None:
        if frame[0] != _CALL or not isinstance(frame[3], dict):
            return
        if frame[2] == "StartTransaction":
            self._starts[frame[1]] = frame[3]  # its number is in the answer of the CSMS
        else:
            self._site.hear(self._link, str(frame[2]), frame[3])

    def _answered(self, frame: list[Any]) -> None:
        payload = self._starts.pop(frame[1], None)
        if payload is not None and frame[0] == _RESULT:
            self._site.hear(self._link, "StartTransaction", payload, transaction=str(frame[2]["transactionId"]))


@asynccontextmanager
async def attached(charge_point: Any, site: SiteDoor) -> AsyncIterator[ChargePointLink]:
    """Have a station controlled as long as the context lasts.

    Parameters
    ----------
    charge_point : object
        Of the `ocpp` package, not started yet.
    site : SiteDoor
        Such as `loadmgr.apps.process.site.SiteProcess`; a station that its site file does not name is left alone.
    """
    link = ChargePointLink(charge_point)
    connection = charge_point._connection
    charge_point._connection = _Listening(connection, link, site)
    site.attach(link)
    try:
        yield link
    finally:
        charge_point._connection = connection
        site.detach(link, "its connection to the CSMS ended")
