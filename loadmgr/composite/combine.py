"""What the leading periods of one instant make together, with all that OCPP 2.1 adds.

Rules
-----
1. limit: the lowest of transaction layer, external constraints, the vehicle's own schedule and station maximum
   (K08.FR.04, SC.04); dischargeLimit: the one closest to zero.
2. setpoint: only the transaction layer and external constraints carry one. Where both do one source is taken, its
   reactive part with it, never a minimum: the external one unless SetpointPriority is CSMS (Q06.FR.20 to Q06.FR.22).
   Then it is capped by limit and dischargeLimit (V2X.03, V2X.04, K08.FR.08).
3. A limit at a state of charge caps limit and setpoint of its own schedule (K01.FR.100); without a known state it does
   nothing.
4. Values per phase: a value with L2 or L3 is that of L1, without a phase factor. If one takes part, the others are
   spread: A is copied, W divided by its own phase count. With one phase the lowest of the three counts (K01.FR.147).
5. The phase count is the lowest of those that take part (K01.FR.140); phaseToUse is told only if it is one and all that
   name it agree.
6. LocalGeneration is added to the finished limit, so the sum may exceed the station maximum: generation is behind the
   meter (SC.01, K08.FR.04).
7. Idle means no energy: a limit of 0, and no generation is added to it (Q10).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from loadmgr.composite.compiled import Record
from loadmgr.composite.conversion import NO_LIMIT, UNNAMED_PHASES, thousandths
from loadmgr.composite.settings import StationSettings
from loadmgr.model.profile import OperationMode, RateUnit, SchedulePeriod

Keys = tuple[int, int, int]
"""Power per phase on L1, L2 and L3, in the unit of :mod:`loadmgr.composite.conversion`."""

Tenths = tuple[int | None, int | None, int | None]
"""A value in tenths of A or W: alone, or for L1, L2 and L3."""


class Leads(NamedTuple):
    """The leading record of each layer at one instant."""

    tx: Record | None
    external: Record | None
    vehicle: Record | None
    maximum: Record | None
    generation: Record | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """What holds at one instant, as powers per phase.

    Parameters
    ----------
    limit, discharge, setpoint, reactive : Keys or None
    per_phase : frozenset of str
        Which of them were given per phase.
    phase_code : int or None
        ``None`` where no layer has a period.
    phase_to_use : int or None
    mode : OperationMode or None
    generation : Record or None
        What is added to the limit.
    told : SchedulePeriod or None
        The period whose remaining fields are told on.
    deciders : tuple of Record
        What decides the limit.
    """

    limit: Keys | None
    discharge: Keys | None
    setpoint: Keys | None
    reactive: Keys | None
    per_phase: frozenset[str]
    phase_code: int | None
    phase_to_use: int | None
    mode: OperationMode | None
    generation: Record | None
    told: SchedulePeriod | None
    deciders: tuple[Record, ...]


def combine(leads: Leads, settings: StationSettings, *, soc_percent: float | None) -> Combined:
    """Return what the leading records of one instant make together.

    Parameters
    ----------
    leads : Leads
    settings : StationSettings
    soc_percent : float, optional
        State of charge of the vehicle [%].
    """
    taking_part = [record for record in leads if record is not None]
    capping = [record for record in leads[:4] if record is not None]
    code = min((record[1] for record in taking_part), default=None)
    limit, deciders, spread = _lowest_limit(capping, settings, soc_percent)
    discharge: Keys | None = None
    for record in capping:
        keys, split = _keys(record, "discharge_limit", settings)
        if keys is not None:
            spread |= {"discharge_limit"} if split else set()
            discharge = keys if discharge is None else _each(max, discharge, keys)
    setpoint, reactive, split_names = _setpoint(leads, settings, soc_percent)
    spread |= split_names
    if setpoint is not None:
        setpoint = _capped(setpoint, limit, discharge)
        if len(set(setpoint)) > 1:
            spread.add("setpoint")
    mode = _mode(leads)
    idle = mode is OperationMode.IDLE
    phases_to_use = {period.phase_to_use for _, _, _, period in taking_part} - {None}
    told = leads.tx or leads.external
    return Combined(
        limit=(0, 0, 0) if idle else limit,
        discharge=None if idle else discharge,
        setpoint=None if idle else setpoint,
        reactive=None if idle else reactive,
        per_phase=frozenset() if idle else frozenset(spread),
        phase_code=code,
        phase_to_use=phases_to_use.pop() if code == 1 and len(phases_to_use) == 1 else None,
        mode=mode,
        generation=None if idle else leads.generation,
        told=None if told is None else told[3],
        deciders=_deciders(leads, deciders, idle=idle),
    )


def to_period(
    combined: Combined, unit: RateUnit, settings: StationSettings, default_tenths: int | None
) -> SchedulePeriod:
    """Return ``combined`` in the asked unit, tenths rounded towards zero, at start 0.

    Parameters
    ----------
    combined : Combined
    unit : RateUnit
    settings : StationSettings
    default_tenths : int or None
        What is answered where nothing limits.
    """
    code = UNNAMED_PHASES if combined.phase_code is None else combined.phase_code
    phases = settings.conversion.multipliers[code]
    limit = _values("limit", combined.limit, combined, unit, phases=phases, settings=settings)
    if combined.limit is None:
        limit = (default_tenths, None, None)
    if combined.generation is not None:
        limit = _with_generation(limit, combined.generation, unit, settings)
    told = combined.told or SchedulePeriod(start_s=0)
    sleep = told.evse_sleep and settings.supports_evse_sleep if told.evse_sleep is not None else None
    values = {
        "discharge_limit": combined.discharge,
        "setpoint": combined.setpoint,
        "setpoint_reactive": combined.reactive,
    }
    numbers: dict[str, float | None] = {}
    for name, keys in values.items():
        tenths = _values(name, keys, combined, unit, phases=phases, settings=settings)
        numbers |= _numbers(name, tenths)
    return SchedulePeriod(
        start_s=0,
        phases=None if code == UNNAMED_PHASES else code,
        phase_to_use=combined.phase_to_use,
        operation_mode=combined.mode,
        evse_sleep=sleep,  # unsupported sleep is reported false (Q10.FR.05)
        preconditioning_request=told.preconditioning_request,
        v2x_baseline_w=told.v2x_baseline_w,
        freq_watt_curve=told.freq_watt_curve,
        signal_watt_curve=told.signal_watt_curve,
        opaque=(),
        **_numbers("limit", limit),
        **numbers,
    )


def key_of(value: float, record: Record, settings: StationSettings) -> int:
    """Return a value of a record's own schedule as a power per phase."""
    _, _, owner, period = record
    return thousandths(value) * settings.conversion.scales(owner.schedule.unit)[period.phases][0]


