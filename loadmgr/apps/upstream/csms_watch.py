"""The CSMS above a site, station by station: whether it is there, and what it has yet to be told."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ocpp_link.clock import Clock
from ocpp_link.metrics import family
from ocpp_link.proxy.queue import Backlog


@dataclass(frozen=True, slots=True, kw_only=True)
class CsmsView:
    """The CSMS as one station has it.

    Parameters
    ----------
    lost_since : datetime, optional
        ``None`` while it is there.
    waiting : int
        Messages on disk that it has not read.
    oldest_at : datetime, optional
        When the oldest of them was taken.
    """

    station: str
    lost_since: datetime | None
    waiting: int
    oldest_at: datetime | None


class CsmsWatch:
    """Keeps for which stations the CSMS is lost.

    Parameters
    ----------
    clock : Clock
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lost: dict[str, datetime] = {}
        self._seen: set[str] = set()
        self._served: set[str] = set()
        self.backlog: Callable[[], Mapping[str, Backlog]] = dict
        """Returns what waits on disk, by station."""

    def note(self, station_id: str, *, there: bool, served: bool = False) -> None:
        """Note whether the CSMS of a station is there; of the times at which it was away the first counts.

        Parameters
        ----------
        served : bool
            The station is connected here without it. Of one that is not, nothing new is heard: so it counts as lost
            only until the CSMS is found by any other.
        """
        self._seen.add(station_id)
        (self._served.add if served else self._served.discard)(station_id)
        if there:
            self._lost = {name: at for name, at in self._lost.items() if name in self._served}
        else:
            self._lost.setdefault(station_id, self._clock.now())

    @property
    def without(self) -> frozenset[str]:
        """Stations whose CSMS is lost."""
        return frozenset(self._lost)

    def now(self) -> datetime:
        """Return the time by which ages are reckoned."""
        return self._clock.now()

    def views(self) -> tuple[CsmsView, ...]:
        """Return every station that was seen, and those for which messages wait, by id."""
        waiting = self.backlog()
        nothing = Backlog(waiting=0, oldest_at=None)
        return tuple(
            CsmsView(
                station=name,
                lost_since=self._lost.get(name),
                waiting=waiting.get(name, nothing).waiting,
                oldest_at=waiting.get(name, nothing).oldest_at,
            )
            for name in sorted(self._seen | set(waiting))
        )


def csms_alarms(watch: CsmsWatch) -> list[dict[str, Any]]:
    """Return an alarm for each station whose CSMS is lost, or one where it is lost for all of several."""
    views = watch.views()
    lost = [view for view in views if view.lost_since is not None]
    if len(lost) == len(views) > 1:
        since = min(view.lost_since for view in lost if view.lost_since is not None)
        return [_alarm("CSMS", f"the CSMS is lost for all {len(lost)} stations", since, lost)]
    return [
        _alarm(view.station, f"the CSMS is lost for station {view.station}", view.lost_since, [view])
        for view in lost
        if view.lost_since is not None
    ]


def _alarm(subject: str, cause: str, since: datetime, views: list[CsmsView]) -> dict[str, Any]:
    waiting = sum(view.waiting for view in views)
    waits = f"; {_messages(waiting)} for it on disk" if waiting else ""
    return {
        "kind": "csms lost",
        "subject": subject,
        "severity": "warning",
        "cause": cause + waits,
        "advice": "limits hold without it; look at its address and certificate, and at the network on the way",
        "since": since.isoformat(),
    }


def _messages(waiting: int) -> str:
    return "1 message waits" if waiting == 1 else f"{waiting} messages wait"


def csms_sentence(csms: list[dict[str, Any]]) -> str:
    """Return in a sentence how the CSMS is, of views as JSON values.

    Examples
    --------
    >>> here = {"station": "S1", "lost_since": None, "waiting": 0, "oldest_at": None}
    >>> csms_sentence([here, here | {"lost_since": "2024-01-01T00:00:00+00:00", "waiting": 1}])
    'CSMS: lost for 1 of 2 stations, 1 message waits'
    """
    if not csms:
        return "CSMS: no station has come yet"
    lost = sum(each["lost_since"] is not None for each in csms)
    waiting = sum(each["waiting"] for each in csms)
    there = "CSMS: there" if not lost else f"CSMS: lost for {lost} of {len(csms)} stations"
    return there + (f", {_messages(waiting)}" if waiting else "")


def csms_lines(watches: Iterable[tuple[str, CsmsWatch]]) -> Iterator[str]:
    """Yield what is known of the CSMS above sites, in Prometheus' text format."""
    seen = [(name, watch.now(), watch.views()) for name, watch in watches]
    totals = [({"site": name}, sum(v.lost_since is not None for v in views)) for name, _, views in seen]
    each = [({"site": name, "station": v.station}, now, v) for name, now, views in seen for v in views]
    yield from family("loadmgr_csms_lost_stations", "gauge", "Stations whose CSMS is lost.", totals)
    yield from family(
        "loadmgr_csms_lost",
        "gauge",
        "Whether the CSMS of a station is lost.",
        [(labels, int(view.lost_since is not None)) for labels, _, view in each],
    )
    yield from family(
        "loadmgr_csms_waiting_messages",
        "gauge",
        "Messages on disk that the CSMS has not read.",
        [(labels, view.waiting) for labels, _, view in each],
    )
    yield from family(
        "loadmgr_csms_oldest_waiting_seconds",
        "gauge",
        "Age of the oldest of them.",
        [
            (labels, 0.0 if view.oldest_at is None else max(0.0, round((now - view.oldest_at).total_seconds(), 1)))
            for labels, now, view in each
        ],
    )
