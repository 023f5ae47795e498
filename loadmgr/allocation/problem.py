"""What an allocation is asked: arrays of one site over one grid of steps.

Rules of this file:

1. Arrays are ``[evse, step]``, ``[circuit, step]`` or ``[circuit, phase, step]``, in that order; phases are L1, L2, L3.
2. Currents are A per phase, powers W in total, energies Wh, times s after the start of the grid.
3. Nothing is NaN or infinite. What does not apply is masked by a boolean array, or absent (``None``).
4. It knows no solver and no policy: it is the question, not the answer.
"""

from dataclasses import dataclass, field, fields

import numpy as np

from loadmgr.allocation.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    require_distinct,
    require_finite,
    require_range,
    require_shape,
    require_tree,
)
from loadmgr.allocation.money import SiteMoney, StationaryBattery
from loadmgr.allocation.ties import session_seeds
from loadmgr.model.series import TimeGrid

PHASES = 3
TIERS = ("must", "wanted", "full")
NOMINAL_VOLTAGE_V = 230.0

EVSE_NUMBERS = (
    "w_per_a",
    "min_a",
    "step_a",
    "delivered_wh",
    "efficiency_ratio",
    "guaranteed_w",
    "keep_on_s",
    "keep_off_s",
    "taper_wh",
    "discharge_room_wh",
    "discharge_efficiency_ratio",
    "discharge_price_per_kwh",
    "kept_a",
)
"""Fields of ``EvseArrays`` that hold one number for each EVSE, called the same in a request."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CircuitArrays:
    """The circuit tree with its limits and what else it carries.

    Parameters
    ----------
    ids : tuple of str
        One label for each circuit.
    parents : tuple of (int or None)
        Index of the circuit that feeds this one; ``None`` for the top of a tree.
    limit_a : (n_circuit, 3, n_step)
        Limit of each phase [A].
    limit_a_applies : (n_circuit, 3, n_step)
        Where ``limit_a`` is a limit.
    limit_w : (n_circuit, n_step)
        Limit of the total power [W].
    limit_w_applies : (n_circuit, n_step)
        Where ``limit_w`` is a limit.
    side_load_a : (n_circuit, 3, n_step)
        What hangs on this very circuit beside EVSEs and child circuits [A]; a reliable feed-in is negative.
    lasting_a : (n_circuit, 3)
        Limit of each phase that has to hold with nobody in control [A]: EVSEs count with ``kept_a`` at least.
    lasting_a_applies : (n_circuit, 3) bool
    lasting_w : (n_circuit,)
        The same of the total power [W].
    lasting_w_applies : (n_circuit,) bool
    unbalance_a : tuple of (float or None)
        Largest difference between two phases of a circuit [A].
    neutral_limit_a : tuple of (float or None)
        Largest current in the neutral of a circuit [A].
    transformer_ratio : tuple of (float or None)
        A delta-wye transformer hangs below this circuit, whose limits are primary line currents; the ratio is primary
        line-to-line voltage over secondary phase voltage (480 V / 120 V = 4).
    scarce : tuple of bool
        Whether a circuit tends to be full: vehicles to come will want its room, so energy now goes before cheap energy
        later.
    """

    ids: tuple[str, ...]
    parents: tuple[int | None, ...]
    limit_a: FloatArray
    limit_a_applies: BoolArray
    limit_w: FloatArray
    limit_w_applies: BoolArray
    side_load_a: FloatArray
    lasting_a: FloatArray
    lasting_a_applies: BoolArray
    lasting_w: FloatArray
    lasting_w_applies: BoolArray
    unbalance_a: tuple[float | None, ...]
    neutral_limit_a: tuple[float | None, ...]
    transformer_ratio: tuple[float | None, ...]
    scarce: tuple[bool, ...]

    def __post_init__(self) -> None:
        require_distinct("circuits.ids", self.ids)
        n, steps = len(self.ids), self.limit_a.shape[-1]
        for name in ("limit_a", "limit_a_applies", "side_load_a"):
            require_shape(f"circuits.{name}", getattr(self, name), (n, PHASES, steps))
        flat = {"limit_w": (n, steps), "limit_w_applies": (n, steps), "lasting_w": (n,), "lasting_w_applies": (n,)}
        flat |= {"lasting_a": (n, PHASES), "lasting_a_applies": (n, PHASES)}
        for name, shape in flat.items():
            require_shape(f"circuits.{name}", getattr(self, name), shape)
        for name in ("parents", "unbalance_a", "neutral_limit_a", "transformer_ratio", "scarce"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"circuits.{name} must hold {n} values, got {len(getattr(self, name))}")
        require_finite("circuits", self)
        for name in ("limit_a", "limit_w", "lasting_a", "lasting_w"):
            require_range(f"circuits.{name}", getattr(self, name), self.ids, low=0.0)
        for name in ("unbalance_a", "neutral_limit_a", "transformer_ratio"):
            for circuit_id, value in zip(self.ids, getattr(self, name), strict=True):
                if value is not None and not (isinstance(value, int | float | np.number) and 0.0 < value < 1e9):
                    raise ValueError(f"circuits.{name} of {circuit_id} must be one number in (0, 1e9), got {value}")
        require_tree(self.ids, self.parents)

    def ancestry(self) -> tuple[tuple[int, ...], ...]:
        """Return for each circuit itself and everything that feeds it, from the circuit up."""
        out = []
        for start in range(len(self.ids)):
            chain, at = [], start
            while True:
                chain.append(at)
                above = self.parents[at]
                if above is None:
                    break
                at = above
            out.append(tuple(chain))
        return tuple(out)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvseArrays:
    """The EVSEs that have something plugged in (or expected), one row each.

    Parameters
    ----------
    ids, session_ids : tuple of str
        Label of the EVSE and of the session; ties between sessions are broken by the session's label.
    circuit : (n_evse,) int
        Index of the circuit that feeds the EVSE.
    on_phase : (n_evse, 3) bool
        Phases of the site that the vehicle draws on, the EVSE's rotation applied.
    line_to_line : (n_evse,) bool
        The load hangs between two phases instead of between phases and neutral.
    w_per_a : (n_evse,)
        Power [W] of 1 A per phase.
    min_a : (n_evse,)
        Below this is a pause [A]; 0 where any current is possible.
    max_a : (n_evse, n_step)
        Most that may be drawn [A]: EVSE, cable, vehicle and composite limits; 0 outside the stay.
    presence_ratio : (n_evse, n_step)
        Part of the step within the stay.
    step_a : (n_evse,)
        A setpoint is a multiple of this [A].
    pilots_a : tuple of (tuple of float or None)
        Where given, the only setpoints above 0 [A].
    need_wh : (n_evse, 3)
        Energy still to deliver for must, wanted and full [Wh], each including the one before.
    delivered_wh : (n_evse,)
        Energy delivered in this session so far [Wh].
    efficiency_ratio : (n_evse,)
        Energy counted towards the need over energy drawn.
    priority : (n_evse,) int
        Class; a higher class goes first.
    guaranteed_w : (n_evse,)
        Power that the session should have in each step while it needs energy [W].
    pause_ok : (n_evse,) bool
        Whether the vehicle wakes up again after 0 A.
    arrival_s, departure_s : (n_evse,)
        Start and end of the stay after the grid's start [s]; the end may lie beyond the grid.
    must_by_s : (n_evse,)
        When the part that must be is due, after the grid's start [s]; at the latest at departure.
    departure_known : (n_evse,) bool
        Whether ``departure_s`` is known; else it is the end of the grid.
    previous_a : (n_evse, n_step)
        Setpoints of the plan in force, on this grid [A].
    has_previous : (n_evse,) bool
        Whether there is a plan in force.
    keep_on_s, keep_off_s : (n_evse,)
        How long the EVSE must still stay on, or off [s].
    taper_wh : (n_evse,)
        Over the last so many Wh before full the current falls in a straight line [Wh].
    discharge_max_a : (n_evse, n_step)
        Most that the vehicle may feed back [A].
    discharge_room_wh : (n_evse,)
        How far below its present state the vehicle may be discharged [Wh].
    discharge_efficiency_ratio : (n_evse,)
        Energy fed back over energy taken out of the battery.
    discharge_price_per_kwh : (n_evse,)
        What feeding back costs beside the energy (wear).
    kept_a : (n_evse,)
        What the vehicle that takes the place of this one may draw unheard [A]; lasting limits carry it in any case.
    seeds : (n_evse,) int
        A number for each session, from its label alone, by which ties are broken.
    """

    ids: tuple[str, ...]
    session_ids: tuple[str, ...]
    circuit: IntArray
    on_phase: BoolArray
    line_to_line: BoolArray
    w_per_a: FloatArray
    min_a: FloatArray
    max_a: FloatArray
    presence_ratio: FloatArray
    step_a: FloatArray
    pilots_a: tuple[tuple[float, ...] | None, ...]
    need_wh: FloatArray
    delivered_wh: FloatArray
    efficiency_ratio: FloatArray
    priority: IntArray
    guaranteed_w: FloatArray
    pause_ok: BoolArray
    arrival_s: FloatArray
    departure_s: FloatArray
    must_by_s: FloatArray
    departure_known: BoolArray
    previous_a: FloatArray
    has_previous: BoolArray
    keep_on_s: FloatArray
    keep_off_s: FloatArray
    taper_wh: FloatArray
    discharge_max_a: FloatArray
    discharge_room_wh: FloatArray
    discharge_efficiency_ratio: FloatArray
    discharge_price_per_kwh: FloatArray
    kept_a: FloatArray
    seeds: IntArray = field(init=False)

    @property
    def tier_wh(self) -> FloatArray:
        """Energy still to deliver in each tier alone [Wh], ``(n_evse, 3)``."""
        out = self.need_wh.copy()
        out[:, 1:] -= self.need_wh[:, :-1]
        return out

    def __post_init__(self) -> None:
        require_distinct("evses.ids", self.ids)
        object.__setattr__(self, "seeds", session_seeds(self.session_ids))
        n, steps = len(self.ids), self.max_a.shape[-1]
        for name in ("max_a", "presence_ratio", "previous_a", "discharge_max_a"):
            require_shape(f"evses.{name}", getattr(self, name), (n, steps))
        require_shape("evses.on_phase", self.on_phase, (n, PHASES))
        require_shape("evses.need_wh", self.need_wh, (n, len(TIERS)))
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, tuple) and len(value) != n:
                raise ValueError(f"evses.{item.name} must hold {n} values, got {len(value)}")
            if isinstance(value, np.ndarray) and value.shape[:1] != (n,):
                raise ValueError(f"evses.{item.name} must have {n} rows, got shape {value.shape}")
        require_finite("evses", self)
        self._require_ranges()

    def _require_ranges(self) -> None:
        at_least_zero = ("min_a", "max_a", "need_wh", "delivered_wh", "guaranteed_w", "keep_on_s", "keep_off_s")
        for name in (
            *at_least_zero,
            "taper_wh",
            "discharge_max_a",
            "discharge_room_wh",
            "discharge_price_per_kwh",
            "kept_a",
        ):
            require_range(f"evses.{name}", getattr(self, name), self.ids, low=0.0)
        for name in ("w_per_a", "step_a"):
            require_range(f"evses.{name}", getattr(self, name), self.ids, low=1e-9)
        for name in ("efficiency_ratio", "discharge_efficiency_ratio"):
            require_range(f"evses.{name}", getattr(self, name), self.ids, low=1e-3, high=1.0)
        require_range("evses.presence_ratio", self.presence_ratio, self.ids, low=0.0, high=1.0)
        require_range("evses.departure_s - arrival_s", self.departure_s - self.arrival_s, self.ids, low=0.0)
        require_range("evses.need_wh (each tier includes the one before)", np.diff(self.need_wh), self.ids, low=0.0)
        for evse_id, count in zip(self.ids, self.on_phase.sum(axis=1), strict=True):
            if count == 0:
                raise ValueError(f"evses.on_phase of {evse_id} must name 1 to 3 phases, got none")
        for evse_id, pilots_a in zip(self.ids, self.pilots_a, strict=True):
            if pilots_a is not None and (not pilots_a or min(pilots_a) <= 0.0):
                raise ValueError(f"evses.pilots_a of {evse_id} must hold currents above 0, got {pilots_a}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AllocationProblem:
    """Everything that decides who gets what: one site over one grid of steps."""

    grid: TimeGrid
    circuits: CircuitArrays
    evses: EvseArrays
    money: SiteMoney
    batteries: tuple[StationaryBattery, ...] = ()
    hours: FloatArray = field(init=False)
    wh_per_a: FloatArray = field(init=False, repr=False)
    """Energy towards the need of 1 A per phase in a step [Wh], ``(n_evse, n_step)``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hours", np.array(self.grid.hours))
        steps = len(self.grid)
        for name, array in (
            ("circuits.limit_a", self.circuits.limit_a),
            ("evses.max_a", self.evses.max_a),
            ("money.import_price_per_kwh", self.money.import_price_per_kwh),
        ):
            if array.shape[-1] != steps:
                raise ValueError(f"{name} must have {steps} steps as the grid has, got {array.shape[-1]}")
        for charge in self.money.demand_charges:
            if charge.applies is not None:
                require_shape("demand charge applies", charge.applies, (steps,))
        count = len(self.circuits.ids)
        bad = np.flatnonzero((self.evses.circuit < 0) | (self.evses.circuit >= count))
        if bad.size:
            raise ValueError(f"evses.circuit of {self.evses.ids[bad[0]]} must name one of {count} circuits")
        for battery in self.batteries:
            if not 0 <= battery.circuit < count:
                raise ValueError(f"battery {battery.id}: circuit must name one of {count} circuits")
        gain = self.evses.w_per_a * self.evses.efficiency_ratio
        object.__setattr__(self, "wh_per_a", gain[:, None] * self.evses.presence_ratio * self.hours)

    @property
    def n_evses(self) -> int:
        """Number of EVSEs."""
        return len(self.evses.ids)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.grid)

    @property
    def due_ratio(self) -> FloatArray:
        """Part of each step that lies before the part that must be is due, ``(n_evse, n_step)``."""
        offsets_s = np.array(self.grid.offsets_s, dtype=np.float64)
        before_s = self.evses.must_by_s[:, None] - offsets_s[:-1]
        return np.asarray(np.clip(before_s / np.diff(offsets_s), 0.0, 1.0))


def presence_ratio(offsets_s: FloatArray, stays_s: FloatArray) -> FloatArray:
    """Return which share of each step each vehicle is there, ``(n_evse, n_step)``.

    ``offsets_s`` are the edges of the steps and ``stays_s`` the starts and ends of the stays, ``(n_evse, 2)`` [s].
    """
    inside = np.minimum(offsets_s[1:], stays_s[:, 1:]) - np.maximum(offsets_s[:-1], stays_s[:, :1])
    return np.asarray(np.clip(inside / np.diff(offsets_s), 0.0, 1.0))