def _lowest_limit(
    capping: list[Record], settings: StationSettings, soc_percent: float | None
) -> tuple[Keys | None, tuple[Record, ...], set[str]]:
    limit: Keys | None = None
    spread: set[str] = set()
    by: tuple[Record, ...] = ()
    for record in capping:
        keys, split = _keys(record, "limit", settings)
        cap = _soc_cap(record, settings, soc_percent)
        if cap is not None:
            keys = (cap, cap, cap) if keys is None else _each(min, keys, (cap, cap, cap))
        if keys is None:
            continue
        spread |= {"limit"} if split else set()
        lower = keys if limit is None else _each(min, limit, keys)
        if limit is None or lower == keys:
            by = (record,) if limit != keys else by
        elif lower != limit:
            by = (*by, record)
        limit = lower
    return limit, by, spread


def _setpoint(
    leads: Leads, settings: StationSettings, soc_percent: float | None
) -> tuple[Keys | None, Keys | None, set[str]]:
    order = (leads.tx, leads.external) if settings.setpoint_priority_csms else (leads.external, leads.tx)
    for record in order:
        if record is None:
            continue
        keys, split = _keys(record, "setpoint", settings)
        if keys is None:
            continue
        cap = _soc_cap(record, settings, soc_percent)
        if cap is not None:
            keys = _each(min, keys, (cap, cap, cap))
        reactive, reactive_split = _keys(record, "setpoint_reactive", settings)
        spread = {"setpoint"} if split else set()
        return keys, reactive, spread | ({"setpoint_reactive"} if reactive_split else set())
    return None, None, set()


