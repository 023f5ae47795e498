"""What the process does with what is known of stations: asks them, minds their ways, learns.

Rules
-----
1. What a station says, what is known of its model, what trying showed and what the operator says is kept in a
   ``ProfileBook``; the controller hears of all but the first as ``StationTraits``, when the station connects and
   whenever it changes.
2. A refused limit unlearns what trying had shown, so that a station that changed its ways is tried anew.
3. A station's meter is set up where it says that it measures too seldom or too little. Where a CSMS governs the station
   this is left to the CSMS.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from loadmgr.bridge import from_ocpp, to_ocpp
from loadmgr.bridge.traits import profile_of, traits_of
from loadmgr.control.command import Command, ReadCapabilities, SetProfile
from loadmgr.control.observation import CommandAnswered, Observation, Outcome
from loadmgr.control.traits import StationTraits
from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion
from ocpp_link.capabilities import Call, inquire, read_answer
from ocpp_link.clock import Clock
from ocpp_link.energy_scale import scale_energies
from ocpp_link.errors import CallRejected, OcppError
from ocpp_link.meter_setup import set_up_meter
from ocpp_link.profile_book import ProfileBook
from ocpp_link.station_profile import StationProfile

log = logging.getLogger(__name__)


class Acquaintance:
    """What is known of a site's stations, at work.

    Parameters
    ----------
    models : ProfileBook
    clock : Clock
    meter_interval_s : float
        How often meter values have to come [s].
    observe : callable
        Takes an observation and the id of the station that it is of.
    """

    def __init__(
        self, models: ProfileBook, *, clock: Clock, meter_interval_s: float, observe: Callable[[Observation, str], None]
    ) -> None:
        self._models = models
        self._clock = clock
        self._meter_interval_s = meter_interval_s
        self._observe = observe
        self._told: dict[str, StationProfile] = {}
        self._names_wanted: set[str] = set()  # stations that refuse profiles with and without their transaction
        self._paused: set[tuple[str, int]] = set()  # EVSEs whose last limit was 0

    def connected(self, station_id: str) -> None:
        """Tell the controller what is known of a station from earlier, or from the operator."""
        self._told.pop(station_id, None)
        self._names_wanted.discard(station_id)
        self._tell(station_id)

    def booted(self, station_id: str, payload: Mapping[str, Any]) -> None:
        """Take note of a nameplate."""
        self._models.booted(station_id, payload)
        self._tell(station_id)

    def reply_delay_s(self, station_id: str) -> float | None:
        """Return how long the answer to a start has to wait [s]; some drop the link when it comes too fast."""
        return self._models.profile(station_id).reply_delay_s

    def meant(self, station_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return what a station's message means, where its model is known to name the wrong unit of energy."""
        scale = self._models.profile(station_id).energy_scale
        return payload if scale is None else scale_energies(payload, scale)

    async def ask(self, command: Command, *, version: OcppVersion, call: Call) -> dict[str, Any]:
        """Ask a station what a command says, in the way that it needs; return its answer.

        Raises
        ------
        OcppError
            As the call does.
        """
        if isinstance(command, ReadCapabilities):
            answer = await inquire(version.value, call)
            self._models.asked(command.station, read_answer(version.value, answer))
            return answer
        action, payload = to_ocpp.request(command, version=version)
        if not isinstance(command, SetProfile):
            return await call(action, payload)
        send = partial(self._limit, str(command.station), partial(call, action), payload)
        resumes = self._resumes(command)
        answer = await send()
        return await send() if resumes else answer

    async def _limit(
        self,
        station_id: str,
        set_profile: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
        payload: dict[str, Any],
    ) -> dict[str, Any]:
        """Send a profile; one that names its transaction and is refused is sent once more without (quirk 5).

        In every version a station takes a TxProfile only while a transaction runs on its EVSE, so it cannot be meant
        for another one.
        """
        bare = to_ocpp.without_transaction(payload)
        if bare is None or station_id in self._names_wanted:
            return await set_profile(payload)
        if self._models.profile(station_id).transaction_in_profile is False:
            return await set_profile(bare)
        refusal: CallRejected | None = None
        answer: dict[str, Any] = {}
        try:
            answer = await set_profile(payload)
        except CallRejected as error:
            refusal = error
        if refusal is None and (answer.get("status") != "Rejected" or from_ocpp.is_too_often(answer)):
            return answer
        try:
            second = await set_profile(bare)
        except CallRejected:
            second = {}
        if second.get("status") == "Accepted":
            self._models.learn(station_id, StationProfile(transaction_in_profile=False))
            return second
        self._names_wanted.add(station_id)
        if refusal is not None:
            raise refusal
        return answer

    def answered(self, fact: Observation, command: Command) -> None:
        """Unlearn what trying had shown, where a station refuses it now."""
        refused = isinstance(fact, CommandAnswered) and fact.outcome in (Outcome.REJECTED, Outcome.FAILED)
        if refused and isinstance(command, SetProfile):
            self._models.unlearn(command.station)
            self._tell(command.station)

    def learn(self, traits: StationTraits) -> None:
        """Keep what the controller learnt of a station."""
        found = profile_of(traits)
        if found != StationProfile():
            self._models.learn(traits.station, found)

    async def set_up_meter(self, station_id: str, *, version: OcppVersion, call: Call) -> None:
        """Have a station measure what is needed, as often as the site needs it."""
        known = self._models.profile(station_id)
        try:
            taken = await set_up_meter(version.value, call, known, interval_s=self._meter_interval_s)
        except OcppError as error:
            log.info("%s: its meter is not set up: %s", station_id, error)
            return
        if taken != StationProfile():
            log.info("%s: meter set up: %s", station_id, taken.known())
            self._models.heard(station_id, taken)

    def _resumes(self, command: SetProfile) -> bool:
        """Return whether a limit ends a pause at a station that ignores the first one that does (quirk 22)."""
        limits = [period.limit for schedule in command.profile.schedules for period in schedule.periods]
        place, pauses = (str(command.station), command.number), max(limit or 0.0 for limit in limits) == 0.0
        resumes = place in self._paused and not pauses
        (self._paused.add if pauses else self._paused.discard)(place)
        return resumes and self._models.profile(command.station).repeat_on_resume is True

    def _tell(self, station_id: str) -> None:
        """Tell the controller what is known beside what it asks by itself, if that is news."""
        known = self._models.manners(station_id)
        if known != self._told.get(station_id, StationProfile()):
            self._told[station_id] = known
            at = self._clock.now()
            self._observe(traits_of(known, station=StationId(station_id), at=at), station_id)
