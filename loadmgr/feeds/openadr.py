"""Events of an OpenADR 3 program, as intervals with values (OpenADR 3.0.1 and 3.1, definition and user guide).

Rules
-----
1. The interval of an event is dated by its own period, or follows the one before it, from the event's period on. A
   start in the year 1 is "now": it holds as long as the event is there; a duration of 9999 years is for ever.
2. A value has the unit that the event's descriptor names, else the program's; a value without a unit is refused.
3. ``randomizeStart`` is passed over: a limit begins when it is told, never later.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from openadr3 import OpenADRClient, parse_datetime, parse_duration

from loadmgr.errors import InputError
from loadmgr.feeds.http_get import place_name, secret_text
from loadmgr.site_file.sources import OpenAdrPlace

# httpx tells every request at the level that decisions are told at.
logging.getLogger("httpx").setLevel(logging.WARNING)

PAGE = 50
MOST_EVENTS = 1000
LAST = datetime(9999, 1, 1, tzinfo=UTC)
FIRST = datetime(1, 1, 2, tzinfo=UTC)
FOR_EVER_YEARS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value of an event.

    Parameters
    ----------
    start, end : datetime
        When it holds.
    kind : str
        The payload's type, such as ``PRICE``.
    value : float
    unit, currency : str
        As the descriptor has it, empty where it says nothing.
    priority : int
        Of the event; the lower number goes first.
    """

    start: datetime
    end: datetime
    kind: str
    value: float
    unit: str
    currency: str
    priority: int


class Vtn:
    """A program on a server; logs in when it is asked to."""

    def __init__(self, place: OpenAdrPlace) -> None:
        self._place = place
        self._client: OpenADRClient | None = None

    def values(self, kinds: Sequence[str]) -> list[Value]:
        """Return the values of some kinds that the program's events tell.

        Raises
        ------
        InputError
            If the server cannot be used, or an event cannot be read.
        """
        where = place_name(self._place.url)
        try:
            events = self._events()
            program = self._program() if events else {}
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            self._client = None
            raise InputError(f"{where}: {_plain(error)}") from None
        try:
            return [value for event in events for value in event_values(event, program, kinds)]
        except InputError as error:
            raise InputError(f"{where}: {error}") from error

    def _events(self) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        while len(out) < MOST_EVENTS:
            page = self._get("events", programID=self._place.program, skip=len(out), limit=PAGE)
            if not isinstance(page, list):
                raise TypeError("events are not a list")
            out += [event for event in page if isinstance(event, dict)]
            if len(page) < PAGE:
                break
        return [event for event in out if self._is_ours(event)]

    def _program(self) -> dict[str, Any]:
        found = self._get("program")
        return found if isinstance(found, dict) else {}

    def _get(self, what: str, **params: Any) -> Any:
        for _ in range(2):
            client = self._logged_in()
            answer = client.get_events(**params) if what == "events" else client.get_program_by_id(self._place.program)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                break
            self._client = None  # a token that has run out: log in once more
        answer.raise_for_status()
        return answer.json()

    def _logged_in(self) -> OpenADRClient:
        if self._client is None:
            client = OpenADRClient(self._place.url, user_agent="loadmgr")
            if self._place.client is not None and self._place.secret is not None:
                client.fetch_token(self._place.client, secret_text(self._place.secret), self._place.token_url)
            self._client = client
        return self._client

    def _is_ours(self, event: dict[str, Any]) -> bool:
        if event.get("programID", self._place.program) != self._place.program:
            return False
        named = _targets(event.get("targets"))
        return not self._place.targets or not named or bool(set(self._place.targets) & named)


def _targets(said: Any) -> set[str]:
    """Return targets: strings in 3.1, pairs of a type and values in 3.0."""
    out: set[str] = set()
    for each in said if isinstance(said, list) else ():
        if isinstance(each, dict):
            out |= {str(value) for value in each.get("values") or ()}
        else:
            out.add(str(each))
    return out


def event_values(event: dict[str, Any], program: dict[str, Any], kinds: Sequence[str]) -> Iterator[Value]:
    """Yield the values of an event.

    Raises
    ------
    InputError
        With the event's name, if it cannot be read.
    """
    name = event.get("eventName") or event.get("id") or "an event"
    try:
        yield from _values(event, program, kinds)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"event {name!s:.40}: {_plain(error)}") from error


def _values(event: dict[str, Any], program: dict[str, Any], kinds: Sequence[str]) -> Iterator[Value]:
    units = _descriptors(program) | _descriptors(event)
    whole = event.get("intervalPeriod") or {}
    priority = event.get("priority")
    at: datetime | None = None
    for interval in event.get("intervals") or ():
        own = interval.get("intervalPeriod") or {}
        start = _start(own.get("start")) or at or _start(whole.get("start")) or FIRST
        end = _end(start, own.get("duration") or whole.get("duration"))
        at = end
        for payload in interval.get("payloads") or ():
            if payload["type"] in kinds and payload.get("values"):
                unit, currency = units.get(payload["type"], ("", ""))
                yield Value(
                    start=start,
                    end=end,
                    kind=payload["type"],
                    value=_number(payload["values"][0]),
                    unit=unit,
                    currency=currency,
                    priority=MOST_EVENTS if priority is None else int(priority),
                )


def _descriptors(said: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        each["payloadType"]: (str(each.get("units") or ""), str(each.get("currency") or ""))
        for each in said.get("payloadDescriptors") or ()
    }


def _start(text: Any) -> datetime | None:
    if not text:
        return None
    if str(text).startswith("0001-"):
        return FIRST
    found = parse_datetime(text)
    if found is None or found.tzinfo is None:
        raise ValueError(f"{text!r} is no time")
    return datetime.fromtimestamp(found.timestamp(), UTC)


def _end(start: datetime, text: Any) -> datetime:
    length = parse_duration(text)
    if length is None or length.years >= FOR_EVER_YEARS or start is FIRST:
        return LAST
    seconds = length.total_seconds()
    if seconds <= 0.0:
        raise ValueError(f"a duration of {text!r}")
    return min(LAST, start + timedelta(seconds=seconds))


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not abs(number) < 1e12:
        raise ValueError(f"{value!r} is no number")
    return number


def _plain(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"answers {error.response.status_code} to {error.request.url.path}"
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error) or type(error).__name__
