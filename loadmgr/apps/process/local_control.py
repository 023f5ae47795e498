"""The socket by which the people of a machine speak to the process that runs a site: a request a line, JSON both ways.

Rules
-----
1. The socket is its owner's alone (mode 0600, in a folder of mode 0700); who asks is what the kernel says, not he.
2. A request names what to ``do``; the answer is ``{"ok": true, "result": ...}`` or ``{"ok": false, "error": "..."}``.
3. Nothing that is asked here can make the process fail, or let a circuit carry more than its limit.
"""

import asyncio
import json
import logging
import math
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.process.station_link import StationLink
from loadmgr.apps.process.status import site_status
from loadmgr.control.observation import OverrideSet
from loadmgr.control.outside.override import said
from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId, StationId

log = logging.getLogger(__name__)

LONGEST_LINE = 65_536
PATIENCE_S = 10.0
LONGEST_ORDER_S = 366 * 86_400.0

Reload = Callable[[], list[str]]
"""Reads the site file again, and returns what changed."""

Later = Callable[[dict[str, Any], str], Awaitable[Any]]
"""Does what a request says and who asked for it, and takes its time."""


async def serve_local(
    path: Path,
    process: SiteProcess,
    *,
    now: Callable[[], datetime],
    reload: Reload,
    later: Mapping[str, Later],
) -> asyncio.Server:
    """Listen on a Unix socket.

    Parameters
    ----------
    path : Path
        What a process that is gone left there is replaced; one that answers is not.
    now : callable
        The time, of the process's own clock.
    reload : callable
        Does what SIGHUP does.
    later : mapping
        What else can be asked for, by the word for it: things that take their time.

    Raises
    ------
    InputError
        If a process answers on it already.
    OSError
        If it cannot be made.
    """
    if await asyncio.to_thread(_taken_over, path):
        raise InputError(f"{path}: another process runs this site already; stop it first, or name another --socket")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                line = await reader.readline()
            if line:
                writer.write(await _answered(line, process, by=_peer(writer), now=now, reload=reload, later=later))
                async with asyncio.timeout(PATIENCE_S):
                    await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            return  # nobody who waits for the answer, or a line without end
        finally:
            writer.close()

    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(talk, path, limit=LONGEST_LINE)
    finally:
        os.umask(before)


