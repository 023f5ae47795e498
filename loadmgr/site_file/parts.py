"""From plain values to typed parts, member by member, so that one bad circuit does not hide the next fault."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from loadmgr.model.ids import StationId
from loadmgr.model.proof import StationProof
from loadmgr.site_file import schema
from loadmgr.site_file.document import Document, PathKey
from loadmgr.site_file.drivers_schema import DriversPart
from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.likeness import listed, nearest
from loadmgr.site_file.outside_schema import CompliancePart, ExternalLimitPart
from loadmgr.site_file.tariff_schema import TariffPart

Part = TypeVar("Part", bound=BaseModel)

# Words of other tools, or of earlier drafts, that are too far from ours for a likeness of letters.
_SYNONYMS = {
    "phase_rotation": "phases",
    "rotation": "phases",
    "connector": "number",
    "children": "evses",
    "evse": "evses",
    "limit": "fuse",
    "rated": "fuse",
    "breaker": "fuse",
    "max_current": "max",
    "min_current": "min",
    "power": "max_power",
    "building": "side_loads",
    "time_zone": "timezone",
    "tz": "timezone",
    "bind": "listen",
    "ocpp": "listen",
}


@dataclass(frozen=True, slots=True)
class Placed(Generic[Part]):
    """A part and where it is written; ``whole`` unless keys with a fault were left out."""

    path: PathKey
    part: Part
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The sections of a site file; what has a fault is left out, and its fault is noted."""

    site: schema.SitePart | None
    circuits: tuple[Placed[schema.CircuitPart], ...]
    evse_defaults: schema.EvseDefaultsPart
    evses: tuple[Placed[schema.EvsePart], ...]
    station_defaults: schema.StationDefaultsPart
    stations: tuple[Placed[schema.StationPart], ...]
    failsafe: schema.FailSafePart | None
    timing: schema.TimingPart | None
    session_defaults: schema.SessionDefaultsPart
    listen: schema.ListenPart
    tariff: TariffPart | None
    pv: tuple[Placed[schema.PvPart], ...]
    batteries: tuple[Placed[schema.BatteryPart], ...]
    cabinets: tuple[Placed[schema.CabinetPart], ...]
    external_limits: tuple[Placed[ExternalLimitPart], ...]
    compliance: CompliancePart | None
    drivers: DriversPart
    demo: schema.DemoPart | None
    proofs: Mapping[StationId, StationProof] = field(default_factory=dict)


def read_parts(document: Document, faults: FaultList) -> Parts:
    """Return the typed parts of a document and note every fault of key, type and unit."""
    _check_top(document, faults)
    return Parts(
        site=_section(document, faults, "site", schema.SitePart),
        circuits=_members(document, faults, "circuits", schema.CircuitPart),
        evse_defaults=_optional(document, faults, "evse_defaults", schema.EvseDefaultsPart),
        evses=_members(document, faults, "evses", schema.EvsePart),
        station_defaults=_optional(document, faults, "station_defaults", schema.StationDefaultsPart),
        stations=_members(document, faults, "stations", schema.StationPart),
        failsafe=_section(document, faults, "failsafe", schema.FailSafePart, default={}),
        timing=_section(document, faults, "timing", schema.TimingPart, default={}),
        session_defaults=_optional(document, faults, "session_defaults", schema.SessionDefaultsPart),
        listen=_optional(document, faults, "listen", schema.ListenPart),
        tariff=read_tariff(document, faults),
        pv=_members(document, faults, "pv", schema.PvPart),
        batteries=_members(document, faults, "batteries", schema.BatteryPart),
        cabinets=_members(document, faults, "cabinets", schema.CabinetPart),
        external_limits=_members(document, faults, "external_limits", ExternalLimitPart),
        compliance=_wanted(document, faults, "compliance", CompliancePart),
        drivers=_optional(document, faults, "drivers", DriversPart),
        demo=_wanted(document, faults, "demo", schema.DemoPart),
    )


def read_tariff(document: Document, faults: FaultList) -> TariffPart | None:
    """Return the typed tariff of a document and note its faults."""
    return _section(document, faults, "tariff", TariffPart)


def is_whole(placed: Sequence[Placed[Any]], section: str, document: Document) -> bool:
    """Return whether every member of a section was read without a fault."""
    written = document.get(section)
    if section in document.value and not isinstance(written, list):
        return False
    return len(placed) == len(written or ()) and all(member.whole for member in placed)


def _check_top(document: Document, faults: FaultList) -> None:
    fields = schema.SiteDocument.model_fields
    keys = [field.alias or name for name, field in fields.items()]
    for key in document.value:
        if key not in keys:
            _note_unknown(faults, (key,), keys)
    for name, info in fields.items():
        key = info.alias or name
        if info.is_required() and key not in document.value and (key,) not in document.empties:
            faults.add((), f"key {key} is missing", _example(key))
    found = document.get("schema")
    if found is not None and found != schema.SCHEMA_NAME:
        faults.add(("schema",), f"schema {found!r} is not known", f"write schema: {schema.SCHEMA_NAME}")
    for key in ("circuits", "evses", "stations", "pv", "batteries", "cabinets", "external_limits"):
        held = document.get(key)
        if key in document.value and not isinstance(held, list):
            faults.add(
                (key,), f"{key} is {_kind(held)}, not a list", f"begin each member of {key} with a dash: `- id: ...`"
            )
        elif held == [] and key in ("circuits", "evses"):
            faults.add((key,), f"{key} is an empty list", _example(key))


