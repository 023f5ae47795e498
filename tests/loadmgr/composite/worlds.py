"""Random stations, profiles and windows for each OCPP version, and the store that holds them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from loadmgr.composite.hardware import HardwareLimit
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.transaction import StationTransaction
from loadmgr.model.ids import ProfileId, TransactionId
from loadmgr.model.profile import (
    ChargingProfile,
    ChargingSchedule,
    LimitAtSoC,
    OcppVersion,
    OperationMode,
    ProfileKind,
    ProfilePurpose,
    RateUnit,
    Recurrency,
    SchedulePeriod,
)
from tests.loadmgr.composite.naive import World, second

BERLIN, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
# clocks go forward and back (on Lord Howe by half an hour); leap days, the end of a year, an ordinary day
DAYS = [
    (datetime(2024, 3, 31, tzinfo=UTC), BERLIN),
    (datetime(2024, 10, 27, tzinfo=UTC), BERLIN),
    (datetime(2024, 2, 29, tzinfo=UTC), BERLIN),
    (datetime(2024, 6, 10, tzinfo=UTC), BERLIN),
    (datetime(2024, 3, 10, 6, tzinfo=UTC), NEW_YORK),
    (datetime(2024, 11, 3, 5, tzinfo=UTC), NEW_YORK),
    (datetime(2024, 4, 6, 14, tzinfo=UTC), LORD_HOWE),
    (datetime(2023, 12, 31, tzinfo=UTC), LORD_HOWE),
    (datetime(2000, 2, 28, tzinfo=UTC), NEW_YORK),
]
LONG_S = 9 * 86_400
MOST_BREAKPOINTS = 60
COMMON = [ProfilePurpose.CHARGE_POINT_MAX, ProfilePurpose.TX_DEFAULT, ProfilePurpose.TX]
PURPOSES = {
    OcppVersion.V16: COMMON,
    OcppVersion.V201: [*COMMON, ProfilePurpose.EXTERNAL_CONSTRAINTS],
    OcppVersion.V21: list(ProfilePurpose),
}
amperes = st.one_of(st.sampled_from([0.0, 6.0, 10.0, 16.0, 32.0]), st.integers(0, 640).map(lambda n: n / 10))
watts = st.one_of(
    st.sampled_from([0.0, 3680.0, 11000.0, 999999.0]), st.integers(0, 220_000).map(lambda n: n / 10), amperes
)
phase_counts = st.sampled_from([None, None, 1, 2, 3])
fractions = st.sampled_from([Fraction(0), Fraction(16), Fraction(32), Fraction(63, 10), Fraction(11_000)])
hardware = st.none() | st.tuples(fractions, st.none() | fractions) | st.tuples(st.none(), fractions)
gaps = st.one_of(st.integers(1, 90), st.sampled_from([60, 900, 3600, 7200, 43200, 86400]))


@st.composite
def instants(draw, day, *, back_days=3):
    """An instant around a day; some carry a fraction of a second or an offset."""
    offset_s = draw(st.one_of(st.integers(-600, 7200), st.integers(-back_days * 86400, 86400)))
    when = day + timedelta(seconds=offset_s, milliseconds=draw(st.sampled_from([0, 0, 250, 999])))
    return when.astimezone(BERLIN) if draw(st.booleans()) else when


@st.composite
def periods_16(draw, unit):
    """Ascending periods of limits and phase counts."""
    count = draw(st.integers(1, 5))
    starts, at = [], 0
    for _ in range(count):
        starts.append(at)
        at += draw(gaps)
    limits = amperes if unit is RateUnit.A else watts
    return [SchedulePeriod(start_s=s, limit=draw(limits), phases=draw(phase_counts)) for s in starts]


@st.composite
def enriched(draw, period, purpose, unit):
    """A period with what 2.1 adds, whether or not the rules would let it be installed."""
    limits = amperes if unit is RateUnit.A else watts
    maybe = st.one_of(st.none(), limits)
    signed = st.one_of(st.none(), limits, limits.map(lambda v: -v))
    below = st.one_of(st.none(), limits.map(lambda v: -v))
    carries = purpose in (ProfilePurpose.TX, ProfilePurpose.TX_DEFAULT, ProfilePurpose.EXTERNAL_CONSTRAINTS)
    per_phase = purpose is ProfilePurpose.TX and draw(st.booleans())
    setpoint = draw(signed) if carries else None
    return SchedulePeriod(
        start_s=period.start_s,
        limit=draw(st.one_of(st.just(period.limit), st.none())) if carries else period.limit,
        phases=period.phases,
        phase_to_use=draw(st.sampled_from([None, 1, 2])) if period.phases == 1 else None,
        limit_l2=draw(maybe) if per_phase else None,
        limit_l3=draw(maybe) if per_phase else None,
        discharge_limit=draw(below) if carries else None,
        discharge_limit_l2=draw(below) if per_phase else None,
        setpoint=setpoint,
        setpoint_l3=draw(signed) if per_phase and setpoint is not None else None,
        setpoint_reactive=draw(signed) if setpoint is not None else None,
        operation_mode=draw(st.sampled_from([None, None, *OperationMode])) if carries else None,
    )


@st.composite
def profiles(draw, version, day, number):
    """A profile and where it is installed; direct loading takes more than the rules do."""
    purpose = draw(st.sampled_from(PURPOSES[version]))
    unit = draw(st.sampled_from(RateUnit))
    v21 = version is OcppVersion.V21
    kinds = [k for k in ProfileKind if v21 or k is not ProfileKind.DYNAMIC]
    kind = draw(st.sampled_from(kinds))
    periods = draw(periods_16(unit))
    if kind is ProfileKind.DYNAMIC:
        periods = periods[:1]
    if v21 and draw(st.booleans()):
        periods = [draw(enriched(p, purpose, unit)) for p in periods]
    elif version is OcppVersion.V201 and draw(st.booleans()):
        periods = [
            SchedulePeriod(
                start_s=p.start_s,
                limit=p.limit,
                phases=p.phases,
                phase_to_use=draw(st.sampled_from([1, 2])) if p.phases == 1 else None,
            )
            for p in periods
        ]
    absolute = kind in (ProfileKind.ABSOLUTE, ProfileKind.RECURRING)
    startless = version is OcppVersion.V16 and kind is ProfileKind.ABSOLUTE and draw(st.booleans())
    schedule = ChargingSchedule(
        unit=unit,
        periods=tuple(periods),
        start=draw(instants(day, back_days=30)) if absolute and not startless else None,
        duration_s=draw(st.one_of(st.none(), gaps, st.integers(0, 100_000))),
        use_local_time=draw(st.booleans()) if v21 and absolute else None,
        randomized_delay_s=draw(st.sampled_from([None, 60])) if v21 else None,
        limit_at_soc=draw(
            st.one_of(st.none(), st.builds(LimitAtSoC, soc_percent=st.sampled_from([50, 80]), limit=amperes))
        )
        if v21
        else None,
    )
    edge = st.one_of(st.none(), st.none(), instants(day))
    profile = ChargingProfile(
        profile_id=ProfileId(number),
        stack_level=draw(st.integers(0, 3)),
        purpose=purpose,
        kind=kind,
        schedules=(schedule,),
        recurrency=draw(st.sampled_from(Recurrency)) if kind is ProfileKind.RECURRING else None,
        valid_from=draw(edge),
        valid_to=draw(edge),
        transaction_id=TransactionId(draw(st.sampled_from(["7", "7", "8"])))
        if purpose is ProfilePurpose.TX and (version is not OcppVersion.V16 or draw(st.booleans()))
        else None,
        max_offline_s=draw(st.one_of(st.none(), st.sampled_from([0, 30, 600]))) if v21 else None,
        dyn_update_time=draw(instants(day)) if kind is ProfileKind.DYNAMIC else None,
    )
    return draw(st.sampled_from([0, 1, 1, 2])) if purpose is not ProfilePurpose.CHARGE_POINT_MAX else 0, profile


@st.composite
def worlds(draw, version):
    """A station with profiles and transactions, and the day around which all happens."""
    day, place = draw(st.sampled_from(DAYS))
    count = draw(st.integers(0, 7))
    v21 = version is OcppVersion.V21
    world = World(
        version=version,
        installed=[draw(profiles(version, day, number)) for number in range(1, count + 1)],
        evses=draw(st.sampled_from([1, 2])),
        voltage=draw(st.sampled_from([Fraction(230), Fraction(120), Fraction(23094, 100)])),
        dc=version is not OcppVersion.V16 and draw(st.sampled_from([False, False, False, True])),
        zone=draw(st.sampled_from([place, place, None])),
        default_phases=draw(st.sampled_from([None, 1, 3])),
        offline_since=draw(st.one_of(st.none(), instants(day))) if v21 else None,
        priority=v21 and draw(st.booleans()),
        soc=draw(st.sampled_from([None, 49.0, 80.0])) if v21 else None,
        delays=(0, *draw(st.lists(st.integers(0, 60), max_size=4))),
        csms_setpoint=draw(st.booleans()),
        idle_zero=draw(st.booleans()),
        hardware=draw(hardware),
        station_hardware=draw(hardware),
    )
    if draw(st.booleans()):
        world.transactions[1] = ("7", draw(instants(day)))
    if draw(st.integers(0, 3)) == 0:
        _, announced = draw(profiles(version, day, 0))
        if announced.kind is ProfileKind.ABSOLUTE:
            bare = dict.fromkeys(("valid_from", "valid_to", "transaction_id", "max_offline_s"))
            world.vehicle = replace(announced, purpose=ProfilePurpose.TX, **bare)
    if world.evses == 2 and draw(st.booleans()):
        world.transactions[2] = ("8", draw(instants(day)))
    return world, day


def hardware_limit(hardware) -> HardwareLimit | None:
    """What the definition has as A and W, as settings have it."""
    if hardware is None:
        return None
    current_a, power_w = (None if value is None else float(value) for value in hardware)
    return HardwareLimit(current_a=current_a, power_w=power_w)


def store_of(world: World, *, order: list[int] | None = None) -> ProfileStore:
    """The store of a world; ``order`` installs in another order."""
    settings = StationSettings(
        version=world.version,
        evses=world.evses,
        direct_current=world.dc,
        time_zone=world.zone,
        default_current_a=float(world.default_a),
        default_power_w=float(world.default_w),
        default_phases=world.default_phases,
        voltage_v=float(world.voltage),
        idle_counts_as_zero=world.idle_zero,
        evse_hardware=hardware_limit(world.hardware),
        station_hardware=hardware_limit(world.station_hardware),
        setpoint_priority_csms=world.csms_setpoint,
    )

    def delays(schedule: ChargingSchedule) -> tuple[int, ...]:
        return tuple(world.delays[i] if i < len(world.delays) else 0 for i in range(len(schedule.periods)))

    store = ProfileStore(settings, draw_delays=delays)
    for evse_id, (transaction_id, at) in world.transactions.items():
        transaction = StationTransaction(evse_id=evse_id, transaction_id=TransactionId(transaction_id), started_at=at)
        store.start_transaction(transaction, now=at)
        store.note_priority_charging(evse_id, active=world.priority)
    for evse_id in range(1, world.evses + 1):
        store.note_soc(evse_id, world.soc)
    if world.vehicle is not None:
        store.note_vehicle_schedule(1, world.vehicle.schedules[0])
    if world.offline_since is not None:
        store.note_offline(world.offline_since)
    for place in order or range(len(world.installed)):
        evse_id, profile = world.installed[place]
        store.load(evse_id, profile, now=DAYS[0][0])
    return store


def asked_seconds(
    start: datetime, duration_s: int, breakpoints: list[int], rng, *, every_up_to_s: int = 3600, at_random: int = 200
) -> list[int]:
    """Every second of a short window; of a long one every breakpoint, one before, one after, and some at random.

    Of a window longer than nine days at most ``MOST_BREAKPOINTS`` breakpoints are asked for, chosen at random.
    """
    first, length = second(start), max(duration_s, 1)
    if length <= every_up_to_s:
        return list(range(first, first + length))
    if len(breakpoints) > MOST_BREAKPOINTS and length > LONG_S:
        breakpoints = rng.sample(breakpoints, MOST_BREAKPOINTS)
    near = {first + b + d for b in breakpoints for d in (-1, 0, 1)}
    near |= {first + rng.randrange(length) for _ in range(at_random)}
    return sorted(t for t in near if first <= t < first + length)
