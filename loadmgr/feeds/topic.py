"""What is listened to on a broker: messages in, facts out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from loadmgr.errors import InputError
from loadmgr.feeds.polling import Fact, Troubles

LARGEST_MESSAGE = 100_000


class Taker(Protocol):
    """What makes facts of documents."""

    @property
    def id(self) -> str:
        """Its name."""

    def take(self, document: Any, now: datetime, *, kept: bool = False) -> Sequence[Fact]:
        """Return what a document says; one that the broker kept may be old."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A topic, what is made of its messages, and who is told.

    Parameters
    ----------
    topic : str
    taker : Taker
    observe : callable
        Takes facts, and what is wrong with messages.
    troubles : Troubles
        Tells ``observe`` what is wrong once.
    """

    topic: str
    taker: Taker
    observe: Callable[[Fact], None]
    troubles: Troubles

    def hear(self, payload: str, now: datetime, *, kept: bool) -> None:
        """Take a message; one that cannot be used changes nothing and is told once."""
        try:
            facts = self.taker.take(_parsed(payload), now, kept=kept)
        except InputError as error:
            self.troubles.begin(self.taker.id, f"topic {self.topic}: {error}", now)
            return
        self.troubles.end(self.taker.id, now)
        for fact in facts:
            self.observe(fact)


def _parsed(payload: str) -> Any:
    if len(payload) > LARGEST_MESSAGE:
        raise InputError(f"a message of {len(payload)} characters: at most {LARGEST_MESSAGE} are read")
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        raise InputError(f"a message that is no JSON: {payload[:40]!r}") from None
