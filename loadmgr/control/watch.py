"""What the controller watches beside its decisions: who never came, what is unproved now, what nobody can relieve."""

from datetime import datetime

import numpy as np

from loadmgr.control.alarm import Severity
from loadmgr.control.safety.assumption import Assumed, standing_of
from loadmgr.control.safety.circuits import POWER, LoadBook
from loadmgr.control.state import SiteState
from loadmgr.model.ids import EvseId
from loadmgr.model.units import CURRENT_TOLERANCE_A

UNSEEN_S = 60
"""Stations have so long to connect after the start before it is an alarm [s]."""


PATIENCE_RATIO = 0.2
"""A circuit is beyond relief by others after this share of the reaction time; the rest is for what is done about it."""


def alarm_unseen(state: SiteState, now: datetime) -> None:
    """Say which stations were never connected: each takes its installed maximum from all others."""
    state.started = state.started or now
    waited = (now - state.started).total_seconds() >= UNSEEN_S
    for station in state.stations.values():
        name = station.station.id
        if station.seen:
            state.alarms.clear("never seen", name, at=now)
        elif waited:
            state.alarms.raise_alarm(
                "never seen",
                name,
                at=now,
                severity=Severity.WARNING,
                cause=f"station {name} was never connected since the start; it counts with its installed maximum",
                advice="connect it, or take it out of the site file while it is switched off",
            )


def alarm_unproved(state: SiteState, now: datetime) -> None:
    """Say which stations run another firmware than the one that they were proved on: what was proved counts no more."""
    for station in state.stations.values():
        name, plate = station.station.id, station.nameplate
        if plate is None or station.known.grounds == station.station.grounds:
            state.alarms.clear("proved on other firmware", name, at=now)
            continue
        state.alarms.raise_alarm(
            "proved on other firmware",
            name,
            at=now,
            severity=Severity.WARNING,
            cause=f"station {name} was {station.station.grounds}; it runs {plate.firmware} now and is unknown",
            advice="what it keeps over a power loss may have changed: prove it again (loadmgr station prove)",
        )


def alarm_overfull(
    state: SiteState,
    book: LoadBook,
    *,
    targets_a: dict[EvseId, float],
    assumed: dict[EvseId, Assumed],
    now: datetime,
) -> None:
    """Say so where what has to be assumed exceeds a limit although everything that obeys is at its lowest."""
    site = state.site
    overfull = set(book.overfull())
    if not overfull and not state.helpless_since:
        return
    for row in np.flatnonzero(~book.rows.lasting).tolist():
        name = book.rows.name(row)
        drawing = book.drawing_now(row)
        helpless = row in overfull and all(targets_a.get(e, 0.0) <= CURRENT_TOLERANCE_A for e in drawing)
        if not helpless:
            state.helpless_since.pop(name, None)
            state.alarms.clear("not enough room", name, at=now)
            continue
        since = state.helpless_since.setdefault(name, now)
        if (now - since).total_seconds() < site.timing.reaction_time_s:
            continue  # stations that connect are set up within seconds
        heaviest = ", ".join(_assumed_in_words(state, assumed, e, now) for e in drawing[:4])
        state.alarms.raise_alarm(
            "not enough room",
            name,
            at=now,
            severity=Severity.WARNING,
            cause=f"{name}: {_with_unit(book, row, float(book.load[row].max()))} have to be assumed"
            f" of {_with_unit(book, row, float(book.rows.limit[row]))}{f': {heaviest}' if heaviest else ''}",
            advice="nobody is given more there until it fits; connect what is offline, or look at who disobeys",
        )


def _with_unit(book: LoadBook, row: int, value: float) -> str:
    """Return a load or limit of a row: of a phase in A, of a power in kW."""
    return f"{value:.1f} A" if book.rows.columns[row] < POWER else f"{value / 1e3:.1f} kW"


def is_helpless(state: SiteState, book: LoadBook, evse: EvseId, now: datetime) -> bool:
    """Return whether a circuit of an EVSE is beyond its limit for longer than others need to go down.

    Only what may flow now counts: leases that would run out one day are renewed.
    """
    patience_s = PATIENCE_RATIO * state.site.timing.reaction_time_s
    for row in book.rows_of(evse):
        since = None if book.rows.lasting[row] else state.helpless_since.get(book.rows.name(row))
        lasting = since is not None and (now - since).total_seconds() >= patience_s
        if lasting and book.load[row, 0] > book.rows.limit[row] + CURRENT_TOLERANCE_A:
            return True
    return False


def _assumed_in_words(state: SiteState, assumed: dict[EvseId, Assumed], evse: EvseId, now: datetime) -> str:
    amps = assumed[evse].envelope.at(now.timestamp())
    return f"{evse} {amps:g} A ({standing_of(state, state.evses[evse])})"
