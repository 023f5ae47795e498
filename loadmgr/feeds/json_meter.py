"""A meter that tells JSON: fetched over HTTP, or published on a broker."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from loadmgr.control.observation import SiteMeterReading
from loadmgr.errors import InputError
from loadmgr.feeds.http_get import fetch_json, place_name
from loadmgr.feeds.json_place import number_at
from loadmgr.feeds.meter_values import NONE, LifeWatch, MeterValues, PhaseValues, reading_of
from loadmgr.site_file.sources import HttpPlace, JsonPlaces, MeterInput, PhasePlaces


class JsonMeter:
    """What is made of a meter's documents.

    Parameters
    ----------
    how : MeterInput
        With ``places`` set.
    """

    def __init__(self, how: MeterInput) -> None:
        assert how.places is not None
        self.id = f"meter {how.meter}"
        self._how, self._places = how, how.places
        self._life = LifeWatch(how.frozen_s)

    def take(self, document: Any, now: datetime, *, kept: bool = False) -> list[SiteMeterReading]:
        """Return the reading that a document holds; one that a broker kept may be old, and is none.

        Raises
        ------
        InputError
            If it holds none.
        """
        if kept:
            return []
        values = json_values(document, self._places)
        self._life.require_life(values, now)
        return [reading_of(values, self._how, now)]


class HttpMeter:
    """A meter whose document is fetched at each poll."""

    def __init__(self, how: MeterInput, *, fetch: Callable[[HttpPlace], Any] = fetch_json) -> None:
        assert how.http is not None
        self.id = f"meter {how.meter}"
        self._place, self._fetch = how.http, fetch
        self._meter = JsonMeter(how)

    def poll(self, now: datetime) -> list[SiteMeterReading]:
        """Return a reading.

        Raises
        ------
        InputError
            If there is none; the next poll tries again.
        """
        document = self._fetch(self._place)
        try:
            return self._meter.take(document, now)
        except InputError as error:
            raise InputError(f"{place_name(self._place.url)}: {error}") from error


def json_values(document: Any, places: JsonPlaces) -> MeterValues:
    """Return what a document says.

    Raises
    ------
    InputError
        If a value that the site file names is missing, or no number.
    """
    return MeterValues(
        current_a=_each(document, places.current),
        power_w=_each(document, places.power),
        voltage_v=_each(document, places.voltage),
    )


def _each(document: Any, places: PhasePlaces | None) -> PhaseValues:
    if places is None:
        return NONE
    first, second, third = (None if place is None else number_at(document, place) for place in places)
    return first, second, third
