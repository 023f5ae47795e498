"""A site on an MQTT broker: its state and Home Assistant's discovery out; orders, meters and limits in.

Topics below ``loadmgr/<site>``
-------------------------------
``status`` (online, offline), ``site``, ``evse/<id>``: what is, kept by the broker.
``site/limit/set`` (A, empty takes it back) and ``site/pause/set`` (ON, OFF): orders for the whole site.
``evse/<id>/limit/set`` (A, empty takes it back), ``evse/<id>/pause/set`` and ``evse/<id>/boost/set`` (ON, OFF): orders.
``battery/<id>/set_power``: what a battery is told [W], a whole number, above 0 to charge; told again and again.
``battery/<id>/set``: ``{"power_w": 1500, "state_of_charge": 0.62}``: what it does and how full it is.
``meter/<meter>/set``: ``{"currents_a": [L1, L2, L3]}``, import positive.
``limit/<circuit>/<source>/set``: a limit from outside as in a limit file, with ``heartbeat_s``, ``silent_limit_a`` and
``silent_limit_w`` besides; an empty message takes it away.

Meters and limits that the site file gives a topic of their own (``mqtt:``) are listened to there.

Rules
-----
1. What the broker kept may be old: of kept messages only limits count, and only those of sources that nothing is known
   of. They are no word of life: where a source has a limit for its silence, the lower of both holds.
2. A message that cannot be used changes nothing; the log says topic, field and what would be right.
3. A broker that is away costs nothing but its own messages.
"""

import asyncio
import json
import logging
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomqtt

from loadmgr.apps.mqtt.home_assistant import (
    SITE_LIMIT,
    SITE_PAUSE,
    battery_state,
    discoveries,
    evse_state,
    site_state,
    slug,
)
from loadmgr.apps.process.battery_orders import BatteryOrders
from loadmgr.apps.process.local_control import order_from
from loadmgr.apps.process.outside import BROKER_FORM
from loadmgr.apps.process.site import SiteProcess
from loadmgr.control.observation import BatteryReading, LimitChanged, Observation, SiteMeterReading
from loadmgr.control.outside.limits import fault_of
from loadmgr.errors import InputError
from loadmgr.feeds.dead_man import lower, lower_phases
from loadmgr.feeds.limit_file import limit_of
from loadmgr.feeds.topic import Listener
from loadmgr.model.ids import MeterId

log = logging.getLogger(__name__)

TELL_S = 1.0
LONGEST_PAUSE_S = 60.0
LARGEST_PAYLOAD = 10_000
TAKEN = ("site/+/set", "evse/+/+/set", "meter/+/set", "battery/+/set", "limit/+/+/set")
EXTRA_KEYS = ("heartbeat_s", "silent_limit_a", "silent_limit_w")


