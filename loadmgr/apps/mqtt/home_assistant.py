"""What Home Assistant is told of a site so that its entities appear by themselves, and the state that they show.

Sources: Home Assistant's MQTT discovery (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery).
"""

import math
import re
from collections.abc import Iterator
from typing import Any

from loadmgr import __version__
from loadmgr.control.alarm import Severity
from loadmgr.control.battery_facts import BatteryView
from loadmgr.control.decision import EvseView, SiteView
from loadmgr.model.equipment import Battery
from loadmgr.model.topology import Evse, Site

SITE_LIMIT, SITE_PAUSE = "MQTT limit of the site", "MQTT pause of the site"
"""The sources of limits by which a site as a whole is limited and paused."""

UNLIMITED_A = 10_000.0

Message = tuple[str, dict[str, Any]]
"""A topic and its payload."""


def slug(name: str) -> str:
    """Return a name as topics and ids take it.

    Examples
    --------
    >>> slug("Elm Street garage")
    'elm_street_garage'
    """
    return re.sub(r"[^a-z0-9_]+", "_", name.casefold()).strip("_") or "site"


def discoveries(site: Site, *, base: str, prefix: str) -> Iterator[Message]:
    """Yield the entities of a site and its EVSEs.

    Parameters
    ----------
    base : str
        Where the site's own topics are.
    prefix : str
        Where Home Assistant looks for entities.
    """
    name = slug(site.name)
    device = {
        "identifiers": [f"loadmgr_{name}"],
        "name": site.name,
        "manufacturer": "loadmgr",
        "sw_version": __version__,
    }
    about = {"availability_topic": f"{base}/status", "device": device}
    whole = about | {"state_topic": f"{base}/site"}
    yield _entity(f"{prefix}/sensor", name, "power", whole | _measured("Power", "power", "W", "power_w"))
    yield _entity(f"{prefix}/sensor", name, "charging", whole | _plain("Vehicles charging", "charging"))
    yield _entity(f"{prefix}/sensor", name, "state", whole | _plain("State", "text"))
    problem = _plain("Problem", "problem") | {"device_class": "problem", "payload_on": "ON", "payload_off": "OFF"}
    yield _entity(f"{prefix}/binary_sensor", name, "problem", whole | problem)
    limit = _plain("Limit", "ordered_limit_a") | _amps_to_set(
        f"{base}/site/limit/set", most_a=rated_a(site), step_a=1.0
    )
    yield _entity(f"{prefix}/number", name, "limit", whole | limit)
    pause = _plain("Pause charging", "pause") | {"command_topic": f"{base}/site/pause/set"}
    yield _entity(f"{prefix}/switch", name, "pause", whole | pause)
    for battery in site.batteries:
        if battery.link is not None:
            yield from _of_battery(battery, name=name, base=base, prefix=prefix, about=about)
    for evse in site.evses:
        yield from _of_evse(evse, name=name, base=base, prefix=prefix, about=about)


def _of_evse(evse: Evse, *, name: str, base: str, prefix: str, about: dict[str, Any]) -> Iterator[Message]:
    own, topic = f"{name}_{slug(evse.id)}", f"{base}/evse/{evse.id}"
    state = about | {"state_topic": topic}

    def named(what: str) -> str:
        return f"{evse.id} {what}"

    yield _entity(f"{prefix}/sensor", own, "power", state | _measured(named("power"), "power", "W", "power_w"))
    yield _entity(f"{prefix}/sensor", own, "current", state | _measured(named("current"), "current", "A", "current_a"))
    yield _entity(
        f"{prefix}/sensor", own, "limit_now", state | _measured(named("limit now"), "current", "A", "limit_a")
    )
    energy = _plain(named("energy of the session"), "energy_wh") | {
        "device_class": "energy",
        "unit_of_measurement": "Wh",
        "state_class": "total_increasing",
    }
    yield _entity(f"{prefix}/sensor", own, "energy", state | energy)
    yield _entity(f"{prefix}/sensor", own, "reason", state | _plain(named("why"), "reason"))
    amps = _amps_to_set(f"{topic}/limit/set", most_a=evse.max_a, step_a=evse.step_a)
    limit = _plain(named("limit"), "ordered_limit_a") | amps
    yield _entity(f"{prefix}/number", own, "limit", state | limit)
    for order in ("pause", "boost"):
        switch = _plain(named(order), order) | {"command_topic": f"{topic}/{order}/set"}
        yield _entity(f"{prefix}/switch", own, order, state | switch)


