"""Strategies by name: who gets how much, decided step by step for all vehicles of a site.

``uncontrolled``       everybody draws what vehicle and EVSE can; limits are not looked at
``first_come``         the earliest arrival first
``earliest_deadline``  the earliest departure first
``least_laxity``       the least time to spare first
``round_robin``        as equal shares, but where minimums do not fit the turn passes on
``equal_share``        the same current for all
``program``            the linear program over the coming hours, with prices and peaks
``optimum``            the linear program over the whole run with everything known before: nobody can do better
``controller``         the controller itself on simulated stations, as on a site

The rules fill the rows of :mod:`loadmgr.allocation` by its own water-filling; the simulation names and compares them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from loadmgr.allocation.constraints import NetworkRows
from loadmgr.allocation.waterlevel import Level, admit, raise_in_turn, raise_together
from loadmgr.model.topology import Evse
from loadmgr.model.units import CURRENT_TOLERANCE_A, SECONDS_PER_HOUR
from loadmgr.sim.crowd import BoolArray, Crowd, FloatArray, IntArray

IN_TURN = ("first_come", "earliest_deadline", "least_laxity")
TOGETHER = ("round_robin", "equal_share")
RULES = (*IN_TURN, *TOGETHER)
UNLIMITED = "uncontrolled"
STRATEGIES = (UNLIMITED, *RULES, "program", "optimum", "controller")

ROTATION_S = 900.0
"""How long a turn lasts in ``round_robin`` [s]."""

_DONE_WH = 1.0
"""Less than this still to deliver is nothing [Wh]."""


class Strategy(Protocol):
    """Decides who gets how much."""

    def currents_a(self, crowd: Crowd, *, now_s: float, seconds: float, room: FloatArray) -> FloatArray:
        """Return a current for each EVSE [A per phase], to be held for ``seconds``.

        Parameters
        ----------
        crowd : Crowd
        now_s : float
            Seconds after the start.
        seconds : float
            Until it is asked again, at most.
        room : (n_row,)
            What vehicles may draw on each row of the network.
        """


class Uncontrolled:
    """Everybody draws what they can."""

    def currents_a(self, crowd: Crowd, *, now_s: float, seconds: float, room: FloatArray) -> FloatArray:
        """Return each maximum."""
        return np.where(crowd.present, crowd.max_a, 0.0)


class Rule:
    """A rule strategy: an order, and all or a share at a time.

    Parameters
    ----------
    name : str
        One of ``RULES``.
    rows : NetworkRows
        The site's rows; coefficients of an EVSE may change with what stands there.
    """

    def __init__(self, name: str, rows: NetworkRows, evses: Sequence[Evse]) -> None:
        if name not in RULES:
            raise ValueError(f"name must be one of {', '.join(RULES)}, got {name}")
        self._name = name
        self._rows = rows
        self._step_a = np.array([evse.step_a for evse in evses])
        self._index = np.arange(len(evses))
        self._ones = np.ones(len(evses))

    def currents_a(self, crowd: Crowd, *, now_s: float, seconds: float, room: FloatArray) -> FloatArray:
        """Return currents that keep every row, each 0 or at least its minimum, in whole steps of its station."""
        hungry = crowd.hungry
        rows = np.flatnonzero(hungry)
        if not rows.size:
            return np.zeros(len(hungry))
        left_wh = np.maximum(crowd.said_wh - crowd.energy_wh, 0.0)
        done = left_wh <= _DONE_WH  # it has what was said and still draws: served when nobody else wants
        asks_a = left_wh * SECONDS_PER_HOUR / (crowd.w_per_a * seconds)
        cap_a = np.where(done, crowd.max_a, np.minimum(crowd.max_a, np.maximum(asks_a, crowd.min_a)))
        level = Level(room=room.copy(), current_a=np.zeros(len(hungry)), cap_a=np.where(hungry, cap_a, 0.0))
        key = self._key(crowd, now_s=now_s, left_wh=left_wh)
        order = rows[np.lexsort((rows, key[rows], done[rows]))]
        if self._name in IN_TURN:
            raise_in_turn(self._rows, level, order, floor_a=crowd.min_a)
        else:
            self._share(crowd, level, order, hungry & ~done)
            if done[order].any():
                self._share(crowd, level, order, hungry & done)
        whole_a = np.floor(level.current_a / self._step_a + 1e-9) * self._step_a
        return np.asarray(np.where(whole_a >= crowd.min_a - CURRENT_TOLERANCE_A, whole_a, 0.0))

    def _share(self, crowd: Crowd, level: Level, order: IntArray, members: BoolArray) -> None:
        admit(self._rows, level, order[members[order]], floor_a=crowd.min_a)
        raise_together(self._rows, level, members & (level.current_a > 0.0), self._ones)

    def _key(self, crowd: Crowd, *, now_s: float, left_wh: FloatArray) -> FloatArray:
        match self._name:
            case "first_come" | "equal_share":
                return crowd.arrival_s
            case "earliest_deadline":
                return crowd.said_departure_s
            case "least_laxity":
                return crowd.said_departure_s - now_s - left_wh / crowd.full_w * SECONDS_PER_HOUR
            case _:
                return np.asarray((self._index - int(now_s // ROTATION_S)) % len(self._index), dtype=np.float64)


def own_coefficients(rows: NetworkRows) -> NetworkRows:
    """Return rows whose coefficients may be changed without changing anybody else's."""
    return replace(rows, coefficient=rows.coefficient.copy())
