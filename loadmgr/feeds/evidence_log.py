"""The evidence of limits from outside as lines of JSON, each bound to the one before by its hash.

A line that is changed, left out or put in later breaks the chain from there on; ``verify`` says where. A line that was
cut short, by a power cut or a full disk, is no entry: the chain goes on from the one before it.
"""

import hashlib
import json
import os
from collections.abc import Iterator
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
        If it exists and cannot be read.
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
            if _is_cut_short(self.path):
                out.write("\n")
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
    for number, line in _entries(path):
        digest = line.pop("hash", None)
        if line.get("before") != expected or digest != _digest(line):
            raise InputError(f"{path}: line {number}: the chain is broken: it was changed, or lines are missing before")
        expected, count = digest, count + 1
    return count


def _last_hash(path: Path) -> str:
    last = {"hash": FIRST}
    if path.exists():
        for _, line in _entries(path):
            last = line
    return str(last.get("hash", ""))


def _entries(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as fault:
        raise InputError(f"{path}: cannot be read: {fault}") from fault
    for number, each in enumerate(text.split("\n"), start=1):
        try:
            line = json.loads(each)
        except ValueError:
            continue  # cut short; what was put in its place later does not fit the chain
        if not isinstance(line, dict):
            raise InputError(f"{path}: line {number}: is no entry")
        yield number, line


def _is_cut_short(path: Path) -> bool:
    """Return whether the last line of a file was not written to its end."""
    with path.open("rb") as held:
        if held.seek(0, os.SEEK_END) == 0:
            return False
        held.seek(-1, os.SEEK_END)
        return held.read(1) != b"\n"


def _digest(line: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value