def _of_battery(battery: Battery, *, name: str, base: str, prefix: str, about: dict[str, Any]) -> Iterator[Message]:
    own, state = f"{name}_{slug(battery.id)}", about | {"state_topic": f"{base}/battery/{battery.id}"}
    power = _measured(f"{battery.id} power", "power", "W", "power_w")
    yield _entity(f"{prefix}/sensor", own, "power", state | power)
    full = _measured(f"{battery.id} state of charge", "battery", "%", "state_of_charge_percent")
    yield _entity(f"{prefix}/sensor", own, "state_of_charge", state | full)
    yield _entity(f"{prefix}/sensor", own, "reason", state | _plain(f"{battery.id} why", "reason"))


def _amps_to_set(topic: str, *, most_a: float, step_a: float) -> dict[str, Any]:
    return {
        "command_topic": topic,
        "min": 0,
        "max": most_a,
        "step": step_a,
        "unit_of_measurement": "A",
        "device_class": "current",
        "mode": "box",
    }


def rated_a(site: Site) -> float:
    """Return the lowest limit of the grid connection's phases [A]; what is beyond any fuse where it has none."""
    return min((a for a in site.root.limit_a if a is not None), default=UNLIMITED_A)


def _entity(place: str, owner: str, what: str, about: dict[str, Any]) -> Message:
    unique = f"loadmgr_{owner}_{what}"
    return f"{place}/{unique}/config", about | {"unique_id": unique, "object_id": unique}


def _plain(name: str, key: str) -> dict[str, Any]:
    return {"name": name, "value_template": f"{{{{ value_json.{key} }}}}"}


def _measured(name: str, kind: str, unit: str, key: str) -> dict[str, Any]:
    return _plain(name, key) | {"device_class": kind, "unit_of_measurement": unit, "state_class": "measurement"}


def site_state(site: Site, view: SiteView) -> dict[str, Any]:
    """Return the state of the whole site."""
    root = next(c for c in view.circuits if site.circuit_by_id[c.circuit].parent is None)
    limits_a = [limit.limit_a for limit in view.limits if limit.source == SITE_LIMIT and limit.limit_a is not None]
    standing = [a for a in view.alarms if a.cleared is None and a.severity >= Severity.WARNING]
    return {
        "power_w": round(sum(root.measured_a or (0.0, 0.0, 0.0)) * site.voltage_v),
        "charging": sum((e.net_a or 0.0) > 0.5 for e in view.evses),
        "text": (standing[0].cause if standing else "every limit is kept")[:255],
        "problem": "ON" if standing else "OFF",
        "ordered_limit_a": next((each[0] for each in limits_a), rated_a(site)),
        "pause": "ON" if any(limit.source == SITE_PAUSE for limit in view.limits) else "OFF",
    }


def evse_state(evse: EvseView, *, max_a: float, voltage_v: float) -> dict[str, Any]:
    """Return the state of one EVSE; current and power are below 0 where its vehicle feeds back."""
    order = evse.override
    ordered_a = None if order is None else order.limit_a
    return {
        "power_w": round((evse.power_w or 0.0) - voltage_v * math.fsum(evse.export_a)),
        "current_a": round(evse.net_a or 0.0, 1),
        "limit_a": round(evse.held_a, 1),
        "energy_wh": 0 if evse.session is None else round(evse.session.delivered_wh),
        "reason": evse.reason[:255],
        "ordered_limit_a": max_a if ordered_a is None else ordered_a,
        "pause": "ON" if ordered_a == 0.0 else "OFF",
        "boost": "ON" if order is not None and order.boost else "OFF",
    }


def battery_state(battery: BatteryView) -> dict[str, Any]:
    """Return the state of one battery that is commanded."""
    ratio = battery.state_of_charge_ratio
    return {
        "power_w": None if battery.power_w is None else round(battery.power_w),
        "state_of_charge": None if ratio is None else round(ratio, 3),
        "state_of_charge_percent": None if ratio is None else round(100.0 * ratio, 1),
        "told_w": battery.setpoint_w,
        "reason": battery.reason,
    }
