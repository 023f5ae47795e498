"""The answer to GetCompositeSchedule as a value, and what it says where nothing limits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from loadmgr.composite.compiled import NO_CODE, Record
from loadmgr.composite.conversion import UNNAMED_PHASES
from loadmgr.composite.hardware import HardwareLimit
from loadmgr.composite.settings import StationSettings
from loadmgr.model.ids import ProfileId
from loadmgr.model.profile import OcppVersion, RateUnit, SchedulePeriod

Row = tuple[int, float | None, int]
"""Start [s], limit and phase code."""

Deciders = Callable[[], list[tuple[Record, ...]]]
"""Returns all records that decide each period; none where the default does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositePeriod:
    """One period of a composite schedule.

    Parameters
    ----------
    start_s : int
        Start [s] after the schedule's start.
    limit : float or None
        In the schedule's unit; ``None`` where nothing limits and the station has no default.
    phases : int or None
        Phase count; ``None`` where nothing names one.
    because : tuple of ProfileId
        The profiles that decide the limit; empty where the default does.
    """

    start_s: int
    limit: float | None
    phases: int | None
    because: tuple[ProfileId, ...]


class CompositeSchedule(NamedTuple):
    """The composite schedule of an EVSE, or of the station (EVSE 0).

    Parameters
    ----------
    evse_id : int
    start : datetime
    duration_s : int
        As asked, or less where the work would exceed its bound.
    unit : RateUnit
        A per phase, or W in total.
    rows : list of Row
        The periods; the first starts at 0.
    decide : Deciders, optional
        Says on demand what decides each period: few ask, and noting it would cost every answer.
    rich : list of SchedulePeriod, optional
        The periods with all their fields, where a profile says more than a limit and a phase count (2.x).
    """

    evse_id: int
    start: datetime
    duration_s: int
    unit: RateUnit
    rows: list[Row]
    decide: Deciders | None = None
    rich: list[SchedulePeriod] | None = None

    @property
    def deciders(self) -> list[tuple[Record, ...]]:
        """The records that decide each period: several in sums and with values per phase, none for the default."""
        return [()] * len(self.rows) if self.decide is None else self.decide()

    @property
    def periods(self) -> tuple[CompositePeriod, ...]:
        """The periods as values, each with the profiles that decide it."""
        return tuple(
            CompositePeriod(start_s=start_s, limit=limit, phases=phase_count(code), because=profile_ids(by))
            for (start_s, limit, code), by in zip(self.rows, self.deciders, strict=True)
        )


def phase_count(code: int) -> int | None:
    """Return the phase count of a phase code; ``None`` where none was named."""
    return code if code < UNNAMED_PHASES else None


def profile_ids(records: Iterable[Record]) -> tuple[ProfileId, ...]:
    """Return the ids of the profiles that ``records`` belong to, each once; the vehicle's own schedule has none."""
    return tuple(dict.fromkeys(owner.profile.profile_id for _, _, owner, _ in records if owner.order))


def default_tenths(settings: StationSettings, unit: RateUnit) -> int | None:
    """Return what is answered where nothing limits, in tenths; the other unit is converted if only one is set."""
    current_a, power_w, phases = settings.default_current_a, settings.default_power_w, settings.default_phases or 3
    if unit is RateUnit.A:
        if current_a is None and power_w is not None:
            current_a = power_w / (settings.voltage_v * phases)
        return None if current_a is None else int(current_a * 10.0 + 1e-6)
    if power_w is None and current_a is not None:
        power_w = current_a * settings.voltage_v * phases
    return None if power_w is None else int(power_w * 10.0 + 1e-6)


def hardware_tenths(hardware: HardwareLimit, unit: RateUnit, code: int, settings: StationSettings) -> int:
    """Return a hardware limit in tenths, with the phase code of an answer."""
    return hardware.tenths(unit, voltage_v=settings.voltage_v, phases=settings.conversion.multipliers[code])


def within_hardware(
    period: SchedulePeriod, hardware: HardwareLimit, unit: RateUnit, settings: StationSettings
) -> SchedulePeriod:
    """Return a period of an answer with what the hardware cannot do cut off; values per phase share a power."""
    code = period.phases or UNNAMED_PHASES
    whole = hardware_tenths(hardware, unit, code, settings)
    each = whole // settings.conversion.multipliers[code] if unit is RateUnit.W else whole
    changes: dict[str, Any] = {"limit": whole / 10} if period.limit is None else {}
    for name in ("limit", "discharge_limit", "setpoint"):
        most = (whole if getattr(period, f"{name}_l2") is None else each) / 10
        for phase in ("", "_l2", "_l3"):
            value = getattr(period, f"{name}{phase}")
            if value is not None and abs(value) > most:
                changes[f"{name}{phase}"] = most if value > 0.0 else -most
    return replace(period, **changes) if changes else period


def shown_code(code: int, settings: StationSettings) -> int:
    """Return the phase code to answer where nothing limits.

    Where nothing leads it is that of the default: 2.x answers with a count on AC, 1.6 with one that was named.
    """
    if code != NO_CODE:
        return code
    if settings.direct_current:
        return UNNAMED_PHASES
    if settings.default_phases is not None:
        return settings.default_phases
    return UNNAMED_PHASES if settings.version is OcppVersion.V16 else 3