def _example(key: str) -> str:
    examples = {
        "schema": f"begin the file with `schema: {schema.SCHEMA_NAME}`",
        "site": "add `site: {name: ..., timezone: Europe/Berlin}`",
        "circuits": "add the grid connection: `circuits:` with `- {id: main, fuse: 63A}` below it",
        "evses": "add the places to charge: `evses:` with `- {id: A1}` below it",
        "tariff": "add `tariff: {energy: {price: 0.30/kWh}}`",
    }
    return examples.get(key, f"add {key}")


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


def _section(
    document: Document, faults: FaultList, name: str, model: type[Part], *, default: Any = None
) -> Part | None:
    value = document.get(name)
    if value is None:
        value = default
    return None if value is None else _validated(model, value, (name,), faults)


def _optional(document: Document, faults: FaultList, name: str, model: type[Part]) -> Part:
    return _section(document, faults, name, model, default={}) or model()


def _wanted(document: Document, faults: FaultList, name: str, model: type[Part]) -> Part | None:
    """Return a section that need not be there."""
    return None if document.get(name) is None else _section(document, faults, name, model)


def _members(document: Document, faults: FaultList, name: str, model: type[Part]) -> tuple[Placed[Part], ...]:
    """Return the members of a list; one with a fault stays as far as it can be read, and is not whole."""
    out = []
    for path, value in document.items(name):
        noted = len(faults.faults)
        part = _validated(model, value, path, faults)
        if part is None and isinstance(value, dict):
            part = _salvaged(model, value)
        if part is not None:
            out.append(Placed(path, part, whole=len(faults.faults) == noted))
    return tuple(out)


def _validated(model: type[Part], value: Any, path: PathKey, faults: FaultList) -> Part | None:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _note(faults, path, detail, model)
        return None


def _salvaged(model: type[Part], value: dict[str, Any]) -> Part | None:
    """Return a part without its faulty keys, so that what it says besides can be checked too."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faulty = {detail["loc"][0] for detail in error.errors(include_url=False) if detail["loc"]}
    rest = {key: held for key, held in value.items() if key not in faulty}
    return None if len(rest) == len(value) else _salvaged(model, rest)


def _note(faults: FaultList, path: PathKey, detail: ErrorDetails, model: type[BaseModel]) -> None:
    """Say a pydantic error in the words of the file."""
    where = (*path, *detail["loc"])
    if detail["type"] not in ("missing", "extra_forbidden"):
        where = faults.document.written(where)
    key = str(where[-1])
    context = detail.get("ctx", {})
    match detail["type"]:
        case "site_file":
            faults.add(where, f"{_label(where)}: {context['text']}", str(context["advice"]))
        case "text_meant":
            raw = faults.document.raw(where) or context["value"]
            faults.add(
                where,
                f"{_label(where)}: {raw} is read as {_tag(detail['input'])}, not as text",
                f'write "{raw}" in quotes',
            )
        case "extra_forbidden":
            _note_unknown(faults, where, _keys_at(model, detail["loc"][:-1]))
        case "missing" if where in faults.document.empties:
            pass  # the empty value was noted where it is written
        case "missing":
            faults.add(where[:-1], f"key {key} is missing", f"add {key} to {_label(where[:-1])}")
        case _:
            text, advice = _misfit(detail, _label(where))
            faults.add(where, text, advice)


def _misfit(detail: ErrorDetails, label: str) -> tuple[str, str]:
    """Return what is wrong with a value of the wrong kind, and what would be right."""
    value = detail["input"]
    match detail["type"]:
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{label} is {_kind(value)}, not a mapping", "write `key: value` pairs"
        case "list_type":
            return f"{label} is {_kind(value)}, not a list", f"write [{value}]"
        case "literal_error" | "enum":
            expected = str(detail.get("ctx", {})["expected"])
            close = nearest(str(value), expected.replace("'", "").replace(" or ", ", ").split(", "))
            advice = f"did you mean {close}? One of {expected}" if close else f"write one of {expected}"
            return f"{label}: {value!r} is not known", advice
        case "int_type" | "int_parsing":
            return f"{label}: {value!r} is not a whole number", "write digits, unquoted"
        case "too_short":
            return f"{label} is an empty list", "write at least one member, or remove the key"
        case _:
            return f"{label}: {value!r} does not fit", detail["msg"].lower()


def _tag(value: Any) -> str:
    return "a truth value" if isinstance(value, bool) else f"the number {value}"


def _label(path: PathKey) -> str:
    """Return how a path is called in a message: its last key, with the list it is a member of."""
    words = [str(step) for step in path if isinstance(step, str)]
    if path and isinstance(path[-1], int):
        return f"member {path[-1] + 1} of {words[-1]}"
    return words[-1] if words else "the file"


def _note_unknown(faults: FaultList, where: PathKey, known: list[str]) -> None:
    key = str(where[-1])
    meant = _SYNONYMS.get(key)
    close = meant if meant in known else nearest(key, known)
    advice = f"did you mean {close}?" if close else f"known here: {listed(known, most=20)}"
    faults.add(where, f"unknown key {key}", advice, at_key=True)


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are known at a place below a model."""
    at: Any = model
    for step in loc:
        if isinstance(step, int) or not (isinstance(at, type) and issubclass(at, BaseModel)):
            continue
        at = _model_within(at.model_fields[step].annotation) or at
    return [field.alias or name for name, field in at.model_fields.items()]


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_within(argument)
        if found is not None:
            return found
    return None