def _taken_over(path: Path) -> bool:
    """Return whether a process answers on a socket; remove what a process that is gone left there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
        try:
            talk.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return False
    return True


def _peer(writer: asyncio.StreamWriter) -> str:
    """Return the name of the user at the other end, as the kernel knows it."""
    raw: socket.socket = writer.get_extra_info("socket")
    try:
        data = raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return pwd.getpwuid(struct.unpack("3i", data)[1]).pw_name
    except (AttributeError, KeyError, OSError):
        return "local"


async def _answered(
    line: bytes,
    process: SiteProcess,
    *,
    by: str,
    now: Callable[[], datetime],
    reload: Reload,
    later: Mapping[str, Later],
) -> bytes:
    try:
        request = json.loads(line)
        takes_time = later.get(str(request.get("do"))) if isinstance(request, dict) else None
        if takes_time is not None:
            result = await takes_time(request, by)
        else:
            result = _done(request, process, by=by, now=now, reload=reload)
    except (InputError, ValueError) as error:
        return json.dumps({"ok": False, "error": str(error)}).encode() + b"\n"
    except Exception as error:
        log.exception("a local request could not be answered")
        return json.dumps({"ok": False, "error": f"the process could not answer: {error!r}"}).encode() + b"\n"
    return json.dumps({"ok": True, "result": result}).encode() + b"\n"


def _done(request: Any, process: SiteProcess, *, by: str, now: Callable[[], datetime], reload: Reload) -> Any:
    if not isinstance(request, dict):
        raise InputError(f'a request is an object such as {{"do": "status"}}, got {request!r}')
    match request.get("do"):
        case "status":
            return site_status(process)
        case "explain":
            return explained(process, request.get("evse"))
        case "override":
            order = order_from(process, request, by=by, now=now())
            process.observe(order, source=f"order of {by}")
            log.info("%s: %s", order.evse, said(order, process.site))
            zone = ZoneInfo(process.site.time_zone)
            until = None if order.until is None else order.until.astimezone(zone).isoformat()
            return {"evse": order.evse, "until": until, "by": by}
        case "reload":
            return reload()
        case other:
            raise InputError(f"do: {other!r} is not known: status, explain, override, reload, password or certificate")


def known_evse(process: SiteProcess, name: object) -> EvseId:
    """Return the EVSE of a name.

    Raises
    ------
    InputError
        If the site has none of it.
    """
    if not isinstance(name, str) or EvseId(name) not in process.site.evse_by_id:
        known = ", ".join(process.site.evse_by_id)
        raise InputError(f"there is no EVSE {name} at {process.site.name}; there are: {known}")
    return EvseId(name)


def connected_station(process: SiteProcess, name: object) -> StationLink:
    """Return the way to a station of a name.

    Raises
    ------
    InputError
        If the site has none of it, or it is not connected.
    """
    if not isinstance(name, str) or StationId(name) not in process.site.station_by_id:
        known = ", ".join(process.site.station_by_id)
        raise InputError(f"there is no station {name} at {process.site.name}; there are: {known}")
    link = process.link_of(name)
    if link is None:
        raise InputError(f"station {name} is not connected: it can be told something new only while it is")
    return link


def explained(process: SiteProcess, name: object) -> dict[str, Any]:
    """Return all that is known of one EVSE: itself, its station, the circuits that feed it, and their alarms.

    Raises
    ------
    InputError
        If there is no such EVSE, or nothing was decided yet.
    """
    evse = process.site.evse_by_id[known_evse(process, name)]
    status = site_status(process)
    if "evses" not in status:
        raise InputError("nothing was decided yet: ask again in a moment")
    path = [str(c.id) for c in process.site.path(evse.circuit)]
    about = {evse.id, evse.station, *path}
    return {
        "site": status["site"],
        "at": status["at"],
        "plan_times": status["plan_times"],
        "evse": next(e for e in status["evses"] if e["evse"] == evse.id),
        "station": next(s for s in status["stations"] if s["station"] == evse.station),
        "circuits": [c for each in path for c in status["circuits"] if c["circuit"] == each],
        "limits": [limit for limit in status["limits"] if limit["circuit"] in path],
        "alarms": [a for a in status["alarms"] if a["subject"] in about or a["subject"].partition(" ")[0] in path],
    }


def order_from(process: SiteProcess, request: dict[str, Any], *, by: str, now: datetime) -> OverrideSet:
    """Return the order that a request is: ``evse``, one of ``limit_a``, ``pause``, ``boost``, ``clear``, and ``for_s``.

    Raises
    ------
    InputError
        With the field and what would be right.
    """
    evse = process.site.evse_by_id[known_evse(process, request.get("evse"))]
    asked = [name for name in ("limit_a", "pause", "boost", "clear") if request.get(name) not in (None, False)]
    if len(asked) != 1:
        raise InputError(
            f"an order is one of limit_a, pause, boost and clear, got {', '.join(asked) or 'none of them'}"
        )
    limit_a = 0.0 if asked == ["pause"] else _number(request, "limit_a") if asked == ["limit_a"] else None
    if limit_a is not None and 0.0 < limit_a < evse.min_a:
        raise InputError(
            f"limit_a: {limit_a:g} A is below the {evse.min_a:g} A with which {evse.id} charges: use pause"
        )
    until = None
    if request.get("for_s") is not None:
        if asked == ["clear"]:
            raise InputError("for_s: an order that is taken back has no end: leave it out")
        for_s = _number(request, "for_s")
        if not 0.0 < for_s <= LONGEST_ORDER_S:
            raise InputError(f"for_s: must be above 0 and at most a year, got {for_s:g}")
        until = now + timedelta(seconds=for_s)
    return OverrideSet(at=now, evse=evse.id, limit_a=limit_a, boost=asked == ["boost"], until=until, by=by)


def _number(request: dict[str, Any], name: str) -> float:
    value = request[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0.0:
        raise InputError(f"{name}: must be a number of 0 or above, got {value!r}")
    return float(value)


def ask_local(path: Path, request: dict[str, Any], *, patience_s: float = PATIENCE_S) -> Any:
    """Return what the process behind a socket answers.

    Parameters
    ----------
    patience_s : float
        How long the answer is waited for [s].

    Raises
    ------
    InputError
        If nobody listens there, or the answer is a refusal.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
        talk.settimeout(patience_s)
        try:
            talk.connect(str(path))
            talk.sendall(json.dumps(request).encode() + b"\n")
            with talk.makefile("rb") as file:
                line = file.readline()
        except OSError as error:
            why = "nobody listens there: is loadmgr run up?" if not isinstance(error, TimeoutError) else "no answer"
            raise InputError(f"{path}: {why} ({error.strerror or error})") from error
    if not line:
        raise InputError(f"{path}: the process ended before it answered")
    answer = json.loads(line)
    if not answer["ok"]:
        raise InputError(answer["error"])
    return answer["result"]
