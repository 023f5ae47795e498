"""What stands in for the hardware of a small site: vehicles, stations with one EVSE, stationary batteries."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from loadmgr.composite.settings import StationSettings
from loadmgr.composite.store import ProfileStore
from loadmgr.model.equipment import Battery
from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import OcppVersion, ProfileKind, ProfilePurpose, RateUnit
from loadmgr.model.topology import Evse

START = datetime(2024, 6, 3, 20, 0, tzinfo=UTC)


@dataclass
class Vehicle:
    """What is plugged in: phases it uses, the most it takes, when it is full."""

    phases: int = 3
    max_a: float = 32.0
    full_wh: float = 1e9
    taken_wh: float = 0.0
    back_a: float = 0.0
    """The most that it feeds back when it is asked to."""
    given_wh: float = 0.0


@dataclass
class FakeStation:
    """One station with one EVSE: holds profiles, obeys its composite limit a little late."""

    evse: Evse
    version: OcppVersion = OcppVersion.V16
    obeys: bool = True
    clock_off_s: float = 0.0
    lag_s: int = 3
    register_wh: float = 1000.0
    vehicle: Vehicle | None = None
    transaction: TransactionId | None = None
    connected: bool = False
    operative: bool = True
    deaf_to_stop: bool = False
    follows_setpoints: bool = False
    phases: int = 3
    """That it charges on now."""
    deaf_to_phases: bool = False
    exported_wh: float = 0.0
    ignores: frozenset[ProfilePurpose] = frozenset()
    ignored_units: frozenset[RateUnit] = frozenset()
    ignored_kinds: frozenset[ProfileKind] = frozenset()
    units: frozenset[RateUnit] = frozenset({RateUnit.A})
    store: ProfileStore = field(init=False)
    offered: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Lose every profile."""
        self.store = ProfileStore(StationSettings(version=self.version, evses=1))

    def own_time(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.clock_off_s)

    def limit_a(self, now: datetime) -> float:
        """Return what the station offers [A]."""
        if not self.obeys:
            return self.evse.max_a
        limit = self._followed().limit_at(self.evse.number, self.own_time(now)).limit_a
        return self.evse.max_a if limit is None else min(limit, self.evse.max_a)

    def _followed(self) -> ProfileStore:
        """Return the profiles that it follows, of those that it holds."""
        if not (self.ignores or self.ignored_units or self.ignored_kinds):
            return self.store
        followed = ProfileStore(self.store.settings)
        transaction = self.store.transaction(self.evse.number)
        if transaction is not None:
            followed.start_transaction(transaction, now=transaction.started_at)
        for held in self.store.profiles:
            profile = held.profile
            deaf = profile.purpose in self.ignores or profile.schedules[0].unit in self.ignored_units
            if not deaf and profile.kind not in self.ignored_kinds:
                followed.load(held.evse_id, profile, now=transaction.started_at if transaction else START)
        return followed

    def step(self, now: datetime) -> None:
        """Move one second on."""
        if self.evse.switches_phases and not self.deaf_to_phases and max(self.draw_a()) == 0.0:
            self.phases = self._followed().limit_at(self.evse.number, self.own_time(now)).phases or 3
        self.offered.append(self._offer_a(now) if self.transaction is not None else 0.0)
        del self.offered[: -(self.lag_s + 1)]
        power = sum(self.draw_a()) * 230.0
        self.register_wh += max(power, 0.0) / 3600.0
        self.exported_wh += max(-power, 0.0) / 3600.0
        if self.vehicle is not None:
            self.vehicle.taken_wh += power / 3600.0

    def _offer_a(self, now: datetime) -> float:
        setpoint = self._followed().limit_at(self.evse.number, self.own_time(now)).setpoint_a
        return setpoint if setpoint is not None and setpoint < 0.0 else self.limit_a(now)

    def draw_a(self) -> tuple[float, float, float]:
        """Return the draw on the grid's phases [A]."""
        car, out = self.vehicle, [0.0, 0.0, 0.0]
        if car is None or self.transaction is None or not self.offered or car.taken_wh >= car.full_wh:
            return (0.0, 0.0, 0.0)
        current = min(max(self.offered[0], -car.back_a), car.max_a)
        if 0.0 <= current < 6.0:
            return (0.0, 0.0, 0.0)
        for phase in self.evse.phases[: min(car.phases, self.phases)]:
            out[phase] = current
        return (out[0], out[1], out[2])


@dataclass
class FakeBattery:
    """One stationary battery: does what it is told, and rests when it hears nothing."""

    battery: Battery
    stored_wh: float
    told_w: float = 0.0
    heard_at: datetime | None = None
    deaf: bool = False
    mute: bool = False
    stubborn_w: float | None = None
    """What it does whatever it is told."""

    def power_w(self, now: datetime) -> float:
        if self.stubborn_w is not None:
            return self.stubborn_w
        link = self.battery.link
        if self.heard_at is None or link is None or (now - self.heard_at).total_seconds() > link.watchdog_s:
            return 0.0
        full, empty = self.stored_wh >= self.battery.capacity_wh, self.stored_wh <= 0.0
        return 0.0 if (full and self.told_w > 0.0) or (empty and self.told_w < 0.0) else self.told_w

    def step(self, now: datetime) -> None:
        power_w, ratio = self.power_w(now), self.battery.one_way_ratio
        self.stored_wh += (power_w * ratio if power_w > 0.0 else power_w / ratio) / 3600.0
