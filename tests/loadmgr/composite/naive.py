"""A second evaluator of charging profiles: second by second, straight from the definitions, in fractions.

It shares no code with :mod:`loadmgr.composite`; only the profile values are common. It is slow on purpose.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

from loadmgr.model.profile import (
    ChargingProfile,
    OcppVersion,
    OperationMode,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)

P = ProfilePurpose
NAMES = ("limit", "discharge_limit", "setpoint", "setpoint_reactive")
CYCLES = {Recurrency.DAILY: 86400, Recurrency.WEEKLY: 604800}
Triple = tuple[Fraction, Fraction, Fraction]


@dataclass(kw_only=True)
class World:
    """All that an answer depends on."""

    version: OcppVersion
    installed: list[tuple[int, ChargingProfile]]
    evses: int = 1
    transactions: dict[int, tuple[str, datetime]] = field(default_factory=dict)
    voltage: Fraction = Fraction(230)
    dc: bool = False
    zone: ZoneInfo | None = None
    default_a: Fraction = Fraction(48)
    default_w: Fraction = Fraction(33120)
    default_phases: int | None = None
    offline_since: datetime | None = None
    priority: bool = False
    soc: float | None = None
    delays: tuple[int, ...] = ()
    csms_setpoint: bool = False
    idle_zero: bool = False
    hardware: tuple[Fraction | None, Fraction | None] | None = None
    station_hardware: tuple[Fraction | None, Fraction | None] | None = None
    vehicle: ChargingProfile | None = None


def second(when: datetime) -> int:
    """Floor an instant to its second."""
    return floor(Fraction((when - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) / 1_000_000)


def exact(value: float) -> Fraction:
    """Read a number as it is written, to a thousandth."""
    return Fraction(Decimal(repr(value)))


def wall(t: int, zone: ZoneInfo | None) -> int:
    """Return what the wall clock shows, as seconds of a clock without zone."""
    shown = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=t)).astimezone(zone or UTC).replace(tzinfo=None)
    return round((shown - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001 - a wall clock has no zone


def valid_at(world: World, profile: ChargingProfile, t: int) -> bool:
    """Return whether a profile is valid at a second: its own window, and the rule for a lost connection."""
    if profile.valid_from is not None and t < second(profile.valid_from):
        return False
    if profile.valid_to is not None and t >= second(profile.valid_to):
        return False
    offline, longest = world.offline_since, profile.max_offline_s
    return offline is None or longest is None or t - second(offline) <= longest


def offset_at(world: World, profile: ChargingProfile, t: int, origin: int | None) -> int | None:
    """Return the seconds since the start of the profile's axis, folded into the running occurrence."""
    schedule = profile.schedules[0]
    if profile.kind is ProfileKind.RELATIVE or schedule.start is None:
        return None if origin is None else t - origin
    if schedule.use_local_time:
        offset = wall(t, world.zone) - second(schedule.start.replace(tzinfo=UTC))
    else:
        offset = t - second(schedule.start)
    if offset >= 0 and profile.kind is ProfileKind.RECURRING:
        return offset % CYCLES[profile.recurrency]
    return offset


def period_at(
    world: World, profile: ChargingProfile, t: int, origin: int | None, *, random: bool
) -> SchedulePeriod | None:
    """Return the period that a profile has at a second, on its own."""
    schedule = profile.schedules[0]
    duration = schedule.duration_s
    if not valid_at(world, profile, t):
        return None
    if profile.kind is ProfileKind.DYNAMIC:
        over = duration is not None and t >= second(profile.dyn_update_time) + duration
        return None if over else schedule.periods[0]
    offset = offset_at(world, profile, t, origin)
    ends = [e for e in (duration, CYCLES.get(profile.recurrency)) if e is not None]
    if profile.kind is not ProfileKind.RECURRING:
        ends = [] if duration is None else [duration]
    if offset is None or offset < 0 or any(offset >= e for e in ends):
        return None
    starts = [p.start_s for p in schedule.periods]
    if random and schedule.randomized_delay_s:
        starts = [s + (world.delays[i] if i < len(world.delays) else 0) for i, s in enumerate(starts)]
    left = [(s, p) for s, p in zip(starts, schedule.periods, strict=True) if all(s < e for e in ends)]
    while skipped := [i for i in range(len(left) - 1) if left[i][0] >= left[i + 1][0]]:
        del left[skipped[0]]
    running = [p for s, p in left if s <= offset]
    return running[-1] if running else None


