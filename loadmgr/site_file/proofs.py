"""The file of proofs beside a site file: ``garage.proofs.json`` for ``garage.yaml``; what was tried out on stations.

``loadmgr station prove`` writes it and every reading of the site file takes it in.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from loadmgr.errors import InputError
from loadmgr.model.ids import StationId
from loadmgr.model.proof import StationProof
from loadmgr.model.topology import Trust

FORMAT = "loadmgr-proofs/1"

_TRUSTS = ("keeps_profiles", "falls_back", "zero_ok", "keeps_clock", "recurring_ok", "starts_offline")
_WORDS = ("vendor", "model", "firmware", "operator")
_SECONDS = ("settle_s", "clock_offset_s")


def proofs_path(site_path: Path) -> Path:
    """Return where the proofs of a site file are kept."""
    return site_path.with_name(f"{site_path.stem}.proofs.json")


def read_proofs(path: Path) -> dict[StationId, StationProof]:
    """Return the proofs of a file by station; none where there is no such file.

    Raises
    ------
    InputError
        Naming the file, the station and the field that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}:{error.colno}: is no JSON: {error.msg}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path}: field format must be {FORMAT}; is this a file that `loadmgr station prove` wrote?")
    stations = document.get("stations")
    if not isinstance(stations, dict):
        raise InputError(f"{path}: field stations must be an object of proofs by station id")
    return {StationId(name): _proof(path, name, entry) for name, entry in stations.items()}


def write_proof(path: Path, proof: StationProof) -> None:
    """Put a proof into a file, in place of an older one of the same station; the others stay."""
    proofs = {**read_proofs(path), proof.station: proof}
    document = {"format": FORMAT, "stations": {name: proof_json(p) for name, p in sorted(proofs.items())}}
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def proof_json(proof: StationProof) -> dict[str, Any]:
    """Return a proof as JSON values."""
    out: dict[str, Any] = {"at": proof.at.isoformat()}
    out |= {name: getattr(proof, name) for name in _WORDS}
    out |= {name: str(getattr(proof, name)) for name in _TRUSTS}
    return out | {name: getattr(proof, name) for name in _SECONDS}


def _proof(path: Path, name: str, entry: Any) -> StationProof:
    where = f"{path}: station {name}"
    if not isinstance(entry, dict):
        raise InputError(f"{where}: must be an object")
    unknown = set(entry) - {"at", *_TRUSTS, *_WORDS, *_SECONDS}
    if unknown:
        raise InputError(f"{where}: field {min(unknown)} is not known")
    try:
        at = datetime.fromisoformat(entry.get("at", ""))
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: field at must be an instant such as 2026-03-01T10:00:00+00:00") from error
    if at.tzinfo is None:
        raise InputError(f"{where}: field at must name its zone, such as 2026-03-01T10:00:00+00:00")
    values: dict[str, Any] = {}
    for key in _TRUSTS:
        values[key] = _trust(entry, key, where)
    for key in _WORDS:
        values[key] = str(entry.get(key, ""))
    for key in _SECONDS:
        values[key] = _seconds(entry, key, where)
    return StationProof(station=StationId(name), at=at, **values)


def _trust(entry: Mapping[str, Any], key: str, where: str) -> Trust:
    try:
        return Trust(entry.get(key, "unknown"))
    except ValueError as error:
        raise InputError(f"{where}: field {key} must be yes, no or unknown, got {entry[key]!r}") from error


def _seconds(entry: Mapping[str, Any], key: str, where: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where}: field {key} must be a number of seconds, got {value!r}")
    return float(value)
