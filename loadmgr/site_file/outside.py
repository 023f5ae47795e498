"""Limits from outside and the rules of a site: from the site file to values."""

from loadmgr.model.compliance import MINIMUM_14A_W, UK_PEAK_HOURS, Pack, dimmed_power_w
from loadmgr.model.ids import CircuitId
from loadmgr.model.topology import Evse, PhaseLimits, Site
from loadmgr.site_file.circuits import check_unique
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.likeness import suggestion
from loadmgr.site_file.meters import check_topic, http_place, openadr_place
from loadmgr.site_file.outside_schema import (
    CapPart,
    ExternalLimitPart,
    LimitsHttpPart,
    LimitsMqttPart,
    LimitsOpenAdrPart,
    RelayPart,
    SimpleLevelsPart,
)
from loadmgr.site_file.parts import Parts
from loadmgr.site_file.reading import Reading
from loadmgr.site_file.values import Cap, Compliance, HttpLimits, OpenAdrLimits, OutsideSource, RelayInput, TopicLimits

_WAYS = ("file", "relay", "http", "mqtt", "openadr")
_ASKED = ("relay", "http", "openadr")
_EVERY_S = {"http": 10.0, "openadr": 30.0}
"""How often a source is asked unless the file says so [s]; the others every second."""


def build_compliance(parts: Parts, site: Site, reading: Reading) -> Compliance | None:
    """Return the rules of a site, and note a signal that is none and keys of the other pack."""
    part, faults = parts.compliance, reading.faults
    if part is None:
        return None
    pack, path = Pack(part.pack), ("compliance",)
    foreign = {Pack.DE_14A: ("delay", "peak_hours"), Pack.UK: ("signal", "charge_points")}[pack]
    for key in foreign:
        if key in part.model_fields_set:
            faults.add((*path, key), f"key {key} says nothing in pack {part.pack}", "remove it")
    if pack is Pack.UK:
        return Compliance(
            pack=pack, longest_delay_s=int(part.delay), peak_hours=UK_PEAK_HOURS if part.peak_hours else ()
        )
    sources = [placed.part.id for placed in parts.external_limits]
    if part.signal is None:
        faults.add(path, "pack de_14a needs its signal", "add `signal:` with the id of the external limit that dims")
    elif part.signal not in sources:
        advice = suggestion(part.signal, sources, kind="external limits")
        faults.add((*path, "signal"), f"{part.signal} is not an external limit", advice)
    points = part.charge_points or max(1, sum(_is_controllable(e, site) for e in site.evses))
    return Compliance(pack=pack, signal=part.signal, charge_points=points, limit_w=dimmed_power_w(points))


def _is_controllable(evse: Evse, site: Site) -> bool:
    """Return whether an EVSE is a controllable load of section 14a: more than 4.2 kW."""
    most_w = evse.max_a * site.voltage_v * len(evse.phases) if evse.max_w is None else evse.max_w
    return most_w > MINIMUM_14A_W


def build_sources(
    parts: Parts, site: Site, compliance: Compliance | None, reading: Reading
) -> tuple[OutsideSource, ...]:
    """Return the sources of limits from outside, and note what does not make one."""
    check_unique(((p.path, p.part.id) for p in parts.external_limits), reading.faults, kind="external limit")
    out = []
    for placed in parts.external_limits:
        dims = compliance is not None and compliance.pack is Pack.DE_14A and compliance.signal == placed.part.id
        source = _source(placed.part, placed.path, site, dimming=compliance if dims else None, reading=reading)
        if source is not None:
            out.append(source)
    return tuple(out)


