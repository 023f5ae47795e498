"""Limits from outside in JSON documents: fetched over HTTP, or published on a broker.

Rules
-----
1. Each document that can be used is a word of life; what cannot says nothing, and the dead man decides.
2. A limit is passed on when it changes, and again within half of the heartbeat.
3. A document that a broker kept may be old: it is no word of life. It counts while nothing is known of its source, and
   where the source has a limit for its silence, the lower of both does.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from loadmgr.control.outside.outside import LimitChanged
from loadmgr.errors import InputError
from loadmgr.feeds.dead_man import DeadMan
from loadmgr.feeds.http_get import fetch_json, place_name
from loadmgr.feeds.json_place import at_pointer, number_at
from loadmgr.feeds.limit_file import LimitWords, Told, limits_in, lowered
from loadmgr.site_file.sources import HttpPlace


class JsonLimits:
    """What is made of a source's documents.

    Parameters
    ----------
    dead_man : DeadMan
        Whose circuit stands for limits that name none.
    at : str
        JSON pointer of the limits.
    number_is : str, optional
        ``limit_a``, ``limit_w`` or ``limit_kw``, where what is there is one number.
    remembered : bool
        What the source last said is known.
    """

    def __init__(
        self, dead_man: DeadMan, *, at: str = "", number_is: str | None = None, remembered: bool = False
    ) -> None:
        self.id = dead_man.source
        self._dead_man, self._at, self._number_is = dead_man, at, number_is
        self._words = LimitWords(dead_man)
        self._last: tuple[Told, ...] | None = None
        self._told_at: datetime | None = None
        self._heard = self._began = remembered

    def begin(self, now: datetime) -> list[LimitChanged]:
        """Return what is told before the source has said anything."""
        if self._began:
            return []
        self._began, self._told_at = True, now
        return self._dead_man.begin(now)

    def take(self, document: Any, now: datetime, *, kept: bool = False) -> list[LimitChanged]:
        """Return what a document says, if that is to be passed on.

        Raises
        ------
        InputError
            If it cannot be used.
        """
        told = self._told(document)
        if kept:
            return [] if self._heard else self._words.of([lowered(each, self._dead_man) for each in told], now)
        self._heard = True
        if told == self._last and not self._dead_man.is_due(self._told_at, now):
            return []
        self._last, self._told_at = told, now
        return self._words.of(told, now)

    def _told(self, document: Any) -> tuple[Told, ...]:
        circuit = self._dead_man.circuit
        if self._number_is is None:
            return limits_in(at_pointer(document, self._at), place="the document", default_circuit=circuit)
        if at_pointer(document, self._at) is None:
            return (Told(circuit=circuit),)
        number = number_at(document, self._at)
        if number < 0.0:
            raise InputError(f"{self._at} of the document is below 0: {number:g}")
        if self._number_is == "limit_a":
            return (Told(circuit=circuit, limit_a=(number, number, number)),)
        return (Told(circuit=circuit, limit_w=number * (1000.0 if self._number_is == "limit_kw" else 1.0)),)


class HttpLimitFeed:
    """Limits that are fetched at each poll."""

    def __init__(self, limits: JsonLimits, place: HttpPlace, *, fetch: Callable[[HttpPlace], Any] = fetch_json) -> None:
        self.id = limits.id
        self._limits, self._place, self._fetch = limits, place, fetch

    def poll(self, now: datetime) -> list[LimitChanged]:
        """Return what is new.

        Raises
        ------
        InputError
            If the address cannot be used; the next poll goes on.
        """
        first = self._limits.begin(now)
        try:
            document = self._fetch(self._place)
            return [*first, *self._limits.take(document, now)]
        except InputError as error:
            if first:
                return first  # before anything was heard the dead man comes first; the next poll tells the fault
            raise InputError(_placed(error, self._place)) from error


def _placed(error: InputError, place: HttpPlace) -> str:
    name = place_name(place.url)
    return str(error) if name in str(error) else f"{name}: {error}"
