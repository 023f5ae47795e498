"""The limit now, until when it holds, and because of which profiles: what a station enforces.

Rules
-----
1. Nothing is simulated: without a transaction nothing is delivered, and only the station maximum and the external
   constraints matter.
2. ``until`` is an instant before which the answer surely does not change; ``None`` means that it holds for ever.
3. Schedules of the wall clock are looked at for some weeks ahead, so ``until`` is never farther than that with them.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from loadmgr.composite.answer import hardware_tenths, profile_ids, shown_code
from loadmgr.composite.combine import Leads, combine
from loadmgr.composite.compiled import NO_CODE, NOTHING, UNBOUNDED, seconds
from loadmgr.composite.conversion import NO_LIMIT, UNNAMED_PHASES
from loadmgr.composite.hardware import HardwareLimit
from loadmgr.composite.layers import Layers
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.stack import leading_at
from loadmgr.composite.window import placed
from loadmgr.model.ids import ProfileId
from loadmgr.model.profile import OperationMode, RateUnit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = seconds(datetime.max.replace(tzinfo=UTC))
_LOCAL_AHEAD_S = 35 * 86_400


class LimitNow(NamedTuple):
    """The limit in force at one instant.

    Parameters
    ----------
    limit_a : float or None
        Current per phase [A], rounded down to a tenth, the lowest of the phases; ``None`` where no profile limits.
    phases : int or None
        Number of phases that may be used; ``None`` where no profile says.
    until : datetime or None
        The answer does not change before this instant; ``None`` is for ever.
    because : tuple of ProfileId
        The profiles that decide the limit.
    setpoint_a : float, optional
        Current per phase to follow [A], negative for discharging, the one closest to zero of the phases (2.1).
    discharge_limit_a : float, optional
        Lowest (negative) current per phase [A] (2.1).
    mode : OperationMode, optional
    """

    limit_a: float | None
    phases: int | None
    until: datetime | None
    because: tuple[ProfileId, ...]
    setpoint_a: float | None = None
    discharge_limit_a: float | None = None
    mode: OperationMode | None = None


def limit_now(layers: Layers, settings: StationSettings, now: datetime) -> LimitNow:
    """Return the limit in force at ``now``.

    Parameters
    ----------
    layers : Layers
        Of an EVSE, nothing simulated.
    settings : StationSettings
    now : datetime
        With zone.
    """
    when = seconds(now)
    until = UNBOUNDED
    if layers.local:
        until = when + _LOCAL_AHEAD_S
        layers = placed(layers, settings, (when, _LOCAL_AHEAD_S))
    if layers.rich:
        records = []
        for stack in (layers.tx, layers.external, layers.vehicle, layers.maximum, layers.generation):
            record, until = leading_at(stack, when, until)
            records.append(None if record is NOTHING else record)
        return _rich(Leads(*records), layers, settings, _instant(until))
    (key, code, owner, _), until = leading_at(layers.tx, when, until)
    for stack in layers.caps:
        (other_key, other_code, other, _), until = leading_at(stack, when, until)
        if other_key < key:
            key, owner = other_key, other
        code = code if code < other_code else other_code
    limited = key != NO_LIMIT
    limit = LimitNow(
        key // settings.conversion.per_tenth_a / 10 if limited else None,
        code if code < UNNAMED_PHASES else None,
        _instant(until),
        (owner.profile.profile_id,) if limited and owner.order else (),
    )
    return limit if settings.evse_hardware is None else _within(settings.evse_hardware, limit, code, settings)


def _within(hardware: HardwareLimit, limit: LimitNow, code: int, settings: StationSettings) -> LimitNow:
    """Return a limit with a phase code within what the hardware can carry."""
    most_a = hardware_tenths(hardware, RateUnit.A, shown_code(code, settings), settings) / 10
    if limit.limit_a is None or limit.limit_a > most_a:
        limit = limit._replace(limit_a=most_a, because=())
    return limit._replace(
        setpoint_a=None if limit.setpoint_a is None else max(min(limit.setpoint_a, most_a), -most_a),
        discharge_limit_a=None if limit.discharge_limit_a is None else max(limit.discharge_limit_a, -most_a),
    )


def _instant(when: int) -> datetime | None:
    return None if when > _LAST else _EPOCH + timedelta(seconds=when)


def _rich(leads: Leads, layers: Layers, settings: StationSettings, until: datetime | None) -> LimitNow:
    combined = combine(leads, settings, soc_percent=layers.soc_percent)
    tenths = settings.conversion.tenths
    added = combined.generation
    more = 0 if added is None or added[0] == NO_LIMIT else tenths(added[0], RateUnit.A, 1)

    def ampere(keys: tuple[int, int, int] | None) -> float | None:
        return None if keys is None else tenths(min(keys, key=abs), RateUnit.A, 1) / 10

    code = NO_CODE if combined.phase_code is None else combined.phase_code
    limit = LimitNow(
        limit_a=None if combined.limit is None else (tenths(min(combined.limit), RateUnit.A, 1) + more) / 10,
        phases=code if code < UNNAMED_PHASES else None,
        until=until,
        because=profile_ids(combined.deciders),
        setpoint_a=ampere(combined.setpoint),
        discharge_limit_a=ampere(combined.discharge),
        mode=combined.mode,
    )
    return limit if settings.evse_hardware is None else _within(settings.evse_hardware, limit, code, settings)
