"""The evidence of limits from outside as lines of JSON, each bound to the one before by its hash.

A line that is changed, left out or put in later breaks the chain from there on; ``verify`` says where.
"""

import hashlib
import json
import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from loadmgr.control.outside.told import Evidence
from loadmgr.errors import InputError

FIRST = "0" * 64


class EvidenceLog:
    """An evidence file that is appended to.

    Raises
    ------
    InputError
        If it exists and its last line cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last = _last_hash(path)

    def write(self, entry: Evidence) -> None:
        """Append an entry and have it on disk before returning.

        Raises
        ------
        OSError
            If the disk does not take it.
        """
        body = {k: _plain(v) for k, v in asdict(entry).items() if v is not None}
        line = {"before": self._last, **body}
        digest = _digest(line)
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps({**line, "hash": digest}, sort_keys=True) + "\n")
            out.flush()
            os.fsync(out.fileno())
        self._last = digest


def verify(path: Path) -> int:
    """Return how many entries a file holds, all of them in an unbroken chain.

    Raises
    ------
    InputError
        With the line from which on it is broken.
    """
    expected, count = FIRST, 0
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = _parsed(path, number, text)
        digest = line.pop("hash", None)
        if line.get("before") != expected or digest != _digest(line):
            raise InputError(f"{path}: line {number}: the chain is broken: it was changed, or lines are missing before")
        expected, count = digest, number
    return count


def _last_hash(path: Path) -> str:
    if not path.exists():
        return FIRST
    lines = path.read_text(encoding="utf-8").splitlines()
    return str(_parsed(path, len(lines), lines[-1]).get("hash", "")) if lines else FIRST


def _parsed(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError as fault:
        raise InputError(f"{path}: line {number}: is not JSON: {fault}") from fault
    if not isinstance(line, dict):
        raise InputError(f"{path}: line {number}: is no entry")
    return line


def _digest(line: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value