class MqttBridge:
    """A site's end of a broker.

    Parameters
    ----------
    process : SiteProcess
    url : str
        ``mqtt://user:password@host:1883`` or ``mqtts://...``.
    now : callable
        The time, of the process's own clock.
    discovery : str
        Where Home Assistant looks for entities.
    listeners : callable
        Returns those who listen to topics that the site file names, as it is now.
    may_tell : callable
        Whether this process holds the site now, so that batteries may be told.

    Raises
    ------
    InputError
        If the URL is none of a broker.
    """

    def __init__(
        self,
        process: SiteProcess,
        url: str,
        *,
        now: Callable[[], datetime],
        discovery: str = "homeassistant",
        listeners: Callable[[], Sequence[Listener]] = tuple,
        may_tell: Callable[[], bool] = lambda: True,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise InputError(BROKER_FORM)
        self._process = process
        self._parts = parts
        self._now = now
        self._discovery = discovery
        self._listeners = listeners
        self._subscribed: set[str] = set()
        self._orders = BatteryOrders(process, may_tell=may_tell)
        self.base = f"loadmgr/{slug(process.site.name)}"
        self._told: dict[str, str] = {}
        self._heard: set[tuple[str, str]] = set(process.controller.outside)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        pause_s = 1.0
        while True:
            try:
                async with self._client() as client:
                    pause_s = 1.0
                    await self._serve(client)
            except aiomqtt.MqttError as error:
                log.warning("MQTT broker %s: %s; tried again in %.0f s", self._parts.hostname, error, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, LONGEST_PAUSE_S)

    def _client(self) -> aiomqtt.Client:
        secure = self._parts.scheme == "mqtts"
        user, password = self._parts.username, self._parts.password
        return aiomqtt.Client(
            self._parts.hostname or "",
            self._parts.port or (8883 if secure else 1883),
            username=None if user is None else unquote(user),
            password=None if password is None else unquote(password),
            tls_params=aiomqtt.TLSParameters() if secure else None,
            will=aiomqtt.Will(f"{self.base}/status", b"offline", qos=1, retain=True),
            identifier=f"{self.base.replace('/', '-')}",
        )

    async def _serve(self, client: aiomqtt.Client) -> None:
        self._told.clear()
        self._subscribed.clear()
        for topic, entity in discoveries(self._process.site, base=self.base, prefix=self._discovery):
            await client.publish(topic, json.dumps(entity), qos=1, retain=True)
        await client.publish(f"{self.base}/status", b"online", qos=1, retain=True)
        await client.subscribe([(f"{self.base}/{below}", 1) for below in TAKEN])
        actuator = _Batteries(client, self._process, base=self.base)
        tasks = [asyncio.create_task(each) for each in (self._tell_on(client), self._orders.carry(actuator))]
        try:
            async for message in client.messages:
                self._take(message)
                for done in (task for task in tasks if task.done()):
                    done.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._say_offline(client)

    async def _say_offline(self, client: aiomqtt.Client) -> None:
        try:
            await client.publish(f"{self.base}/status", b"offline", qos=1, retain=True, timeout=2.0)
        except aiomqtt.MqttError:
            log.debug("the broker is gone: it tells the will by itself")

    async def _tell_on(self, client: aiomqtt.Client) -> None:
        while True:
            await self._follow_listeners(client)
            if self._process.decided:
                view, site = self._process.controller.view(), self._process.site
                await self._tell(client, "site", site_state(site, view))
                for battery in view.batteries:
                    await self._tell(client, f"battery/{battery.battery}", battery_state(battery))
                for evse in view.evses:
                    state = evse_state(evse, max_a=site.evse_by_id[evse.evse].max_a, voltage_v=site.voltage_v)
                    await self._tell(client, f"evse/{evse.evse}", state)
            await asyncio.sleep(TELL_S)

    async def _follow_listeners(self, client: aiomqtt.Client) -> None:
        wanted = {listener.topic for listener in self._listeners()}
        for topic in sorted(wanted - self._subscribed):
            await client.subscribe(topic, 1)
        for topic in sorted(self._subscribed - wanted):
            await client.unsubscribe(topic)
        self._subscribed = wanted

    async def _tell(self, client: aiomqtt.Client, below: str, state: dict[str, Any]) -> None:
        text = json.dumps(state)
        if self._told.get(below) != text:
            await client.publish(f"{self.base}/{below}", text, retain=True)
            self._told[below] = text

    def _take(self, message: aiomqtt.Message) -> None:
        topic = str(message.topic)
        payload = message.payload
        text = payload.decode("utf-8", "replace") if isinstance(payload, bytes | bytearray) else str(payload or "")
        heard = [listener for listener in self._listeners() if listener.topic == topic]
        for listener in heard:
            listener.hear(text, self._now(), kept=message.retain)
        if not topic.startswith(f"{self.base}/"):
            return
        kind, *names = topic.removeprefix(f"{self.base}/").removesuffix("/set").split("/")
        try:
            fact = self._fact(kind, names, text.strip(), kept=message.retain)
        except (InputError, ValueError, RecursionError) as error:
            log.warning("MQTT %s: %s", topic, error)
            return
        self._process.observe(fact, source=f"mqtt {kind}")

    def _fact(self, kind: str, names: list[str], text: str, *, kept: bool) -> Observation:
        if len(text) > LARGEST_PAYLOAD:
            raise InputError(f"is {len(text)} characters long: at most {LARGEST_PAYLOAD} are read")
        if kept and kind != "limit":
            raise InputError("was kept by the broker and may be old: publish it without retain")
        if kind == "site":
            return self._site_order(names[0], text)
        if kind == "evse":
            return self._order(names[0], names[1], text)
        if kind == "meter":
            return self._reading(names[0], text)
        if kind == "battery":
            return self._battery(names[0], text)
        return self._limit(names[0], names[1], text, kept=kept)

    def _site_order(self, order: str, text: str) -> Observation:
        """Return a person's order for the whole site: a limit of the grid connection, below those of its fuses."""
        said: dict[str, Any] = {"source": SITE_PAUSE if order == "pause" else SITE_LIMIT}
        if order == "limit":
            amps = _number("limit", text) if text else None
            if amps is not None and amps < 0.0:
                raise InputError(f"limit: must be 0 or above, got {amps:g}")
            said["limit_a"] = None if amps is None else (amps, amps, amps)
        elif order == "pause":
            said |= {"limit_w": 0.0, "vehicles_only": True} if _is_on("pause", text) else {}
        else:
            raise InputError(f"{order[:40]!r} is no order of a site: limit or pause")
        return LimitChanged(at=self._now(), circuit=self._process.site.root.id, **said)

    def _order(self, evse: str, order: str, text: str) -> Observation:
        if order == "limit":
            said: dict[str, Any] = {"limit_a": _number("limit", text)} if text else {"clear": True}
        elif order in ("pause", "boost"):
            said = {order: True} if _is_on(order, text) else {"clear": True}
        else:
            raise InputError(f"{order[:40]!r} is no order: limit, pause or boost")
        return order_from(self._process, {"evse": evse, **said}, by="MQTT", now=self._now())

    def _reading(self, meter: str, text: str) -> Observation:
        if meter not in {m.id for m in self._process.site.meters}:
            known = ", ".join(m.id for m in self._process.site.meters) or "none"
            raise InputError(f"there is no meter {meter[:40]!r} in the site file; there are: {known}")
        said = _document(text)
        currents = said.get("currents_a")
        if not isinstance(currents, list) or len(currents) != 3:
            raise InputError('currents_a: must be three numbers, such as {"currents_a": [12.1, 8.0, 9.5]}')
        first, second, third = (_number("currents_a", each) for each in currents)
        return SiteMeterReading(at=self._now(), meter=MeterId(meter), currents_a=(first, second, third))

    def _battery(self, battery: str, text: str) -> Observation:
        known = [b.id for b in self._process.site.batteries if b.link is not None]
        if battery not in known:
            there = f"there is no battery {battery[:40]!r} with `command` in the site file; there are: "
            raise InputError(there + (", ".join(known) or "none"))
        said = _document(text)
        if "power_w" not in said:
            raise InputError('power_w is missing: write {"power_w": 1500, "state_of_charge": 0.62}')
        ratio = said.get("state_of_charge")
        full = None if ratio is None else _number("state_of_charge", ratio)
        if full is not None and not 0.0 <= full <= 1.0:
            raise InputError(f"state_of_charge: must lie between 0 and 1, such as 0.62, got {full:g}")
        power_w = _number("power_w", said["power_w"])
        return BatteryReading(at=self._now(), battery=battery, power_w=power_w, state_of_charge_ratio=full)

    def _limit(self, circuit: str, source: str, text: str, *, kept: bool) -> Observation:
        found = self._process.site.circuit_by_id
        if circuit not in found:
            raise InputError(f"there is no circuit {circuit[:40]!r} in the site file; there are: {', '.join(found)}")
        said = _document(text) if text else {}
        extra = {key: _number(key, said.pop(key)) for key in EXTRA_KEYS if said.get(key) is not None}
        told = limit_of("the message", said | {"circuit": circuit}, next(iter(found)))
        name, silent_a = f"MQTT {source[:80]}", extra.get("silent_limit_a")
        if kept and (told.circuit, name) in self._heard:
            raise InputError("was kept by the broker and may be old: its source has been heard since")
        limit_a, limit_w = told.limit_a, told.limit_w
        if kept:
            silent_each = None if silent_a is None else (silent_a, silent_a, silent_a)
            limit_a, limit_w = lower_phases(limit_a, silent_each), lower(limit_w, extra.get("silent_limit_w"))
        changed = LimitChanged(
            at=self._now(),
            circuit=told.circuit,
            source=name,
            limit_a=limit_a,
            limit_w=limit_w,
            until=told.until,
            heartbeat_s=extra.get("heartbeat_s"),
            silent_limit_a=None if silent_a is None else (silent_a, silent_a, silent_a),
            silent_limit_w=extra.get("silent_limit_w"),
            vehicles_only=told.vehicles_only,
        )
        wrong = fault_of(changed)
        if wrong is not None:
            raise InputError(wrong)
        self._heard.add((told.circuit, name))
        return changed


class _Batteries:
    """Tells batteries over a broker, but for those that the site file has told over Modbus."""

    def __init__(self, client: aiomqtt.Client, process: SiteProcess, *, base: str) -> None:
        self._client, self._process, self._base = client, process, base

    async def set_power_w(self, battery: str, power_w: int) -> None:
        """Tell a battery what to do; at most once, for it is told again anyway."""
        if any(battery == how.battery for how in self._process.site_file.battery_inputs):
            return
        try:
            await self._client.publish(f"{self._base}/battery/{battery}/set_power", str(power_w), qos=0)
        except aiomqtt.MqttError as error:
            raise OSError(str(error)) from error


def _document(text: str) -> dict[str, Any]:
    said = json.loads(text) if text else None
    if not isinstance(said, dict):
        raise InputError(f"must be a JSON object, got {text[:40]!r}")
    return said


def _is_on(name: str, text: str) -> bool:
    if text.upper() not in ("ON", "OFF"):
        raise InputError(f"{name}: must be ON or OFF, got {text[:40]!r}")
    return text.upper() == "ON"


def _number(name: str, value: object) -> float:
    try:
        found = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise InputError(f"{name}: must be a number, got {str(value)[:40]!r}")
    return found
