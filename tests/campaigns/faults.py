"""What goes wrong in one run of a fault campaign, drawn from its seed.

Rules
-----
1. A fault has a beginning and an end that are known before the run.
2. Some faults break what the certificate assumes of a station (that it obeys, that it keeps its profiles). The
   certificate answers for one such station at a time, so no two of these overlap, whatever else goes wrong; and for a
   reaction only while there is somebody to react, so they do not meet a dead controller or a dead network.
3. Station clocks stay within the skew that the site file states.
"""

import enum
from dataclasses import dataclass

import numpy as np

from loadmgr.model.ids import StationId
from loadmgr.model.topology import Site
from loadmgr.sim.manners import Rudeness, Spell


class WireFault(enum.StrEnum):
    """What happens to messages between one station and the controller while its link looks well."""

    COMMANDS_LOST = "commands lost"
    ANSWERS_LOST = "answers lost"
    REPORTS_LOST = "reports lost"
    REPORTS_LATE = "reports late"
    REPORTS_TWICE = "reports twice"
    COMMANDS_LATE = "commands late"


class SiteFault(enum.StrEnum):
    """What happens to the controller, or to everybody at once."""

    CONTROLLER_KILLED = "controller killed"
    NETWORK_DOWN = "network down"
    BLACKOUT = "blackout"
    METER_FROZEN = "meter frozen"
    METER_JUMPS = "meter jumps"
    METER_SILENT = "meter silent"
    DATABASE_LOCKED = "database locked"
    DISK_FULL = "disk full"
    CLOCK_SET_BACK = "clock set back"
    CLOCK_SET_FORWARD = "clock set forward"
    REGISTERS_ANEW = "registers anew"


COMING_BACK_S = 180.0
"""After an outage stations dial again within this time [s]."""

FORGETFUL_S = 20.0
"""A station that forgets although it is said to keep its profiles is back by then: while it is away nobody reacts."""

