"""The meters of a site that are read from here: from the site file to values."""

from pathlib import Path

from loadmgr.errors import InputError
from loadmgr.model.ids import MeterId
from loadmgr.model.topology import Phase
from loadmgr.site_file.battery_map import read_battery_map
from loadmgr.site_file.document import PathKey
from loadmgr.site_file.meter_schema import JsonPart, MeterPart, ModbusPart, PhasePointers
from loadmgr.site_file.parts import Parts
from loadmgr.site_file.reading import Reading
from loadmgr.site_file.register_map import read_map, shipped_map
from loadmgr.site_file.source_schema import HttpPart, OpenAdrPart, SecretPart
from loadmgr.site_file.sources import (
    BatteryInput,
    HttpPlace,
    JsonPlaces,
    MeterInput,
    ModbusPlace,
    OpenAdrPlace,
    PhasePlaces,
    RegisterMap,
    Secret,
)

_WAYS = ("modbus", "http", "mqtt")
_ONLY_HERE = ("phases", "invert", "frozen_after")


def build_inputs(parts: Parts, reading: Reading) -> tuple[MeterInput, ...]:
    """Return how meters are read that the site file says a way to, and note what does not make one."""
    out = []
    for placed in parts.circuits:
        if placed.part.meter is None:
            continue
        found = _input(placed.part.meter, (*placed.path, "meter"), reading)
        if found is not None:
            out.append(found)
    return tuple(out)


def _input(part: MeterPart, path: PathKey, reading: Reading) -> MeterInput | None:
    faults, noted = reading.faults, len(reading.faults.faults)
    ways = [way for way in _WAYS if getattr(part, way) is not None]
    if not ways:
        for key in _ONLY_HERE:
            if key in part.model_fields_set:
                faults.add((*path, key), f"{key} says nothing of readings that are sent", "add modbus, http or mqtt")
        return None
    if len(ways) > 1:
        faults.add(path, f"meter {part.id} has {' and '.join(ways)}", "keep one of them")
        return None
    if part.stale_after is not None and part.stale_after < part.interval:
        faults.add(
            (*path, "stale_after"),
            f"readings of {part.id} would be stale between two of them",
            f"write at least the interval of {part.interval:g}s",
        )
    modbus = None if part.modbus is None else _modbus(part.modbus, (*path, "modbus"), reading)
    http = None if part.http is None else http_place(part.http, (*path, "http"), reading)
    json_part = part.http or part.mqtt
    places = None if json_part is None else _places(json_part, (*path, ways[0]), reading)
    if part.mqtt is not None:
        check_topic(part.mqtt.topic, (*path, "mqtt", "topic"), reading)
    if len(faults.faults) > noted:
        return None
    return MeterInput(
        meter=MeterId(part.id),
        every_s=part.interval,
        phases=(Phase.L1, Phase.L2, Phase.L3) if part.phases is None else tuple(Phase[name] for name in part.phases),
        invert=part.invert,
        frozen_s=part.frozen_after,
        voltage_v=reading.site.voltage,
        modbus=modbus,
        http=http,
        topic=None if part.mqtt is None else part.mqtt.topic,
        places=places,
    )


def build_battery_inputs(parts: Parts, reading: Reading) -> tuple[BatteryInput, ...]:
    """Return how batteries are told over Modbus, and note what does not say so."""
    out = []
    for placed in parts.batteries:
        command = placed.part.command
        if command is None or command.modbus is None:
            continue
        part, path = command.modbus, (*placed.path, "command", "modbus")
        file = reading.file(part.map, (*path, "map"))
        if file is None:
            continue
        try:
            found = read_battery_map(file)
        except InputError as error:
            text, _, advice = str(error).partition("; ")
            reading.faults.add((*path, "map"), text, advice or "mend the file; the README shows what one looks like")
            continue
        out.append(
            BatteryInput(
                battery=placed.part.id,
                every_s=command.every,
                host=part.host,
                port=part.port,
                unit=part.unit,
                map=found,
            )
        )
    return tuple(out)


def check_topic(topic: str, path: PathKey, reading: Reading) -> None:
    """Note a topic that stands for many."""
    if {"#", "+"} & set(topic):
        reading.faults.add(path, f"{topic} stands for many topics", "name one")


def _modbus(part: ModbusPart, path: PathKey, reading: Reading) -> ModbusPlace | None:
    if reading.folder is None:
        reading.faults.add(path, "a site that is sent reads no meters", "send readings instead")
        return None
    found = _map(part.map, (*path, "map"), reading)
    return None if found is None else ModbusPlace(host=part.host, port=part.port, unit=part.unit, map=found)


def _map(name: str, path: PathKey, reading: Reading) -> RegisterMap | None:
    try:
        if not name.endswith((".yaml", ".yml")):
            return shipped_map(name)
        file = reading.file(name, path)
        return None if file is None else read_map(file)
    except InputError as error:
        text, _, advice = str(error).partition("; ")
        reading.faults.add(path, text, advice or "mend the file; `loadmgr meter maps` shows what one looks like")
        return None


def http_place(part: HttpPart, path: PathKey, reading: Reading) -> HttpPlace | None:
    """Return an address and where its secret is kept; note what is not one."""
    if reading.folder is None:
        reading.faults.add(path, "a site that is sent fetches nothing", "send what it would fetch instead")
        return None
    return HttpPlace(url=part.url, secret=build_secret(part.secret, (*path, "secret"), reading))


def openadr_place(part: OpenAdrPart, path: PathKey, reading: Reading) -> OpenAdrPlace | None:
    """Return an OpenADR program and the login there; note what is not one."""
    faults = reading.faults
    if reading.folder is None:
        faults.add(path, "a site that is sent fetches nothing", "send what it would fetch instead")
        return None
    if (part.client is None) != (part.secret is None):
        faults.add(path, "a login needs both a client and its secret", "add `client: ID` and `secret: {env: NAME}`")
    if part.secret is not None and {"header", "query", "user"} & part.secret.model_fields_set:
        faults.add((*path, "secret"), "a client secret is shown as OpenADR has it", "write only env, or file")
    return OpenAdrPlace(
        url=part.url,
        program=part.program,
        client=part.client,
        secret=build_secret(part.secret, (*path, "secret"), reading),
        token_url=part.token_url,
        targets=tuple(part.targets),
    )


def build_secret(part: SecretPart | None, path: PathKey, reading: Reading) -> Secret | None:
    """Return where a secret is kept and how it is shown; note what leaves that open."""
    if part is None:
        return None
    faults = reading.faults
    if (part.env is None) == (part.file is None):
        faults.add(path, "a secret is kept in one place", "write `secret: {env: NAME}` or `secret: {file: PATH}`")
    shown = [key for key in ("header", "query", "user") if getattr(part, key) is not None]
    if len(shown) > 1:
        faults.add(path, f"a secret is shown in one way, not as {' and '.join(shown)}", "keep one of them")
    file: Path | None = None if part.file is None else reading.file(part.file, (*path, "file"))
    return Secret(env=part.env, file=file, header=part.header, query=part.query, user=part.user)


def _places(part: JsonPart, path: PathKey, reading: Reading) -> JsonPlaces | None:
    if part.current is None and part.power is None:
        advice = "add `current: {L1: /em/a_current, L2: ..., L3: ...}`"
        reading.faults.add(path, "says neither where currents are nor where powers are", advice)
        return None
    return JsonPlaces(current=_each(part.current), power=_each(part.power), voltage=_each(part.voltage))


def _each(part: PhasePointers | None) -> PhasePlaces | None:
    return None if part is None else (part.L1, part.L2, part.L3)