def _source(
    part: ExternalLimitPart, path: PathKey, site: Site, *, dimming: Compliance | None, reading: Reading
) -> OutsideSource | None:
    faults, noted = reading.faults, len(reading.faults.faults)
    ways = [way for way in _WAYS if getattr(part, way) is not None]
    if len(ways) != 1:
        what = " and ".join(ways) or "no source"
        advice = "give it one of `file: limits.json`, `relay: {...}`, `http: {...}`, `mqtt: {...}` and `openadr: {...}`"
        faults.add(path, f"external limit {part.id} has {what}", advice)
    circuit = CircuitId(part.circuit) if part.circuit is not None else site.root.id
    if circuit not in site.circuit_by_id:
        advice = suggestion(circuit, list(site.circuit_by_id), kind="circuits")
        faults.add((*path, "circuit"), f"{circuit} is not a circuit", advice)
    silent = _cap(part.when_silent, (*path, "when_silent"), reading)
    if part.when_silent is not None and part.heartbeat is None:
        faults.add(
            (*path, "when_silent"), "holds when the source is silent, but no heartbeat is promised", "add heartbeat"
        )
    limit_w = None if dimming is None else dimming.limit_w
    if silent is None and part.heartbeat is not None and limit_w is not None:
        silent = Cap(power_w=limit_w)
    relay = None if part.relay is None else _relay(part.relay, (*path, "relay"), limit_w, reading)
    file = None if part.file is None else reading.file(part.file, (*path, "file"))
    http = None if part.http is None else _http(part.http, (*path, "http"), reading)
    mqtt = None if part.mqtt is None else _mqtt(part.mqtt, (*path, "mqtt"), reading)
    openadr = None if part.openadr is None else _openadr(part.openadr, (*path, "openadr"), reading)
    every_s = part.every or _EVERY_S.get(ways[0] if ways else "", 1.0)
    if part.heartbeat is not None and ways and ways[0] in _ASKED and part.heartbeat < 2.0 * every_s:
        text = f"a heartbeat of {part.heartbeat:g}s, but the source is asked only every {every_s:g}s"
        faults.add((*path, "heartbeat"), text, f"write {2.0 * every_s:g}s or more, or ask more often (every)")
    if len(faults.faults) > noted:
        return None
    return OutsideSource(
        id=part.id,
        circuit=circuit,
        file=file,
        relay=relay,
        http=http,
        mqtt=mqtt,
        openadr=openadr,
        every_s=every_s,
        heartbeat_s=part.heartbeat,
        silent=silent,
        vehicles_only=part.vehicles_only or dimming is not None,
    )


def _http(part: LimitsHttpPart, path: PathKey, reading: Reading) -> HttpLimits | None:
    place = http_place(part, path, reading)
    return None if place is None else HttpLimits(place=place, at=part.at, number_is=part.number_is)


def _mqtt(part: LimitsMqttPart, path: PathKey, reading: Reading) -> TopicLimits:
    check_topic(part.topic, (*path, "topic"), reading)
    return TopicLimits(topic=part.topic, at=part.at, number_is=part.number_is)


def _openadr(part: LimitsOpenAdrPart, path: PathKey, reading: Reading) -> OpenAdrLimits | None:
    place, levels = openadr_place(part, path, reading), _levels(part.simple, (*path, "simple"), reading)
    return None if place is None or levels is None else OpenAdrLimits(place=place, levels=levels)


def _levels(part: SimpleLevelsPart | None, path: PathKey, reading: Reading) -> tuple[Cap, ...] | None:
    """Return the caps of levels 1, 2 and 3; a level that is not named is as the one below."""
    if part is None:
        return ()
    caps: list[Cap] = []
    for key in ("level_1", "level_2", "level_3"):
        written = getattr(part, key)
        cap = _cap(written, (*path, key), reading)
        if cap is None and not caps:
            if written is None:
                reading.faults.add(path, f"{key} is not named", f"add `{key}: {{power: 20kW}}`: what it means here")
            return None
        caps.append(cap or caps[-1])
    return tuple(caps)


def _relay(part: RelayPart, path: PathKey, dimmed_w: float | None, reading: Reading) -> RelayInput | None:
    faults = reading.faults
    if (part.value_file is None) == (part.command is None):
        faults.add(path, "a relay is read from one place", "give it one of `value_file: PATH` and `command: ...`")
    if part.active == part.idle:
        faults.add(path, f"active and idle are both {part.active!r}", "write what is read in each of the two states")
    if part.command is not None and reading.folder is None:
        faults.add((*path, "command"), "a site that is sent runs no commands", "remove it")
    limit = _cap(part.limit, (*path, "limit"), reading)
    if limit is None and part.limit is None:
        if dimmed_w is None:
            faults.add(
                path, "a relay without a limit", "add `limit: {current: 10A}`, or name it as `compliance.signal`"
            )
            return None
        limit = Cap(power_w=dimmed_w)
    if limit is None:
        return None
    value_file = None if part.value_file is None else reading.file(part.value_file, (*path, "value_file"))
    return RelayInput(value_file=value_file, command=part.command, active=part.active, idle=part.idle, limit=limit)


def _cap(part: CapPart | None, path: PathKey, reading: Reading) -> Cap | None:
    if part is None:
        return None
    if part.current is None and part.power is None:
        reading.faults.add(path, "a limit that limits nothing", "write `{current: 10A}` or `{power: 4.2kW}`")
        return None
    current: PhaseLimits | None = None if part.current is None else part.current.each
    return Cap(current_a=current, power_w=part.power)