_SPELLS = (Rudeness.DROPS_LINK, Rudeness.REBOOTS, Rudeness.ANSWERS_LATE, Rudeness.LIES)
_UNTRUE = (Rudeness.IGNORES_LIMITS, Rudeness.REBOOTS_AND_FORGETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: what, of which station (``None`` is the site), from when and for how long [s]."""

    what: Rudeness | WireFault | SiteFault
    station: StationId | None
    at_s: float
    for_s: float

    def holds(self, now_s: float) -> bool:
        """Return whether it goes on at an instant."""
        return self.at_s <= now_s < self.at_s + self.for_s

    def __str__(self) -> str:
        where = "" if self.station is None else f" {self.station}"
        return f"{self.at_s:7.0f} s for {self.for_s:5.0f} s: {self.what.value}{where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Everything that goes wrong in a run.

    Parameters
    ----------
    offsets_s : dict
        How far each station's clock is off [s].
    drifts : dict
        Seconds that each station's clock gains per second.
    solver_fails : bool
        The linear program never comes to an end: water-filling alone.
    remembers : bool
        The controller keeps a journal and goes on from it when it was killed.
    wired : bool
        Stations dial in over real WebSockets; messages are then lost only with their links.
    follows : bool
        Stations set their clocks by the controller's, with every heartbeat.
    """

    faults: tuple[Fault, ...]
    offsets_s: dict[StationId, float]
    drifts: dict[StationId, float]
    solver_fails: bool
    remembers: bool = False
    wired: bool = False
    follows: bool = False

    def of(self, kind: type[enum.StrEnum]) -> list[Fault]:
        """Return the faults of a kind, in order of time."""
        return sorted((f for f in self.faults if isinstance(f.what, kind)), key=lambda f: f.at_s)

    def those(self, *kinds: SiteFault) -> list[Fault]:
        """Return the faults of the whole site that are of some kinds, in order of time."""
        return [f for f in self.of(SiteFault) if f.what in kinds]

    def spells(self) -> tuple[tuple[StationId, Spell], ...]:
        """Return the bad manners of stations; what the whole site suffers, every station does."""
        return tuple(
            (fault.station, _spell(fault.what, fault))
            for fault in self.faults
            if isinstance(fault.what, Rudeness) and fault.station is not None
        )


def _spell(what: Rudeness, fault: Fault) -> Spell:
    return Spell(behaviour=what, at_s=fault.at_s, for_s=fault.for_s, answer_delay_s=7.0 + fault.for_s % 40.0)


def draw_faults(site: Site, *, seconds: float, seed: int) -> FaultPlan:
    """Return what goes wrong on a site within ``seconds``."""
    rng = np.random.default_rng([seed, 77])
    ids = [s.id for s in site.stations]
    faults: list[Fault] = []
    for _ in range(int(rng.integers(4, 13))):
        kind = rng.choice(["spell", "wire", "site"], p=[0.45, 0.3, 0.25])
        station = ids[int(rng.integers(len(ids)))]
        at_s, for_s = float(rng.uniform(400.0, seconds - 1200.0)), float(rng.uniform(5.0, 1500.0))
        if kind == "spell":
            faults.append(Fault(what=_SPELLS[int(rng.integers(len(_SPELLS)))], station=station, at_s=at_s, for_s=for_s))
        elif kind == "wire":
            what: WireFault | SiteFault = _AT_FIRST[int(rng.integers(len(_AT_FIRST)))]
            faults.append(Fault(what=what, station=station, at_s=at_s, for_s=for_s))
        else:
            what = _OF_EVERYBODY[int(rng.integers(len(_OF_EVERYBODY)))]
            faults.append(Fault(what=what, station=None, at_s=at_s, for_s=for_s))
    faults += [f for f in _untrue(ids, seconds, rng) if not any(_nobody_reacts(other, f) for other in faults)]
    faults += [
        Fault(what=Rudeness.REBOOTS, station=s, at_s=f.at_s, for_s=min(f.for_s, 300.0))
        for f in faults
        if f.what is SiteFault.BLACKOUT
        for s in ids
    ]
    skew_s = site.timing.clock_skew_s
    later = np.random.default_rng([seed, 78])  # its own, so that older seeds keep their faults
    remembers, wired = bool(later.random() < 0.6), bool(later.random() < 0.2)
    faults += _of_the_journal(seconds, later) if remembers else []
    if later.random() < 0.3:
        at_s, for_s = float(later.uniform(0.0, seconds - 1200.0)), float(later.uniform(1.0, 300.0))
        faults.append(Fault(what=SiteFault.CLOCK_SET_BACK, station=None, at_s=at_s, for_s=for_s))
    faults += _added(ids, seconds, np.random.default_rng([seed, 79]))
    if wired:
        faults = [f for f in faults if not isinstance(f.what, WireFault) and f.what is not Rudeness.ANSWERS_LATE]
    return FaultPlan(
        remembers=remembers,
        wired=wired,
        follows=seed % 2 == 1,
        faults=_in_turns(faults),
        offsets_s={s: float(rng.uniform(-0.9, 0.9)) * skew_s for s in ids},
        drifts={s: float(rng.uniform(-0.05, 0.05)) * skew_s / seconds for s in ids},
        solver_fails=bool(rng.random() < 0.1),
    )


CLOCK_FACTOR = 24.0
"""A clock that is set wrong for some seconds is set wrong by so many times as many: up to two hours."""

_AT_FIRST = tuple(WireFault)[:5]
_OF_EVERYBODY = tuple(SiteFault)[:6]
_JOURNAL = (SiteFault.DATABASE_LOCKED, SiteFault.DISK_FULL)


def _of_the_journal(seconds: float, rng: np.random.Generator) -> list[Fault]:
    """Return when the journal cannot be written: locked for moments, full for longer."""
    out = []
    for _ in range(int(rng.integers(0, 3))):
        what = _JOURNAL[int(rng.integers(len(_JOURNAL)))]
        longest_s = 60.0 if what is SiteFault.DATABASE_LOCKED else 3000.0
        at_s, for_s = float(rng.uniform(0.0, seconds - 1200.0)), float(rng.uniform(1.0, longest_s))
        out.append(Fault(what=what, station=None, at_s=at_s, for_s=for_s))
    return out


def _added(ids: list[StationId], seconds: float, rng: np.random.Generator) -> list[Fault]:
    """Return kinds that came later, from dice of their own."""
    out = []
    if rng.random() < 0.3:
        at_s, for_s = float(rng.uniform(400.0, seconds - 1200.0)), float(rng.uniform(5.0, 1500.0))
        station = ids[int(rng.integers(len(ids)))]
        out.append(Fault(what=WireFault.COMMANDS_LATE, station=station, at_s=at_s, for_s=for_s))
    if rng.random() < 0.3:
        at_s, for_s = float(rng.uniform(0.0, seconds - 1200.0)), float(rng.uniform(1.0, 300.0))
        out.append(Fault(what=SiteFault.CLOCK_SET_FORWARD, station=None, at_s=at_s, for_s=for_s))
    if rng.random() < 0.3:
        out.append(
            Fault(what=SiteFault.REGISTERS_ANEW, station=None, at_s=float(rng.uniform(400.0, seconds)), for_s=0.0)
        )
    return out


def _untrue(ids: list[StationId], seconds: float, rng: np.random.Generator) -> list[Fault]:
    """Return faults of stations that are not as the certificate assumes: one after the other."""
    out, at_s = [], 600.0
    for _ in range(int(rng.integers(0, 3))):
        at_s += float(rng.uniform(0.0, seconds / 3))
        for_s = float(rng.uniform(20.0, 600.0))
        if at_s + for_s > seconds - 900.0:
            break
        what = _UNTRUE[int(rng.integers(len(_UNTRUE)))]
        if what is Rudeness.REBOOTS_AND_FORGETS:
            for_s = min(for_s, FORGETFUL_S)
        out.append(Fault(what=what, station=ids[int(rng.integers(len(ids)))], at_s=at_s, for_s=for_s))
        at_s += for_s + 900.0
    return out


def unheard_until_s(plan: FaultPlan, station: StationId, at_s: float, *, reaction_s: float) -> float:
    """Return when at the latest the controller has heard and dealt with what happens at a station [s]."""
    silent = (SiteFault.CONTROLLER_KILLED, SiteFault.NETWORK_DOWN, SiteFault.BLACKOUT)
    until_s = at_s + reaction_s
    for fault in sorted(plan.faults, key=lambda f: f.at_s):
        away = fault.what in silent or (fault.station == station and fault.what is not Rudeness.IGNORES_LIMITS)
        if away and fault.at_s < until_s and at_s < fault.at_s + fault.for_s + COMING_BACK_S:
            until_s = max(until_s, fault.at_s + fault.for_s + COMING_BACK_S + reaction_s)
    return until_s


def _nobody_reacts(away: Fault, fault: Fault) -> bool:
    """Return whether a fault meets a time in which the controller, or the way to stations, is gone or coming back."""
    if away.what not in (SiteFault.CONTROLLER_KILLED, SiteFault.NETWORK_DOWN, SiteFault.BLACKOUT):
        return False
    return fault.at_s < away.at_s + away.for_s + COMING_BACK_S and away.at_s < fault.at_s + fault.for_s


def _in_turns(faults: list[Fault]) -> tuple[Fault, ...]:
    """Drop a spell that would begin while another of the same station goes on: it lives through one at a time."""
    kept: list[Fault] = []
    dark = {f.at_s for f in faults if f.what is SiteFault.BLACKOUT}
    untrue_first = sorted(faults, key=lambda f: (f.what not in _UNTRUE, f.at_s not in dark, f.at_s))
    for fault in untrue_first:
        clash = isinstance(fault.what, Rudeness) and any(
            isinstance(other.what, Rudeness)
            and other.station == fault.station
            and fault.at_s < other.at_s + other.for_s + 60.0
            and other.at_s < fault.at_s + fault.for_s + 60.0
            for other in kept
        )
        if not clash:
            kept.append(fault)
    return tuple(sorted(kept, key=lambda f: (f.at_s, str(f))))
