"""A way to a station, and how a command fares on it."""

from collections.abc import Hashable
from dataclasses import dataclass

from loadmgr.apps.process.acquaintance import Acquaintance
from loadmgr.bridge import from_ocpp
from loadmgr.control.command import Command, SetProfile, Urgency
from loadmgr.control.observation import Observation, Outcome
from loadmgr.csms.site_door import StationWay
from loadmgr.model.profile import OcppVersion
from ocpp_link.capabilities import Call
from ocpp_link.clock import Clock
from ocpp_link.errors import OcppError
from ocpp_link.outbox import Priority

PRIORITY = {Urgency.SAFETY: Priority.SAFETY, Urgency.ORDINARY: Priority.NORMAL, Urgency.BACKGROUND: Priority.BULK}


StationLink = StationWay
"""A way to a station: connected here, relayed from here to a CSMS, or behind one."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a command: facts, among them one ``CommandAnswered``.

    Parameters
    ----------
    heard : bool
        The station said something.
    good : bool
        It was an answer, and no error.
    """

    facts: tuple[Observation, ...]
    heard: bool = False
    good: bool = False


async def ask(known: Acquaintance, command: Command, *, version: OcppVersion, call: Call, clock: Clock) -> Answered:
    """Send a command to a station and return what came of it; never raises on what the station or the link does."""
    try:
        answer = await known.ask(command, version=version, call=call)
    except OcppError as error:
        outcome = from_ocpp.outcome_of(error)
        failure = from_ocpp.failure(command, outcome, str(error), at=clock.now())
        return Answered((failure,), heard=outcome is Outcome.FAILED)
    facts = from_ocpp.answer(command, answer, version=version, at=clock.now())
    return Answered(tuple(facts), heard=True, good=True)


def slot_of(command: Command) -> Hashable | None:
    """Return the profile that a command sets: of two that set the same, the later one counts and is sent."""
    if isinstance(command, SetProfile):
        return command.station, command.number, command.profile.profile_id
    return None