def takes_part(world: World, evse: int, where: int, profile: ChargingProfile, *, simulated: bool) -> bool:
    """Return whether a profile may speak for an EVSE at all."""
    running = world.transactions.get(evse)
    if where not in (0, evse):
        return False
    match profile.purpose:
        case P.TX:
            return running is not None and profile.transaction_id in (None, running[0])
        case P.PRIORITY_CHARGING:
            return running is not None and world.priority
        case P.TX_DEFAULT:
            return running is not None or simulated
        case P.LOCAL_GENERATION:
            return where == evse or evse == 0 or world.evses == 1
    return True


def leader(world: World, evse: int, purpose: ProfilePurpose, t: int, simulated_at: int | None):
    """Return the leading (profile, period) of a purpose on an EVSE."""
    running = world.transactions.get(evse)
    origin = second(running[1]) if running else simulated_at
    random = bool(running) and purpose in (P.TX, P.TX_DEFAULT)
    candidates = [
        (order, where, p)
        for order, (where, p) in enumerate(world.installed)
        if p.purpose is purpose and takes_part(world, evse, where, p, simulated=simulated_at is not None)
    ]
    if world.version is OcppVersion.V16 and purpose is P.TX_DEFAULT:
        candidates = [
            (order, where, p)
            for order, where, p in candidates
            if not any(o > order and w != where and q.stack_level == p.stack_level for o, w, q in candidates)
        ]
    found = [(p.stack_level, order, p, period_at(world, p, t, origin, random=random)) for order, _, p in candidates]
    found = [f for f in found if f[3] is not None]
    return max(found, key=lambda f: (f[0], f[1]))[2:] if found else None


def ampere(world: World, lead, value: float) -> Fraction:
    """Return a value of a lead as current per phase, by its own phase count."""
    profile, period = lead
    if profile.schedules[0].unit is RateUnit.A:
        return exact(value)
    phases = 1 if world.dc else (period.phases or 3)
    return exact(value) / (world.voltage * phases)


def triple(world: World, lead, name: str) -> tuple[Triple | None, bool]:
    """Return a value of a lead on L1, L2 and L3, and whether it was given per phase."""
    profile, period = lead
    one, two, three = (getattr(period, f"{name}{s}") for s in ("", "_l2", "_l3"))
    if two is None and three is None:
        if one is None:
            return None, False
        a = ampere(world, lead, one)
        return (a, a, a), False
    divisor = 1 if profile.schedules[0].unit is RateUnit.A else world.voltage
    first = next(v for v in (one, two, three) if v is not None)
    return tuple(exact(first if v is None else v) / divisor for v in (one, two, three)), True


def cut(value: Fraction) -> float:
    """Cut to a tenth, towards zero."""
    tenths = floor(abs(value) * 10)
    return (tenths if value >= 0 else -tenths) / 10


def shown(world: World, unit: RateUnit, amps: Fraction, phases: int) -> Fraction:
    """Return a current per phase in the asked unit, cut to a tenth."""
    return Fraction(Decimal(repr(cut(amps if unit is RateUnit.A else amps * world.voltage * phases))))


def soc_cap(world: World, lead) -> Fraction | None:
    """Return the current per phase at which a lead's schedule caps, if the vehicle is that full."""
    cap = lead[0].schedules[0].limit_at_soc
    if cap is None or world.soc is None or world.soc < cap.soc_percent:
        return None
    return ampere(world, lead, cap.limit)


def named(world: World, period: SchedulePeriod) -> int | None:
    """Return the phase count of a period, ``None`` where the answer would not tell one."""
    if world.dc:
        return None
    if period.phases in (1, 2, 3):
        return period.phases
    return None if world.version is OcppVersion.V16 else 3


def lowest(world: World, part: list) -> tuple[Triple | None, Triple | None, bool, bool]:
    """Return limit and discharge limit of all that take part, and whether each was given per phase."""
    limit = discharge = None
    split = discharge_split = False
    for x in part:
        got, by_phase = triple(world, x, "limit")
        cap = soc_cap(world, x)
        if cap is not None:
            got = (cap,) * 3 if got is None else tuple(min(v, cap) for v in got)
        if got is not None:
            split |= by_phase
            limit = got if limit is None else tuple(map(min, limit, got))
        got, by_phase = triple(world, x, "discharge_limit")
        if got is not None:
            discharge_split |= by_phase
            discharge = got if discharge is None else tuple(map(max, discharge, got))
    return limit, discharge, split, discharge_split