def _deciders(leads: Leads, deciders: tuple[Record, ...], *, idle: bool) -> tuple[Record, ...]:
    if idle and leads.tx is not None:
        return (leads.tx,)
    return deciders if leads.generation is None else (*deciders, leads.generation)


def _mode(leads: Leads) -> OperationMode | None:
    """Return the mode that the transaction layer asks for, else that of the external constraints."""
    record = leads.tx or leads.external
    return None if record is None else record[3].operation_mode


def _keys(record: Record, name: str, settings: StationSettings) -> tuple[Keys | None, bool]:
    """Return a value of a record for each phase, and whether it was given per phase."""
    _, _, owner, period = record
    one = getattr(period, name)
    two, three = getattr(period, f"{name}_l2"), getattr(period, f"{name}_l3")
    if two is None and three is None:
        if one is None:
            return None, False
        key = key_of(one, record, settings)
        return (key, key, key), False
    made = settings.conversion
    factor = made.single_w if owner.schedule.unit is RateUnit.W else made.single_a
    given = [value for value in (one, two, three) if value is not None]
    first = given[0] if one is None else one
    keys = [thousandths(first if value is None else value) * factor for value in (one, two, three)]
    return (keys[0], keys[1], keys[2]), True


def _soc_cap(record: Record, settings: StationSettings, soc_percent: float | None) -> int | None:
    cap = record[2].schedule.limit_at_soc
    if cap is None or soc_percent is None or soc_percent < cap.soc_percent:
        return None
    return key_of(cap.limit, record, settings)


def _capped(setpoint: Keys, limit: Keys | None, discharge: Keys | None) -> Keys:
    if limit is not None:
        setpoint = _each(min, setpoint, limit)
    if discharge is not None:
        setpoint = _each(max, setpoint, discharge)
    return setpoint


def _each(choose: Callable[[int, int], int], one: Keys, other: Keys) -> Keys:
    return (choose(one[0], other[0]), choose(one[1], other[1]), choose(one[2], other[2]))


def _values(
    name: str, keys: Keys | None, combined: Combined, unit: RateUnit, *, phases: int, settings: StationSettings
) -> Tenths:
    """Return a value in tenths of the unit: one, or one for each phase."""
    if keys is None:
        return None, None, None
    tenths = settings.conversion.tenths
    if name not in combined.per_phase:
        return tenths(keys[0], unit, phases), None, None
    if phases == 1:
        return tenths(min(keys, key=abs), unit, 1), None, None
    one, two, three = (tenths(key, unit, 1) for key in keys)
    return one, two, three


def _with_generation(limit: Tenths, record: Record, unit: RateUnit, settings: StationSettings) -> Tenths:
    """Add what LocalGeneration allows, converted by its own phase count."""
    one, two, three = limit
    key, code, _, _ = record
    if one is None or key == NO_LIMIT:
        return limit
    made = settings.conversion
    if two is None or three is None:
        return one + made.tenths(key, unit, made.multipliers[code]), None, None
    each = made.tenths(key, unit, 1)
    return one + each, two + each, three + each


def _numbers(name: str, tenths: Tenths) -> dict[str, float | None]:
    one, two, three = (None if value is None else value / 10 for value in tenths)
    return {name: one, f"{name}_l2": two, f"{name}_l3": three}
