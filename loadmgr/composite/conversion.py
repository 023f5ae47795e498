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

from loadmgr.model.profile import RateUnit

NO_LIMIT = 1 << 200
"""Key of a period without a limit: above every limit, so that taking the lowest needs no special case."""

UNNAMED_PHASES = 4
"""Phase code where nothing named a phase count and the answer shall not either; it counts as 3."""

_READ_TOLERANCE = 1e-4  # thousandths: 16.1 * 1000 is 16100.000000000002, 2.3 * 1000 is 2299.9999999999995


class PhaseTable(dict[int | None, int]):
    """A number for each phase count that a period may name; every other count is read as none."""

    def __missing__(self, phases: int | None) -> int:
        """Return the number of a period that names no phase count."""
        return self[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How periods of one station become keys and keys become answers.

    Parameters
    ----------
    factors_a, factors_w : PhaseTable
        What turns thousandths of a limit into a key, by the period's phase count.
    codes : PhaseTable
        Phase code of a period's phase count.
    single_a, single_w : int
        The factor of a value of one phase alone (L1, L2 or L3).
    multipliers : tuple of int
        Phases that a phase code counts for, by code.
    per_tenth_a, per_tenth_w : int
        How many units of a key make a tenth.
    """

    factors_a: PhaseTable
    factors_w: PhaseTable
    codes: PhaseTable
    single_a: int
    single_w: int
    multipliers: tuple[int, ...]
    per_tenth_a: int
    per_tenth_w: int

    def factors(self, unit: RateUnit) -> PhaseTable:
        """Return the factors of a unit."""
        return self.factors_a if unit is RateUnit.A else self.factors_w

    def tenths(self, key: int, unit: RateUnit, phases: int) -> int:
        """Return ``key`` over ``phases`` in tenths of ``unit``, rounded towards zero."""
        size = abs(key) // self.per_tenth_a if unit is RateUnit.A else abs(key) * phases // self.per_tenth_w
        return -size if key < 0 else size


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
    counts = (1, 2, 3)
    return Conversion(
        factors_a=PhaseTable({None: 6 * volt} | dict.fromkeys(counts, 6 * volt)),
        factors_w=PhaseTable(
            {None: watt if direct_current else watt // 3} | {n: watt if direct_current else watt // n for n in counts}
        ),
        codes=PhaseTable({None: unnamed} | {n: n if told else unnamed for n in counts}),
        single_a=6 * volt,
        single_w=watt,
        multipliers=(1, 1, 1, 1, 1, 1) if direct_current else (3, 1, 2, 3, 3, 3),
        per_tenth_a=600 * volt,
        per_tenth_w=100 * watt,
    )


def thousandths(value: float) -> int:
    """Return ``value`` in thousandths, rounded towards zero; a value within 1e-7 of a multiple is that multiple."""
    if value < 0.0:
        return -int(value * -1000.0 + _READ_TOLERANCE)
    return int(value * 1000.0 + _READ_TOLERANCE)
