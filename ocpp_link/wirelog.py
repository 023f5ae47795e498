"""The wire log: every frame with station, direction, time and outcome, secrets masked.

Rule 1: the link only hands over texts (`Tap`); nothing is parsed a second time unless somebody listens.
Rule 2: what is written down holds no password and no key, whatever the frame's shape.
"""

import itertools
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from ocpp_link import frames
from ocpp_link.clock import Clock

logger = logging.getLogger(__name__)

Direction = Literal["in", "out"]
Peer = Literal["station", "csms"]
Tap = Callable[[str, Direction, bytes], None]
"""Called with station id, direction as seen from here, and the text."""

_REMEMBERED_CALLS = 20_000
"""Of all stations: one each way for ten thousand of them. What nobody ever answers is pushed out."""
_SECRET_KEYS = frozenset({"authorizationkey", "basicauthpassword", "password", "apn password", "securityprofilekey"})
_SECRET_FIELDS = frozenset({"apnPassword", "basicAuthPassword", "password", "key", "privateKey"})
MASK = "***"
_SECRET_WORD = re.compile(r"authorizationkey|password", re.IGNORECASE)


class WireRecord(NamedTuple):
    """One frame, told."""

    at: datetime
    station: str
    direction: Direction
    kind: str
    """``CALL``, ``CALLRESULT``, ``CALLERROR``, ``CALLRESULTERROR``, ``SEND`` or ``GARBAGE``."""
    action: str
    """Of the call, also for its answer; empty where unknown."""
    message_id: str
    outcome: str
    """The status of an answer, the code of an error; empty for calls."""
    took_s: float | None
    """From call to answer [s]."""
    text: str
    """The frame, secrets masked."""
    peer: Peer = "station"
    """Who is at the other end: ``csms`` above a Local Controller, who is told and asked in the station's name."""


@dataclass(slots=True)
class WireLog:
    """Turns texts into records and hands them to sinks; use the instance itself as `Tap`.

    Parameters
    ----------
    clock
        Where time comes from.
    sinks
        Who gets each record.
    peer
        Who is at the other end.
    """

    clock: Clock
    sinks: Iterable[Callable[[WireRecord], None]]
    peer: Peer = "station"
    _calls: OrderedDict[tuple[str, Direction, str], tuple[str, float]] = field(default_factory=OrderedDict)

    def __call__(self, station: str, direction: Direction, text: bytes) -> None:
        """Take one text."""
        record = self._read(station, direction, text)
        for sink in self.sinks:
            sink(record)

    def of_csms(self) -> "WireLog":
        """Return a log with the same sinks for what a Local Controller and its CSMS say to each other."""
        return WireLog(self.clock, self.sinks, "csms")

    def _read(self, station: str, direction: Direction, text: bytes) -> WireRecord:
        frame = frames.parse(text)
        took_s: float | None = None
        action, outcome, message_id = "", "", getattr(frame, "message_id", None) or ""
        if isinstance(frame, frames.Call | frames.Send):
            action = frame.action
            self._remember(station, direction, frame)
        elif not isinstance(frame, frames.BadFrame):
            action, took_s = self._recall(station, direction, message_id)
            outcome = _outcome(frame)
        return WireRecord(
            at=self.clock.now(),
            station=station,
            direction=direction,
            kind=_KINDS[type(frame)],
            action=action,
            message_id=message_id,
            outcome=outcome,
            took_s=took_s,
            text=masked(frame, text),
            peer=self.peer,
        )

    def _remember(self, station: str, direction: Direction, frame: frames.Call | frames.Send) -> None:
        if isinstance(frame, frames.Send):
            return
        self._calls[station, direction, frame.message_id] = (frame.action, self.clock.now_s())
        if len(self._calls) > _REMEMBERED_CALLS:
            self._calls.popitem(last=False)

    def _recall(self, station: str, direction: Direction, message_id: str) -> tuple[str, float | None]:
        asked: Direction = "out" if direction == "in" else "in"
        known = self._calls.pop((station, asked, message_id), None)
        return ("", None) if known is None else (known[0], self.clock.now_s() - known[1])


_KINDS: dict[type[Any], str] = {
    frames.Call: "CALL",
    frames.CallResult: "CALLRESULT",
    frames.CallError: "CALLERROR",
    frames.CallResultError: "CALLRESULTERROR",
    frames.Send: "SEND",
    frames.BadFrame: "GARBAGE",
}