def followed(world: World, sources: list, limit: Triple | None, discharge: Triple | None):
    """Return the setpoint of the first source that has one, capped, and its reactive part, each with its split."""
    for x in sources:
        got, by_phase = triple(world, x, "setpoint") if x else (None, False)
        if got is None:
            continue
        caps = [c for c in ((soc_cap(world, x),) * 3, limit) if c is not None and c[0] is not None]
        for cap in caps:
            got = tuple(map(min, got, cap))
        if discharge is not None:
            got = tuple(map(max, got, discharge))
        return got, by_phase or len(set(got)) > 1, *triple(world, x, "setpoint_reactive")
    return None, False, None, False


def evse_at(
    world: World, evse: int, t: int, unit: RateUnit, simulated_at: int | None, *, share: bool = False
) -> dict[str, Any]:
    """Return the composite answer of an EVSE at a second; ``share`` leaves the station's own layers out."""
    lead = {purpose: leader(world, evse, purpose, t, simulated_at) for purpose in P}
    tx = lead[P.PRIORITY_CHARGING] or lead[P.TX] or lead[P.TX_DEFAULT]
    external = lead[P.EXTERNAL_CONSTRAINTS]
    top = None if share else lead[P.CHARGE_POINT_MAX]
    part = [x for x in (tx, external, vehicle_lead(world, evse, t), top) if x is not None]
    generation = None if share else lead[P.LOCAL_GENERATION]
    told = told_phases(world, part + ([generation] if generation else []))
    phases = 1 if world.dc else (told or 3)
    mode = (tx or external)[1].operation_mode if tx or external else None
    limit, discharge, split, discharge_split = lowest(world, part)
    sources = [tx, external] if world.csms_setpoint else [external, tx]
    setpoint, setpoint_split, reactive, reactive_split = followed(world, sources, limit, discharge)
    idle = mode is OperationMode.IDLE
    if idle:
        limit, discharge, setpoint, reactive, split = (Fraction(0),) * 3, None, None, None, False
    out = spread(world, unit, "limit", limit, phases, split=split)
    out |= spread(world, unit, "discharge_limit", discharge, phases, split=discharge_split)
    out |= spread(world, unit, "setpoint", setpoint, phases, split=setpoint_split)
    out |= spread(world, unit, "setpoint_reactive", reactive, phases, split=reactive_split)
    if limit is None:
        out["limit"] = Fraction(Decimal(repr(cut(world.default_a if unit is RateUnit.A else world.default_w))))
    if generation and not idle:
        add_generation(world, unit, out, generation)
    out["limited"] = limit is not None
    uses = {x[1].phase_to_use for x in [*part, generation] if x and x[1].phase_to_use is not None}
    out["phases"] = told
    out["phase_to_use"] = next(iter(uses)) if len(uses) == 1 and told == 1 else None
    out["operation_mode"] = mode
    carried(world, unit, out, world.hardware)
    return out


def carried(world: World, unit: RateUnit, out: dict[str, Any], hardware) -> None:
    """Cut off what the hardware, in A per phase or W in total, cannot carry."""
    out["carried"] = None
    if hardware is None:
        return
    phases = 1 if world.dc else (out["phases"] or 3)
    most_a, most_w = hardware
    caps = [] if most_a is None else [most_a if unit is RateUnit.A else most_a * world.voltage * phases]
    caps += [] if most_w is None else [most_w if unit is RateUnit.W else most_w / (world.voltage * phases)]
    whole = out["carried"] = Fraction(Decimal(repr(cut(min(caps)))))
    for name in NAMES[:3]:
        split = unit is RateUnit.W and out.get(f"{name}_l2") is not None
        cap = Fraction(Decimal(repr(cut(whole / phases)))) if split else whole
        for key in (name, f"{name}_l2", f"{name}_l3"):
            if out.get(key) is not None:
                out[key] = max(min(out[key], cap), -cap)


def vehicle_lead(world: World, evse: int, t: int):
    """Return what the vehicle on EVSE 1 announced for itself, while a transaction runs."""
    if world.vehicle is None or evse != 1 or evse not in world.transactions:
        return None
    period = period_at(world, world.vehicle, t, second(world.transactions[evse][1]), random=False)
    return None if period is None else (world.vehicle, period)


def told_phases(world: World, everyone: list) -> int | None:
    """Return the phase count of the answer."""
    if world.dc:
        return None
    if not everyone:
        return world.default_phases or (None if world.version is OcppVersion.V16 else 3)
    return min((c for c in (named(world, x[1]) for x in everyone) if c is not None), default=None)


