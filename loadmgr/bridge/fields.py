"""Reading one JSON object field by field: every fault names the place, and what was not read is a fault too."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import TypeVar

from loadmgr.errors import InputError
from loadmgr.model.profile import Opaque

E = TypeVar("E", bound=Enum)

LARGEST = 1e15
"""Largest number that is taken: far above any limit, and far below where arithmetic overflows."""


def parse_time(text: str, *, place: str, zone_needed: bool = False) -> datetime:
    """Return the instant in ``text`` with the offset that was written.

    Schemas let times without a zone pass and stations send them: they are UTC unless ``zone_needed``.

    Raises
    ------
    InputError
        If ``text`` is no ISO 8601 date-time, or has no zone where one is needed.
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{place}: not an ISO 8601 date-time: {text!r}") from None
    if not 1 < when.year < 9999:  # so that no zone carries it past what a datetime holds
        raise InputError(f"{place}: year out of range: {text!r}")
    if when.tzinfo is None:
        if zone_needed:
            raise InputError(f"{place}: needs a time zone, got {text!r} (write {text}Z for UTC)")
        when = when.replace(tzinfo=UTC)
    return when


def time_text(when: datetime) -> str:
    """Return ``when`` as OCPP writes it, with Z for UTC and with its offset otherwise."""
    if when.tzinfo is UTC and not when.microsecond:
        # the usual case; an f-string with widths costs twice as much, and every composite schedule has a time
        numbers = (when.year, when.month, when.day, when.hour, when.minute, when.second)
        return "%04d-%02d-%02dT%02d:%02d:%02dZ" % numbers  # noqa: UP031
    return when.isoformat().replace("+00:00", "Z")


class Fields:
    """The fields of one JSON object, taken one by one.

    Parameters
    ----------
    data : object
        What should be a JSON object.
    place : str
        Where it stands, for messages.
    """

    def __init__(self, data: object, place: str) -> None:
        if not isinstance(data, Mapping):
            raise InputError(f"{place}: must be an object, got {_kind(data)}")
        self._data = data
        self._left = set(data)
        self.place = place

    def at(self, key: str) -> str:
        """Return the place of a field."""
        return f"{self.place}.{key}"

    def raw(self, key: str) -> object:
        """Take a field as it is; ``None`` where it is absent."""
        self._left.discard(key)
        return self._data.get(key)

    def needed(self, key: str) -> object:
        """Take a field that must be there."""
        value = self.raw(key)
        if value is None:
            raise InputError(f"{self.at(key)}: missing")
        return value

    def number(self, key: str) -> float | None:
        """Take a finite number."""
        value = self.raw(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{self.at(key)}: must be a number, got {_kind(value)}")
        if not -LARGEST <= value <= LARGEST:  # NaN fails too
            raise InputError(f"{self.at(key)}: must be finite and at most {LARGEST:g} in size, got {str(value)[:30]}")
        return float(value)

    def needed_number(self, key: str) -> float:
        """Take a finite number that must be there."""
        self.needed(key)
        value = self.number(key)
        assert value is not None
        return value

    def integer(self, key: str, *, minimum: int | None = None) -> int | None:
        """Take a whole number, at least ``minimum`` if that is given."""
        value = self.number(key)
        if value is None:
            return None
        if not value.is_integer():
            raise InputError(f"{self.at(key)}: must be a whole number, got {value}")
        given = self._data[key]
        whole = given if isinstance(given, int) else int(value)
        if minimum is not None and whole < minimum:
            raise InputError(f"{self.at(key)}: must be at least {minimum}, got {whole}")
        return whole

    def needed_integer(self, key: str, *, minimum: int | None = None) -> int:
        """Take a whole number that must be there."""
        self.needed(key)
        value = self.integer(key, minimum=minimum)
        assert value is not None
        return value

    def flag(self, key: str) -> bool | None:
        """Take true or false."""
        value = self.raw(key)
        if value is not None and not isinstance(value, bool):
            raise InputError(f"{self.at(key)}: must be true or false, got {_kind(value)}")
        return value

    def text(self, key: str) -> str | None:
        """Take a text."""
        value = self.raw(key)
        if value is not None and not isinstance(value, str):
            raise InputError(f"{self.at(key)}: must be text, got {_kind(value)}")
        return value

    def time(self, key: str, *, zone_needed: bool = False) -> datetime | None:
        """Take an instant."""
        text = self.text(key)
        return None if text is None else parse_time(text, place=self.at(key), zone_needed=zone_needed)

    def choice(self, key: str, choices: Mapping[str, E]) -> E | None:
        """Take one of some words."""
        text = self.text(key)
        if text is None:
            return None
        if text not in choices:
            raise InputError(f"{self.at(key)}: must be one of {', '.join(choices)}, got {text!r}")
        return choices[text]

    def needed_choice(self, key: str, choices: Mapping[str, E]) -> E:
        """Take one of some words that must be there."""
        self.needed(key)
        value = self.choice(key, choices)
        assert value is not None
        return value

    def items(self, key: str) -> list[object] | None:
        """Take a list."""
        value = self.raw(key)
        if value is not None and not isinstance(value, list):
            raise InputError(f"{self.at(key)}: must be a list, got {_kind(value)}")
        return value

    def choices(self, key: str, choices: Mapping[str, E]) -> tuple[E, ...] | None:
        """Take a list of some words."""
        if self.raw(key) is None:
            return None
        inner, names = self._listed(key)
        return tuple(inner.needed_choice(name, choices) for name in names)

    def integers(self, key: str, *, minimum: int | None = None) -> tuple[int, ...]:
        """Take a list of whole numbers; an absent one is empty."""
        inner, names = self._listed(key)
        return tuple(inner.needed_integer(name, minimum=minimum) for name in names)

    def _listed(self, key: str) -> "tuple[Fields, list[str]]":
        """Return the items of a list as the fields of an object, named by their place."""
        items = {str(place): item for place, item in enumerate(self.items(key) or [])}
        return Fields(items, self.at(key)), list(items)

    def opaque(self, *keys: str) -> Opaque:
        """Take fields that are carried but not read, as JSON text."""
        taken = []
        for key in keys:
            if key in self._data:
                try:
                    taken.append((key, json.dumps(self.raw(key), ensure_ascii=False, allow_nan=False)))
                except ValueError:
                    raise InputError(f"{self.at(key)}: numbers must be finite") from None
        return tuple(taken)

    def close(self) -> None:
        """Refuse what was not taken."""
        if self._left:
            raise InputError(f"{self.at(sorted(map(str, self._left))[0])}: unknown key")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    names = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
