"""Limits as exact integers, and back to tenths of A or W.

Rules
-----
1. Every limit becomes a *key*: a power per phase, because limits are compared as current per phase, each by its own
   period's phase count, at the nominal voltage (K01.FR.50). A key counts sixths of a milliwatt (of a microwatt where
   the voltage is no whole number): milliampere times volt is milliwatt, and a sixth divides W by 1, 2 and 3 phases
   without a remainder. So comparing and converting are exact.
2. Numbers are read to a thousandth of their unit, answers are tenths (the 1.6 schema has one decimal). Both round
   towards zero: a limit is never rounded up, a discharge limit never becomes more negative.
3. A period without a phase count is one of three phases on AC (K01.FR.49). On DC phases play no part (K01.FR.44).
"""

from dataclasses import dataclass
from functools import lru_cache

from loadmgr.model.profile import RateUnit

NO_LIMIT = 1 << 200
"""Key of a period without a limit: above every limit, so that taking the lowest needs no special case."""

UNNAMED_PHASES = 4
"""Phase code where nothing named a phase count and the answer shall not either; it counts as 3."""

READ_TOLERANCE = 1e-4
"""In thousandths: 16.1 * 1000 is 16100.000000000002, 2.3 * 1000 is 2299.9999999999995."""


class PhaseTable(dict[int | None, tuple[int, int]]):
    """Factor and phase code for each phase count that a period may name; every other count is read as none."""

    def __missing__(self, phases: int | None) -> tuple[int, int]:
        """Return those of a period that names no phase count."""
        return self[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How periods of one station become keys and keys become answers.

    Parameters
    ----------
    scales_a, scales_w : PhaseTable
        What turns thousandths of a limit into a key, and the phase code, by the period's phase count.
    single_a, single_w : int
        The factor of a value of one phase alone (L1, L2 or L3).
    multipliers : tuple of int
        Phases that a phase code counts for, by code.
    per_tenth_a, per_tenth_w : int
        How many units of a key make a tenth.
    steps_a, steps_w : tuple of int
        How many units of a key make a tenth of the answer, by phase code: a tenth of a watt on three phases is a
        third of one on each. ``per_tenth_w`` divides by every phase count, so nothing is rounded.
    """

    scales_a: PhaseTable
    scales_w: PhaseTable
    single_a: int
    single_w: int
    multipliers: tuple[int, ...]
    per_tenth_a: int
    per_tenth_w: int
    steps_a: tuple[int, ...]
    steps_w: tuple[int, ...]

    def scales(self, unit: RateUnit) -> PhaseTable:
        """Return factor and phase code of each phase count, for limits in a unit."""
        return self.scales_a if unit is RateUnit.A else self.scales_w

    def steps(self, unit: RateUnit) -> tuple[int, ...]:
        """Return how many units of a key make a tenth of a unit, by phase code."""
        return self.steps_a if unit is RateUnit.A else self.steps_w

    def tenths(self, key: int, unit: RateUnit, phases: int) -> int:
        """Return ``key`` over ``phases`` in tenths of ``unit``, rounded towards zero."""
        size = abs(key) // self.per_tenth_a if unit is RateUnit.A else abs(key) * phases // self.per_tenth_w
        return -size if key < 0 else size


@lru_cache(maxsize=256)
def conversion(*, voltage_v: float, direct_current: bool, dc_phases: bool, silent: bool) -> Conversion:
    """Return the conversion of a station.

    Parameters
    ----------
    voltage_v : float
        Nominal line voltage [V].
    direct_current : bool
    dc_phases : bool
        Whether phases named for a DC EVSE are told on.
    silent : bool
        Whether an answer leaves out a phase count that nothing named (1.6, DC).
    """
    per_volt = 1 if float(voltage_v).is_integer() else 1000
    volt = round(voltage_v * per_volt)
    watt = 6 * per_volt
    unnamed = UNNAMED_PHASES if silent else 3
    told = not direct_current or dc_phases
    counts = {n: n if told else unnamed for n in (1, 2, 3)}
    multipliers = (1, 1, 1, 1, 1, 1) if direct_current else (3, 1, 2, 3, 3, 3)
    return Conversion(
        scales_a=PhaseTable({None: (6 * volt, unnamed)} | {n: (6 * volt, code) for n, code in counts.items()}),
        scales_w=PhaseTable(
            {None: (watt if direct_current else watt // 3, unnamed)}
            | {n: (watt if direct_current else watt // n, code) for n, code in counts.items()}
        ),
        single_a=6 * volt,
        single_w=watt,
        multipliers=multipliers,
        per_tenth_a=600 * volt,
        per_tenth_w=100 * watt,
        steps_a=(600 * volt,) * len(multipliers),
        steps_w=tuple(100 * watt // phases for phases in multipliers),
    )


def thousandths(value: float) -> int:
    """Return ``value`` in thousandths, rounded towards zero; a value within 1e-7 of a multiple is that multiple."""
    if value < 0.0:
        return -int(value * -1000.0 + READ_TOLERANCE)
    return int(value * 1000.0 + READ_TOLERANCE)