def add_generation(world: World, unit: RateUnit, out: dict[str, Any], lead) -> None:
    """Add what is generated at the place to the finished limit."""
    if lead[1].limit is None:
        return
    own = 1 if world.dc or out["limit_l2"] is not None else (lead[1].phases or 3)
    for name in ("limit", "limit_l2", "limit_l3"):
        if out[name] is not None:
            out[name] += shown(world, unit, ampere(world, lead, lead[1].limit), own)


def spread(
    world: World, unit: RateUnit, name: str, value: Triple | None, phases: int, *, split: bool
) -> dict[str, Any]:
    """Return a value as it is answered: one number, or one for each phase."""
    keys = (name, f"{name}_l2", f"{name}_l3")
    if value is None:
        return dict.fromkeys(keys)
    if not split:
        return dict.fromkeys(keys) | {name: shown(world, unit, value[0], phases)}
    if phases == 1:
        return dict.fromkeys(keys) | {name: shown(world, unit, min(value, key=abs), 1)}
    return {key: shown(world, unit, v, 1) for key, v in zip(keys, value, strict=True)}


def station_at(world: World, t: int, unit: RateUnit, start: int) -> dict[str, Any]:
    """Return the composite answer of EVSE 0 at a second."""
    evses = [e for e in range(1, world.evses + 1) if not world.idle_zero or e in world.transactions]
    shares = [evse_at(world, e, t, unit, start, share=True) for e in evses]
    out = {name: total(shares, name, unit) for name in NAMES}
    told = [s["phases"] for s in shares]
    known = [n for n in told if n is not None]
    out["phases"] = max([*known, 3] if None in told else known) if known else None
    for purpose in (P.CHARGE_POINT_MAX, P.EXTERNAL_CONSTRAINTS):
        lead = leader(world, 0, purpose, t, start)
        if lead is not None:
            cap_total(world, unit, out, lead)
    external = leader(world, 0, P.EXTERNAL_CONSTRAINTS, t, start)
    if not shares and leader(world, 0, P.CHARGE_POINT_MAX, t, start) is None and external is None:
        out["phases"] = told_phases(world, [])
    if external is not None:
        follow_external(world, unit, out, external)
    if out["setpoint"] is not None:
        out["setpoint"] = min(out["setpoint"], out["limit"])
        if out["discharge_limit"] is not None:
            out["setpoint"] = max(out["setpoint"], out["discharge_limit"])
    out |= {"limit_l2": None, "limit_l3": None}
    for e in (0, *(evses if world.evses > 1 else ())):
        lead = leader(world, e, P.LOCAL_GENERATION, t, start)
        if lead is not None:
            add_generation(world, unit, out, lead)
    carried(world, unit, out, world.station_hardware)
    return out


def total(shares: list[dict], name: str, unit: RateUnit) -> Fraction | None:
    """Return the sum of a value over the EVSEs that have one."""
    got = []
    for share in shares:
        parts = [share[f"{name}{s}"] for s in ("", "_l2", "_l3") if share[f"{name}{s}"] is not None]
        if parts:
            got.append(sum(parts) if unit is RateUnit.W else max(parts, key=abs))
    return sum(got) if got or name == "limit" else None


def cap_total(world: World, unit: RateUnit, out: dict[str, Any], lead) -> None:
    """Cap the sum by what is installed on the whole station."""
    own = named(world, lead[1])
    if own is not None:
        out["phases"] = own if out["phases"] is None else min(out["phases"], own)
    if lead[1].limit is not None:
        cap = shown(world, unit, ampere(world, lead, lead[1].limit), 1 if world.dc else (lead[1].phases or 3))
        out["limit"] = min(out["limit"], cap)


def follow_external(world: World, unit: RateUnit, out: dict[str, Any], lead) -> None:
    """Let an external constraint on 0 name discharge limit and setpoint of the sum."""
    own = 1 if world.dc else (lead[1].phases or 3)
    period = lead[1]
    if period.discharge_limit is not None:
        cap = shown(world, unit, ampere(world, lead, period.discharge_limit), own)
        out["discharge_limit"] = cap if out["discharge_limit"] is None else max(out["discharge_limit"], cap)
    if period.setpoint is not None and not (world.csms_setpoint and out["setpoint"] is not None):
        for name in ("setpoint", "setpoint_reactive"):
            value = getattr(period, name)
            out[name] = None if value is None else shown(world, unit, ampere(world, lead, value), own)
