"""The windows of a demand charge laid over the steps of a grid."""

from dataclasses import dataclass

import numpy as np

from loadmgr.allocation.arrays import BoolArray, FloatArray, IntArray
from loadmgr.allocation.money import DemandCharge
from loadmgr.allocation.problem import AllocationProblem


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """Windows of the clock, those that lie within one and the same step taken as one.

    Parameters
    ----------
    of_step : (n_step, k) int
        Windows that a step reaches into.
    share_of_step : (n_step, k)
        Part of that window's mean that the step's power makes; 0 where the slot is empty.
    before_kw : (n_window,)
        What the energy of the running window before the grid's start adds to its mean [kW].
    counts : (n_window,) bool
        Whether the charge applies in a window.
    """

    of_step: IntArray
    share_of_step: FloatArray
    before_kw: FloatArray
    counts: BoolArray

    def mean_kw(self, power_kw: FloatArray) -> FloatArray:
        """Return the mean of a power over each window [kW]."""
        mean = self.before_kw.copy()
        np.add.at(mean, self.of_step, self.share_of_step * power_kw[:, None])
        return mean

    def may_bind(self, most_kw: FloatArray, base_kw: FloatArray) -> BoolArray:
        """Return which windows count at all and could rise above 0."""
        return np.asarray(self.counts & (self.mean_kw(most_kw + base_kw) > 0.0))


def windows(problem: AllocationProblem, charge: DemandCharge) -> Windows:
    """Return the windows of a charge over the grid of a problem.

    Notes
    -----
    A window that is only partly on the grid counts what lies on it: at the start the running energy makes up for it.
    A window counts if the charge applies in any step that it shares with.
    """
    start_s = int(problem.grid.start.timestamp())
    edges_s = np.array(problem.grid.offsets_s, dtype=np.int64) + start_s
    first, last = edges_s[:-1] // charge.window_s, (edges_s[1:] - 1) // charge.window_s
    inside = (edges_s[:-1] % charge.window_s == 0) & (edges_s[1:] % charge.window_s == 0) & (last > first)
    last = np.where(inside, first, last)
    width = int((last - first).max()) + 1
    number = first[:, None] + np.arange(width)
    begin, end = number * charge.window_s, (number + 1) * charge.window_s
    overlap_s = np.minimum(edges_s[1:, None], end) - np.maximum(edges_s[:-1, None], begin)
    share = np.where(number <= last[:, None], np.clip(overlap_s / charge.window_s, 0.0, 1.0), 0.0)
    labels, place = np.unique(number, return_inverse=True)
    place = place.reshape(number.shape)
    before_kw = np.zeros(len(labels))
    if start_s % charge.window_s:
        before_kw[place[0, 0]] = charge.running_energy_wh / 1000.0 / (charge.window_s / 3600.0)
    counts = np.zeros(len(labels), dtype=bool)
    applies = np.ones(problem.n_steps, dtype=bool) if charge.applies is None else charge.applies
    counts[place[(share > 0.0) & applies[:, None]]] = True
    return Windows(of_step=place, share_of_step=share, before_kw=before_kw, counts=counts)
