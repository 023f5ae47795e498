"""Sessions drawn from what was seen: fitted to a table, kept as a few numbers, drawn by a seed.

Rules kept here
---------------
1. A day is of one of two kinds, Monday to Friday or weekend. Of each kind a model holds how many sessions an EVSE has a
   day, the quantiles of what makes a session, and how these go together (a Gaussian copula: the correlation of their
   normal scores, as in Joe, "Dependence Modeling with Copulas", 2014, chapter 3).
2. Hours are counted from 04:00 of the day of arrival on the local clock, when least happens: a night is not cut in two.
   It is the departure that is modelled, not the stay: who comes late does not leave later by as much.
3. What a driver says is drawn with the session: a stay and an energy, each as a multiple of the true one.
4. Same model, same seed, same sessions. No session carries more than its vehicle could take during its stay.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import NormalDist
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from loadmgr.model.ids import SessionId
from loadmgr.model.session import SessionRecord

FloatArray = NDArray[np.float64]

VARIABLES = ("arrival_h", "departure_h", "energy_wh", "said_stay_ratio", "said_energy_ratio")
"""What makes a session: hours after the day began, and what is said as multiples of the true stay and energy."""

PROBABILITIES = (0.005, 0.025, *(n / 20.0 for n in range(1, 20)), 0.975, 0.995)

DAY_BEGINS_H = 4

KINDS = ("weekday", "weekend")

VEHICLES = ((3, 16.0, 0.45), (1, 32.0, 0.2), (3, 32.0, 0.15), (1, 16.0, 0.2))
"""Phases, current [A] and share of drawn vehicles: an assumption, tables of sessions seldom tell."""

REACH_RATIO = 0.9
"""A drawn session asks for no more than this share of what its vehicle could take during its stay."""

VOLTAGE_V = 230.0

_LEAST_STAY_H = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class DayModel:
    """Sessions of one kind of day.

    Parameters
    ----------
    per_evse_day : float
        Sessions of an EVSE in a day, in the mean.
    dispersion_ratio : float
        Variance over mean of the sessions of a day; 1 is a Poisson process.
    said_ratio : float
        Share of drivers who say when they leave.
    quantiles : mapping of str to tuple of float
        Of each of ``VARIABLES`` at ``PROBABILITIES``.
    correlation : tuple of tuple of float
        Of the normal scores, in the order of ``VARIABLES``.
    """

    per_evse_day: float
    dispersion_ratio: float
    said_ratio: float
    quantiles: Mapping[str, tuple[float, ...]]
    correlation: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        missing = [name for name in VARIABLES if len(self.quantiles.get(name, ())) != len(PROBABILITIES)]
        if missing:
            raise ValueError(f"quantiles must hold {len(PROBABILITIES)} values of {missing[0]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionModel:
    """Sessions of a kind of place.

    Parameters
    ----------
    weekday, weekend : DayModel
    origin : str
        What it was fitted to.
    """

    name: str
    origin: str
    weekday: DayModel
    weekend: DayModel

    def plain(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> "SessionModel":
        """Return the model of plain values."""
        kinds = {kind: _day_of_plain(values[kind]) for kind in KINDS}
        return cls(name=values["name"], origin=values["origin"], **kinds)


def _day_of_plain(values: Mapping[str, Any]) -> DayModel:
    return DayModel(
        per_evse_day=values["per_evse_day"],
        dispersion_ratio=values["dispersion_ratio"],
        said_ratio=values["said_ratio"],
        quantiles={name: tuple(held) for name, held in values["quantiles"].items()},
        correlation=tuple(tuple(row) for row in values["correlation"]),
    )


def fit_sessions(
    sessions: Sequence[SessionRecord], *, evses: int, time_zone: str, name: str = "fitted", origin: str = ""
) -> SessionModel:
    """Return the model of the sessions of a place.

    Parameters
    ----------
    sessions : sequence of SessionRecord
    evses : int
        How many EVSEs they came to.
    time_zone : str
        Of the place.

    Raises
    ------
    ValueError
        If a kind of day has fewer than twenty sessions.
    """
    zone = ZoneInfo(time_zone)
    days: dict[date, list[tuple[float, SessionRecord]]] = {}
    for session in sessions:
        clock = session.arrival.astimezone(zone).replace(tzinfo=None) - timedelta(hours=DAY_BEGINS_H)
        hour = (clock - datetime.combine(clock.date(), time())).total_seconds() / 3600.0
        days.setdefault(clock.date(), []).append((hour, session))
    if not days:
        raise ValueError("sessions must hold at least one session")
    span = [min(days) + timedelta(days=n) for n in range((max(days) - min(days)).days + 1)]
    kinds = {
        kind: _fit_day([days.get(day, []) for day in span if _kind(day) == kind], evses=evses, kind=kind)
        for kind in KINDS
    }
    return SessionModel(name=name, origin=origin, **kinds)


def _kind(day: date) -> str:
    return KINDS[day.weekday() >= 5]


def _fit_day(days: list[list[tuple[float, SessionRecord]]], *, evses: int, kind: str) -> DayModel:
    seen = [_variables(hour, session) for day in days for hour, session in day if session.energy_requested_wh > 0.0]
    if len(seen) < 20:
        raise ValueError(f"sessions must hold at least twenty of a {kind}, got {len(seen)}")
    counts = np.array([len(day) for day in days], dtype=np.float64)
    table = np.array(seen)
    said = ~np.isnan(table[:, 3])
    quantiles = {}
    for column, name in enumerate(VARIABLES):
        values = table[said, column] if name.startswith("said") else table[:, column]
        held = np.quantile(values, PROBABILITIES) if values.size else np.ones(len(PROBABILITIES))
        quantiles[name] = tuple(round(float(value), 4) for value in held)
    return DayModel(
        per_evse_day=round(float(counts.mean()) / evses, 5),
        dispersion_ratio=round(max(1.0, float(counts.var() / counts.mean())), 3),
        said_ratio=round(float(said.mean()), 4),
        quantiles=quantiles,
        correlation=_correlation(table[said] if said.sum() >= 20 else np.nan_to_num(table, nan=1.0)),
    )


def _variables(hour: float, session: SessionRecord) -> tuple[float, ...]:
    stay_h = (session.departure - session.arrival).total_seconds() / 3600.0
    energy_wh = session.energy_delivered_wh or session.energy_requested_wh
    if session.estimated_departure is None:
        return hour, hour + stay_h, energy_wh, math.nan, math.nan
    said_h = (session.estimated_departure - session.arrival).total_seconds() / 3600.0
    return hour, hour + stay_h, energy_wh, max(said_h, 0.0) / stay_h, session.energy_requested_wh / energy_wh


def _correlation(table: FloatArray) -> tuple[tuple[float, ...], ...]:
    ranks = table.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    scores = np.vectorize(NormalDist().inv_cdf)((ranks + 1.0) / (len(table) + 1.0))
    return tuple(tuple(round(float(value), 4) for value in row) for row in np.corrcoef(scores, rowvar=False))


def draw_sessions(
    model: SessionModel,
    *,
    evses: int,
    first_day: date,
    days: int,
    time_zone: str,
    rng: np.random.Generator,
    vehicles: Sequence[tuple[int, float, float]] = VEHICLES,
) -> tuple[SessionRecord, ...]:
    """Return sessions as they might have been, in order of arrival.

    Parameters
    ----------
    model : SessionModel
    evses : int
        Size of the place; sessions come in proportion and take the lowest free EVSE.
    first_day : date
    days : int
    time_zone : str
    rng : numpy.random.Generator
    vehicles : sequence of (phases, current [A], share)

    Returns
    -------
    tuple of SessionRecord
        ``energy_delivered_wh`` is what the vehicle takes, ``energy_requested_wh`` what the driver believes.
    """
    zone = ZoneInfo(time_zone)
    shares = np.array([share for *_, share in vehicles])
    drawn: list[SessionRecord] = []
    for offset in range(days):
        day = first_day + timedelta(days=offset)
        held = model.weekend if _kind(day) == "weekend" else model.weekday
        midnight = datetime.combine(day, time(DAY_BEGINS_H))
        for number, row in enumerate(_draw_day(held, evses=evses, rng=rng)):
            phases, max_a, _ = vehicles[int(rng.choice(len(vehicles), p=shares / shares.sum()))]
            says = bool(rng.random() < held.said_ratio)
            arrival = (midnight + timedelta(seconds=round(row[0] * 3600.0))).replace(tzinfo=zone).astimezone(UTC)
            stay_h = max(row[1] - row[0], _LEAST_STAY_H)
            takes_wh = min(row[2], REACH_RATIO * stay_h * phases * max_a * VOLTAGE_V)
            drawn.append(
                SessionRecord(
                    session_id=SessionId(f"{model.name}-{day:%y%m%d}-{number + 1:03}"),
                    arrival=arrival,
                    departure=arrival + timedelta(seconds=round(stay_h * 3600.0)),
                    estimated_departure=arrival + timedelta(seconds=round(stay_h * row[3] * 3600.0)) if says else None,
                    energy_requested_wh=float(round(takes_wh * row[4] if says else takes_wh)),
                    energy_delivered_wh=float(round(takes_wh)),
                    max_a=max_a,
                    phases=phases,
                )
            )
    return tuple(sorted(drawn, key=lambda session: (session.arrival, session.session_id)))


def _draw_day(model: DayModel, *, evses: int, rng: np.random.Generator) -> list[list[float]]:
    """Return the variables of each session of a day, the earliest first."""
    mean = model.per_evse_day * evses
    if mean <= 0.0:
        return []
    spread = model.dispersion_ratio
    count = int(rng.poisson(mean)) if spread <= 1.0 else int(rng.negative_binomial(mean / (spread - 1.0), 1.0 / spread))
    scores = rng.multivariate_normal(np.zeros(len(VARIABLES)), np.array(model.correlation), size=count, method="eigh")
    shares = np.vectorize(NormalDist().cdf, otypes=[np.float64])(scores)
    columns = [np.interp(shares[:, n], PROBABILITIES, model.quantiles[name]) for n, name in enumerate(VARIABLES)]
    return sorted(np.column_stack(columns).tolist())
