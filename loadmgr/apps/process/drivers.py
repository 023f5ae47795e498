"""What is said of a session for its driver: by the rules of the site file, and by its calendar."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from loadmgr.control.controller import SiteController
from loadmgr.control.decision import RunningSession
from loadmgr.control.feedback.declared import BY_CALENDAR, BY_RULE
from loadmgr.control.feedback.late import began_at
from loadmgr.control.observation import SessionDeclared, TransactionStarted
from loadmgr.errors import InputError
from loadmgr.feeds.calendar_file import CalendarFile
from loadmgr.feeds.polling import Clock
from loadmgr.model.ids import EvseId, TransactionId
from loadmgr.site_file import SiteFile

log = logging.getLogger(__name__)

LOOK_S = 30.0
"""How often the calendar is looked at [s]."""


@dataclass(frozen=True, slots=True)
class _Told:
    """The last session of an EVSE of which something was said."""

    transaction: TransactionId
    started: datetime
    named: bool
    """Whether its driver was known by then."""


class DriverBook:
    """What is known of the drivers of a site.

    Parameters
    ----------
    site_file : SiteFile
    name_of : callable, optional
        By which name an id token is known inside.
    """

    def __init__(self, site_file: SiteFile, *, name_of: Callable[[str], str] | None = None) -> None:
        self._name_of = str if name_of is None else name_of
        self._calendar: CalendarFile | None = None
        self._told: dict[EvseId, _Told] = {}
        self._unheard: dict[EvseId, TransactionStarted] = {}  # began without a link: only that start names the driver
        self.follow(site_file)

    def follow(self, site_file: SiteFile) -> None:
        """Go by another site file from now on."""
        site, drivers = site_file.site, site_file.drivers
        self._rules, self._zone = drivers.rules, ZoneInfo(site.time_zone)
        self._evse_of = {(evse.station, evse.number): evse.id for evse in site.evses}
        before = None if self._calendar is None else self._calendar.path
        if drivers.calendar != before:
            path = drivers.calendar
            self._calendar = None if path is None else CalendarFile(path, name_of=self._name_of)

    def go_on_with(self, sessions: Iterable[RunningSession]) -> None:
        """Take it that of these sessions everything was said that can be, by whoever kept the book before."""
        for session in sessions:
            named = session.id_token is not None
            self._told[session.evse] = _Told(session.transaction, started=session.started, named=named)

    def said_of(self, seen: TransactionStarted) -> list[SessionDeclared]:
        """Return what is said of a session: when it starts, and when its driver is known, if that is later.

        Parameters
        ----------
        seen : TransactionStarted
            Its id token is still the driver's own. Stations of OCPP 2.x may tell it long after the cable was put in.
        """
        evse = self._evse(seen)
        if evse is None:
            return []
        if not seen.live:
            if seen.id_token:
                self._unheard[evse] = seen
            return []
        begun = self._unheard.get(evse)
        if begun is not None and begun.transaction == seen.transaction and not seen.id_token:
            seen = replace(seen, id_token=begun.id_token, started_at=begun.started_at)
        told = self._told.get(evse)
        if told is None or told.transaction != seen.transaction:
            told = _Told(seen.transaction, started=began_at(seen), named=False)
        elif told.named or not seen.id_token:
            return []
        started, said = told.started, []
        self._told[evse] = replace(told, named=bool(seen.id_token))
        rule = next((r for r in self._rules if seen.id_token and r.holds_for(seen.id_token)), None)
        if rule is not None:
            said.append(
                SessionDeclared(
                    at=seen.at,
                    evse=evse,
                    transaction=seen.transaction,
                    departure=rule.departure(started, self._zone),
                    need=rule.need,
                    priority=rule.priority,
                    vehicle=rule.vehicle,
                    source=BY_RULE,
                )
            )
        name = self._name_of(seen.id_token) if seen.id_token else None
        planned = self._planned(evse, name, started=started, at=seen.at, transaction=seen.transaction)
        return said if planned is None else [*said, planned]

    def _evse(self, seen: TransactionStarted) -> EvseId | None:
        """Return where a transaction runs: only its first message has to name the EVSE."""
        if seen.number:
            return self._evse_of.get((seen.station, seen.number))
        here = [evse for (station, _), evse in self._evse_of.items() if station == seen.station]
        return here[0] if len(here) == 1 else next((e for e in here if self._is_at(e, seen.transaction)), None)

    def _is_at(self, evse: EvseId, transaction: TransactionId) -> bool:
        told, begun = self._told.get(evse), self._unheard.get(evse)
        return transaction in (None if told is None else told.transaction, None if begun is None else begun.transaction)

    def news(self, controller: SiteController, *, at: datetime) -> list[SessionDeclared]:
        """Return what the calendar says of running sessions, if it changed since it was last asked.

        Raises
        ------
        InputError
            If it changed and cannot be used.
        """
        if self._calendar is None or not self._calendar.changed():
            return []
        found = (
            self._planned(s.evse, s.id_token, started=s.started, at=at, transaction=s.transaction)
            for s in controller.running()
        )
        return [said for said in found if said is not None]

    def _planned(
        self, evse: EvseId, name: str | None, *, started: datetime, at: datetime, transaction: TransactionId
    ) -> SessionDeclared | None:
        stay = None if self._calendar is None else self._calendar.stay_of(evse, name, started=started)
        if stay is None:
            return None
        return SessionDeclared(
            at=at,
            evse=evse,
            transaction=transaction,
            departure=stay.departure,
            need=stay.need,
            priority=stay.priority,
            source=BY_CALENDAR,
        )

    async def watch(
        self,
        controller: Callable[[], SiteController],
        clock: Clock,
        observe: Callable[[SessionDeclared], None],
    ) -> None:
        """Look at the calendar again and again until cancelled; a fault of it is logged once."""
        while True:
            try:
                for said in self.news(controller(), at=clock.now()):
                    observe(said)
            except InputError as fault:
                log.warning("the calendar of departures stays as it was:\n%s", fault)
            await clock.sleep_until(clock.now_s() + LOOK_S)
