"""The state of a running site as plain JSON values: what the local socket, the page and programs are told."""

import dataclasses
import enum
from datetime import datetime
from typing import Any

from loadmgr import __version__
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.upstream.csms_watch import csms_alarms
from loadmgr.control.decision import SiteView
from ocpp_link.profile_book import ProfileBook


def plain(value: Any) -> Any:
    """Return a frozen value as what JSON has: every field under its own name, instants in ISO 8601, UTC.

    Examples
    --------
    >>> from loadmgr.control.decision import WritesView
    >>> plain(WritesView(evse=None, written=3, budget=10))
    {'evse': None, 'written': 3, 'budget': 10}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.IntEnum):
        return value.name.lower()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (tuple, list, set, frozenset)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return value


def site_status(process: SiteProcess) -> dict[str, Any]:
    """Return everything that a person or a page asks of a running site.

    Returns
    -------
    dict
        ``site`` (name, zone, currency), ``controller``, ``messages``, ``csms`` (stations as in
        `loadmgr.apps.upstream.csms_watch.CsmsView`; ``None`` where there is none above), and once the first decision
        was made ``at``, ``evses``, ``circuits``, ``stations``, ``limits`` and ``alarms`` as in
        `loadmgr.control.decision.SiteView`; each station has its ``quirks`` besides, and each circuit its ``name``.
    """
    site = process.site
    status: dict[str, Any] = {
        "site": {"name": site.name, "time_zone": site.time_zone, "currency": site.currency},
        "controller": {"version": __version__, "connected": len(process.connected), **process.condition()},
        "messages": {"in": process.messages["in"], "out": process.messages["out"]},
        "csms": None if process.csms is None else plain(process.csms.views()),
    }
    if process.decided:
        status |= view_status(process.controller.view(), process.models)
        status["alarms"] += own_alarms(process)
    return status


def own_alarms(process: SiteProcess) -> list[dict[str, Any]]:
    """Return what is wrong with the process itself, in the shape of `loadmgr.control.alarm.Alarm`."""
    journal = process.condition()["journal"]
    lost = [] if process.csms is None else csms_alarms(process.csms)
    if journal is None or journal["trouble"] is None:
        return lost
    return [
        *lost,
        {
            "kind": "journal",
            "subject": "journal",
            "severity": "warning",
            "cause": f"the journal cannot be written: {journal['trouble']}; control goes on without it",
            "advice": "make room on the disk, or bring the database back: it is written again by itself",
        },
    ]


def view_status(view: SiteView, models: ProfileBook) -> dict[str, Any]:
    """Return a view as JSON values, stations with what is known of their models."""
    status: dict[str, Any] = plain(view)
    for station in status["stations"]:
        station["quirks"] = quirks_of(models, station["station"])
    return status


def quirks_of(models: ProfileBook, station: str) -> dict[str, Any]:
    """Return what is known of a station beside the standard, each with who says so."""
    return {name: {"value": plain(value), "by": by} for name, (value, by) in models.report(station).items()}
