"""Who changed what of how stations log in: one JSON object a line, beside the access file."""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

log = logging.getLogger(__name__)


class Audit:
    """Keeps and logs what was ordered and what came of it.

    Parameters
    ----------
    access_file : Path, optional
        ``FILE.audit.jsonl`` lies beside it; without one it is only logged.
    now : callable
        The time of day.
    """

    def __init__(self, access_file: Path | None, *, now: Callable[[], datetime]) -> None:
        self._path = None if access_file is None else access_file.with_name(f"{access_file.name}.audit.jsonl")
        self._now = now

    async def note(self, do: str, station: str, *, by: str, outcome: str) -> None:
        """Keep one order; a disk that takes no more is only logged."""
        log.info("%s: new %s by order of %s: %s", station, do, by, outcome)
        if self._path is None:
            return
        entry = {"at": self._now().isoformat(), "by": by, "do": do, "station": station, "outcome": outcome}
        try:
            await asyncio.to_thread(_append, self._path, json.dumps(entry))
        except OSError as error:
            log.warning("%s: the audit cannot be written: %s", self._path, error)


def _append(path: Path, line: str) -> None:
    path.touch(mode=0o600)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