def _outcome(frame: Any) -> str:
    if isinstance(frame, frames.CallResult):
        payload = frame.payload if isinstance(frame.payload, dict) else {}
        for key in ("status", "idTagInfo", "idTokenInfo"):
            found = payload.get(key)
            found = found.get("status") if isinstance(found, dict) else found
            if isinstance(found, str):
                return found
        return "ok"
    return str(frame.code)


def shown(text: bytes) -> str:
    """Return a text for a log, without passwords and keys."""
    return masked(frames.parse(text), text)


def masked(frame: Any, text: bytes) -> str:
    """Return a frame's text without passwords and keys.

    Examples
    --------
    >>> text = b'[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"0123456789abcdef"}]'
    >>> masked(frames.parse(text), text)
    '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"***"}]'
    """
    if isinstance(frame, frames.BadFrame):
        # What has no shape is cut off where a secret may begin.
        shown = text.decode("utf-8", "replace")
        found = _SECRET_WORD.search(shown)
        return shown if found is None else shown[: found.end()] + MASK
    if not any(word in text.lower() for word in (b"password", b"key")):
        return text.decode("utf-8", "replace")
    items = [_mask(each) for each in frame]
    return frames.serialise(type(frame)(*items)).decode()


def _mask(value: Any) -> Any:
    if isinstance(value, list):
        return [_mask(each) for each in value]
    if not isinstance(value, dict):
        return value
    named = str(value.get("key") or (value.get("variable") or {}).get("name") or "").casefold()
    changed = {}
    for name, each in value.items():
        secret = name in ("value", "attributeValue") and named in _SECRET_KEYS
        secret |= name in _SECRET_FIELDS and name != "key"
        changed[name] = MASK if secret and isinstance(each, str) else _mask(each)
    return changed


class JsonLines:
    """A sink that appends each record to a file, one JSON object a line; a file that is full is put aside.

    The full file becomes ``NAME.1``, the one before it ``NAME.2`` and so on; the oldest is deleted. What cannot be
    written (a full disk) is lost and said so once: the connection goes on.

    Parameters
    ----------
    path
        Where to append; made if it does not exist.
    max_bytes
        When a file is full; ``None``: never.
    keep
        How many full files are kept.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """

    def __init__(self, path: Path, *, max_bytes: int | None = None, keep: int = 4) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._written_bytes = path.stat().st_size
        self._failing = False

    def __call__(self, record: WireRecord) -> None:
        """Append one record."""
        line = record._asdict() | {"at": record.at.isoformat()}
        text = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        try:
            if self._max_bytes is not None and 0 < self._written_bytes > self._max_bytes - len(text):
                self._put_aside()
            self._file.write(text)
        except OSError as error:
            if not self._failing:
                logger.warning("%s: messages are not logged any more: %s", self._path, error)
            self._failing = True
        else:
            self._written_bytes += len(text)
            self._failing = False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _put_aside(self) -> None:
        names = [self._path, *(aside(self._path, number) for number in range(1, self._keep + 1))]
        for older, newer in reversed(list(pairwise(names))):
            if older.exists():
                older.replace(newer)
        if self._keep == 0:
            self._path.unlink()
        self._file.close()
        self._file = self._path.open("ab", buffering=0)
        self._written_bytes = 0


def aside(path: Path, number: int) -> Path:
    """Return where the full file before the last ``number`` - 1 ones is kept.

    Examples
    --------
    >>> aside(Path("messages.jsonl"), 1).name
    'messages.jsonl.1'
    """
    return path.with_name(f"{path.name}.{number}")


def files_of(path: Path) -> list[Path]:
    """Return the files that a log consists of, the oldest first."""
    numbers = itertools.takewhile(lambda number: aside(path, number).exists(), itertools.count(1))
    return [*reversed([aside(path, number) for number in numbers]), path]


def read_line(line: str) -> WireRecord:
    """Read one line that `JsonLines` wrote.

    Raises
    ------
    ValueError
        If it is no such line.
    """
    try:
        found = json.loads(line)
        return WireRecord(**(found | {"at": datetime.fromisoformat(found["at"])}))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no line of a wire log: {line[:80]!r}") from error
