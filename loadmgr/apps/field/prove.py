"""``loadmgr station prove``: what a real station does when it is limited, cut off and switched off, step by step.

Rules
-----
1. Nothing is believed that was not seen: every "yes" rests on a reading of the current, or on what the station itself
   reports where no vehicle can draw, and its note says on which. A low current shows nothing of a vehicle that was not
   seen to take more when it may.
2. A step that cannot be done (no vehicle, nobody pulls the plug, no answer) leaves "unknown", never "yes"; a station
   that refuses it is a "no".
3. Whatever happens, the station is left with the site's own fail-safe, and the last word is the operator's.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from loadmgr.apps.field.bench import Bench, Operator, Seen
from loadmgr.apps.field.offline import offline_settings
from loadmgr.control.observation import CommandAnswered, Outcome
from loadmgr.model.proof import StationProof
from loadmgr.model.topology import Evse, Trust
from ocpp_link.errors import OcppError

TOLERANCE_A = 1.0
STEP_A = 6.0
"""How far the lease of the tests lies above the fail-safe, where the EVSE goes so high [A]."""

PROMPT_S = 5.0
"""Readings that came so much later than the quickest waited for the link [s]."""

CLOCK_LOST_S = 300.0
"""A clock that is off by more than this after a power cut was not kept [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long is waited for what [s]."""

    connect_s: float = 300.0
    vehicle_s: float = 600.0
    settle_s: float = 90.0
    lease_s: int = 300
    boot_s: float = 30.0
    cut_s: float = 900.0
    reading_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one step found, and by what."""

    what: str
    result: Trust
    note: str


@dataclass(slots=True, kw_only=True)
class Trial:
    """What was found so far."""

    proof: StationProof
    findings: list[Finding] = field(default_factory=list)

    def found(self, what: str, result: Trust, note: str, **known: Any) -> None:
        """Enter what a step found."""
        self.findings.append(Finding(what=what, result=result, note=note))
        self.proof = replace(self.proof, **known)


class Prover:
    """Tries one EVSE of a station out.

    Parameters
    ----------
    bench : Bench
    operator : Operator
    evse : Evse
    fallback_a : float
        What the site's fail-safe leaves it [A]; installed at the end.
    pace : Pace
    """

    def __init__(
        self, bench: Bench, operator: Operator, evse: Evse, *, fallback_a: float, pace: Pace | None = None
    ) -> None:
        self._bench, self._operator, self._evse = bench, operator, evse
        self._pace = pace or Pace()
        self._fallback_a = fallback_a
        self._low_a = evse.min_a
        self._high_a = min(evse.max_a, evse.min_a + STEP_A)

    @property
    def _seen(self) -> Seen:
        return self._bench.seen[self._evse.station]

    async def run(self, *, name: str = "") -> Trial | None:
        """Go through all steps; ``None`` where the station never connected."""
        bench, evse, tell = self._bench, self._evse, self._operator.tell
        tell(f"waiting for {evse.station} to connect")
        if not await bench.until(lambda: self._seen.link is not None, at_most_s=self._pace.connect_s):
            return None
        await bench.read_capabilities(evse.station)
        trial = Trial(proof=StationProof(station=evse.station, at=bench.clock.now(), operator=name))
        await self._who(trial)
        await self._offline_starts(trial)
        try:
            if await self._vehicle(trial) and await self._settles(trial):
                await self._takes_zero(trial)
                await self._recurs(trial)
                await self._falls_back(trial)
                await self._survives(trial)
            self._clock(trial)
        finally:
            await self._leave(trial)
        return trial

    async def _leave(self, trial: Trial) -> None:
        """End the leases of the tests and install the site's own fail-safe."""
        bench, evse, left_a = self._bench, self._evse, self._fallback_a
        if evse.number in self._seen.transactions:
            await bench.limit(evse.station, evse.number, left_a, lease_s=1)
        answered = await bench.fall_back_to(evse.station, evse.number, left_a)
        if answered.outcome is not Outcome.ACCEPTED:
            note = f"{left_a:g} A: {answered.reason or answered.outcome.value}; see to it before it is used"
            trial.found("left with its fail-safe", Trust.NO, note)
        self._operator.tell(f"left with its fail-safe of {left_a:g} A: {answered.outcome.value}")

    async def _who(self, trial: Trial) -> None:
        seen, link = self._seen, self._seen.link
        if seen.booted is None and link is not None:
            try:
                await link.call("TriggerMessage", {"requestedMessage": "BootNotification"})
            except OcppError as error:
                self._operator.tell(f"it does not say who it is: {error}")
            await self._bench.until(lambda: seen.booted is not None, at_most_s=15.0)
        booted = seen.booted
        if booted is not None:
            trial.proof = replace(trial.proof, vendor=booted.vendor, model=booted.model, firmware=booted.firmware or "")

    async def _offline_starts(self, trial: Trial) -> None:
        values = await offline_settings(self._seen)
        said = ", ".join(f"{key}={value}" for key, value in values.items())
        result = Trust.UNKNOWN
        if values:
            result = Trust.YES if "true" in {v.lower() for v in values.values()} else Trust.NO
        trial.found("starts offline", result, said or "its settings do not say", starts_offline=result)

    async def _vehicle(self, trial: Trial) -> bool:
        """Get a vehicle that charges at the fail-safe; return whether there is one."""
        bench, evse, pace = self._bench, self._evse, self._pace
        answered = await bench.fall_back_to(evse.station, evse.number, self._low_a)
        refused = _refused(answered)
        if refused is not None:
            result, why = refused
            note = f"it took no default profile of {self._low_a:g} A: {why}"
            trial.found("takes a fail-safe", result, note, keeps_profiles=result)
            return False
        asked = await self._operator.do(
            f"plug a vehicle that is not full in at EVSE {evse.number} and let it charge (end any charging before)"
        )
        there = asked and await bench.until(lambda: evse.number in self._seen.transactions, at_most_s=pace.vehicle_s)
        if not there:
            trial.found("takes a fail-safe", Trust.UNKNOWN, "no vehicle: nothing could be tried")
            return False
        amps = await self._steady_a()
        if amps is None or amps < 1.0:
            trial.found("takes a fail-safe", Trust.UNKNOWN, "the vehicle draws nothing: nothing could be tried")
            return False
        holds = amps <= self._low_a + TOLERANCE_A
        note = f"a new vehicle draws {amps:.1f} A at a default of {self._low_a:g} A"
        trial.found("takes a fail-safe", Trust.YES if holds else Trust.NO, note)
        if not holds:
            trial.proof = replace(trial.proof, keeps_profiles=Trust.NO)
        return holds

    async def _steady_a(self) -> float | None:
        """Return what is drawn once the vehicle had time to follow [A]."""
        bench, evse = self._bench, self._evse
        await bench.rest(self._pace.settle_s / 3.0)
        return await bench.draw_a(evse.station, evse.number, after=bench.clock.now(), at_most_s=self._pace.reading_s)

    async def _limit(self, current_a: float, *, lease_s: int = 3600) -> tuple[Trust, str] | None:
        """Lease a current; return what it shows that it was not taken, and why, ``None`` where it was."""
        return _refused(await self._bench.limit(self._evse.station, self._evse.number, current_a, lease_s=lease_s))

    async def _goes_up(self) -> tuple[bool, float | None]:
        """Wait until the vehicle takes more than the fail-safe leaves it; return whether it does, and what it draws."""
        amps, _ = await self._reaches(self._low_a + TOLERANCE_A, self._high_a + TOLERANCE_A)
        return amps is not None and self._low_a + TOLERANCE_A < amps <= self._high_a + TOLERANCE_A, amps

    async def _reaches(self, low_a: float, high_a: float) -> tuple[float | None, float]:
        """Wait until what is drawn lies in a range; return the last reading [A] and how long it took [s]."""
        bench, evse = self._bench, self._evse
        began_s, amps = bench.clock.now_s(), None
        while bench.clock.now_s() < began_s + self._pace.settle_s:
            amps = await bench.draw_a(evse.station, evse.number, after=bench.clock.now(), at_most_s=10.0)
            if amps is not None and low_a <= amps <= high_a:
                break
            await bench.rest(1.0)
        return amps, bench.clock.now_s() - began_s

    async def _settles(self, trial: Trial) -> bool:
        """See it follow a lease up and down; return whether its vehicle shows anything, and the station follows."""
        what = "follows a lease"
        self._operator.tell(f"raising to {self._high_a:g} A, then back to {self._low_a:g} A")
        refused = await self._limit(self._high_a)
        if refused is not None:
            trial.found(what, refused[0], f"it did not take {self._high_a:g} A: {refused[1]}")
            return refused[0] is Trust.NO
        up, amps = await self._goes_up()
        if not up:
            told = "no reading" if amps is None else f"{amps:.1f} A"
            note = f"{told} at {self._high_a:g} A: a vehicle that takes no more, or a clock that is off, shows nothing"
            trial.found(what, Trust.UNKNOWN, note)
            return False
        refused = await self._limit(self._low_a)
        if refused is not None and refused[0] is not Trust.NO:
            trial.found(what, Trust.UNKNOWN, f"it did not take {self._low_a:g} A: {refused[1]}")
            return True
        down_a, took_s = await self._reaches(0.0, self._low_a + TOLERANCE_A)
        if refused is None and down_a is not None and down_a <= self._low_a + TOLERANCE_A:
            note = f"{amps:.1f} A to {down_a:.1f} A within {took_s:.0f} s"
            trial.found(what, Trust.YES, note, settle_s=round(took_s, 1))
        else:
            trial.found(what, Trust.NO, f"still above {self._low_a:g} A after {self._pace.settle_s:.0f} s")
        return True

    async def _takes_zero(self, trial: Trial) -> None:
        self._operator.tell("pausing at 0 A, then going on")
        before = self._seen.transactions.get(self._evse.number)
        refused = await self._limit(0.0)
        if refused is not None:
            result, why = refused
            trial.found("takes 0 A", result, f"it did not take 0 A: {why}", zero_ok=result)
            await self._limit(self._low_a)
            return
        paused_a, _ = await self._reaches(0.0, 1.0)
        await self._limit(self._high_a)
        on_a, _ = await self._reaches(self._low_a - TOLERANCE_A, self._evse.max_a + TOLERANCE_A)
        same = before is not None and self._seen.transactions.get(self._evse.number) == before
        if paused_a is None:
            trial.found("takes 0 A", Trust.UNKNOWN, "no reading while it was paused")
        elif paused_a > 1.0:
            note = f"it still drew {paused_a:.1f} A at 0 A"
            trial.found("takes 0 A", Trust.NO, note, zero_ok=Trust.NO)
        elif not same or on_a is None or on_a < self._low_a - TOLERANCE_A:
            why = "the transaction ended" if not same else "it did not go on afterwards"
            trial.found("takes 0 A", Trust.NO, f"{why}", zero_ok=Trust.NO)
        else:
            trial.found("takes 0 A", Trust.YES, f"paused at 0 A, went on with {on_a:.1f} A", zero_ok=Trust.YES)

    async def _recurs(self, trial: Trial) -> None:
        """Try a default that recurs daily and is higher since a minute ago."""
        bench, evse = self._bench, self._evse
        if evse.number not in self._seen.transactions:
            return
        self._operator.tell("trying a schedule that recurs daily")
        await self._limit(self._low_a, lease_s=5)
        now = bench.clock.now()
        into_s = int((now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds())
        periods = ((0, self._low_a), (max(1, into_s - 60), self._high_a))
        answered = await bench.recur(evse.station, evse.number, periods)
        refused = _refused(answered)
        if refused is not None:
            result, why = refused
            trial.found("follows what recurs daily", result, f"it did not take it: {why}", recurring_ok=result)
        else:
            follows, amps = await self._goes_up()
            told = "no reading" if amps is None else f"{amps:.1f} A in a window of {self._high_a:g} A"
            result = Trust.YES if follows else Trust.NO if amps is not None else Trust.UNKNOWN
            trial.found("follows what recurs daily", result, f"{told}, tried on one day", recurring_ok=result)
        await bench.fall_back_to(evse.station, evse.number, self._low_a)

    async def _falls_back(self, trial: Trial) -> None:
        bench, evse, pace, what = self._bench, self._evse, self._pace, "falls back without a link"
        if evse.number not in self._seen.transactions:
            return
        refused = await self._limit(self._high_a)
        if refused is None and not (await self._goes_up())[0]:
            trial.found(what, Trust.UNKNOWN, f"the vehicle takes no more than {self._low_a:g} A: it would show nothing")
            return
        refused = refused or await self._limit(self._high_a, lease_s=pace.lease_s)
        lease_ends_s = bench.clock.now_s() + pace.lease_s
        done = refused is None and await self._operator.do(
            f"pull the station's network plug within {pace.lease_s // 2} s (its power stays on, the vehicle goes on"
            " charging)"
        )
        gone = done and await bench.until(lambda: self._seen.link is None, at_most_s=pace.cut_s)
        if not gone:
            trial.found(what, Trust.UNKNOWN, "the link was never seen to be cut" if refused is None else refused[1])
            return
        late = bench.clock.now_s() >= lease_ends_s
        left_s = max(0.0, lease_ends_s - bench.clock.now_s()) + pace.settle_s
        if not late:
            self._operator.tell(f"the link is cut; waiting {left_s:.0f} s for the lease to end")
            await bench.rest(left_s)
        await self._operator.do("put the network plug back in")
        back = await bench.until(lambda: self._seen.link is not None, at_most_s=pace.cut_s)
        if late:
            trial.found(what, Trust.UNKNOWN, "the lease had ended before the link was seen to be cut: pull it sooner")
            return
        amps = None
        if back:
            amps = await bench.draw_a(evse.station, evse.number, after=bench.clock.now(), at_most_s=pace.reading_s)
        if amps is None:
            trial.found(what, Trust.UNKNOWN, "no reading when it was back")
            return
        falls = Trust.YES if amps <= self._low_a + TOLERANCE_A else Trust.NO
        note = (
            f"{amps:.1f} A when it was back: a lease of {self._high_a:g} A had ended, its default is {self._low_a:g} A"
        )
        trial.found(what, falls, note, falls_back=falls)

    async def _survives(self, trial: Trial) -> None:
        bench, evse, pace = self._bench, self._evse, self._pace
        cut_at = bench.clock.now()
        before = self._seen.connected_at
        done = await self._operator.do(
            "pull the network plug, switch the station's power off for 10 s and on again, let the vehicle charge"
            " (show the card if need be), wait two minutes, then put the network plug back in"
        )
        back = done and await bench.until(
            lambda: self._seen.link is not None and self._seen.connected_at != before, at_most_s=pace.cut_s
        )
        booted = back and await bench.until(
            lambda: self._seen.booted is not None and self._seen.booted.at > cut_at, at_most_s=pace.boot_s
        )
        if not booted:
            why = (
                "it came back and did not say that it had started: was its power off?"
                if back
                else "it was not seen to restart"
            )
            trial.found("keeps its profiles", Trust.UNKNOWN, why)
            return
        connected_at = self._seen.connected_at or bench.clock.now()
        said_a = await bench.in_force_a(evse.station, evse.number)
        charging = await bench.until(lambda: evse.number in self._seen.transactions, at_most_s=pace.vehicle_s / 3.0)
        amps = await self._steady_a() if charging else None
        takes_more = False
        if amps is not None and 1.0 <= amps <= self._low_a + TOLERANCE_A:
            raised = await bench.fall_back_to(evse.station, evse.number, self._high_a)  # which needs no clock
            takes_more = _refused(raised) is None and (await self._goes_up())[0]
        self._keeps(trial, said_a=said_a, amps=amps, takes_more=takes_more)
        self._keeps_clock(trial, cut_at=cut_at, connected_at=connected_at)

    def _keeps(self, trial: Trial, *, said_a: float | None, amps: float | None, takes_more: bool) -> None:
        what = "keeps its profiles"
        if amps is not None and amps >= 1.0:
            low = amps <= self._low_a + TOLERANCE_A
            keeps = Trust.NO if not low else Trust.YES if takes_more else Trust.UNKNOWN
            note = f"{amps:.1f} A after its power was cut; its default is {self._low_a:g} A"
            note += "; its vehicle was not seen to take more when it may" if low and not takes_more else ""
        elif said_a is not None and said_a < self._evse.max_a - TOLERANCE_A:
            keeps = Trust.YES if said_a <= self._low_a + TOLERANCE_A else Trust.NO
            note = f"it reports a limit of {said_a:.1f} A after its power was cut; no vehicle drew"
        else:
            keeps, note = Trust.UNKNOWN, "no vehicle drew after its power was cut, and it reports no limit"
        trial.found(what, keeps, note, keeps_profiles=keeps)

    def _keeps_clock(self, trial: Trial, *, cut_at: datetime, connected_at: datetime) -> None:
        """Look at times that the station wrote between its power cut and the moment at which it was told the time."""
        late = [(at, stamp) for at, stamp in self._seen.stamps if at >= connected_at - timedelta(seconds=5.0)]
        own = [stamp for _, stamp in late if stamp < connected_at - timedelta(seconds=5.0)]
        lost = [
            stamp
            for stamp in own
            if not cut_at - timedelta(seconds=CLOCK_LOST_S) <= stamp <= connected_at + timedelta(seconds=CLOCK_LOST_S)
        ]
        what = "keeps its clock"
        if lost:
            trial.found(
                what, Trust.NO, f"it wrote {min(lost):%Y-%m-%d %H:%M} before it was told the time", keeps_clock=Trust.NO
            )
        elif own:
            trial.found(what, Trust.YES, "what it wrote before it was told the time was right", keeps_clock=Trust.YES)
        else:
            note = "it wrote nothing before it was told the time; charge without the network to see it"
            trial.found(what, Trust.UNKNOWN, note)

    def _clock(self, trial: Trial) -> None:
        offsets = [(stamp - at).total_seconds() for at, stamp in self._seen.stamps]
        near = [s for s in offsets if abs(s) < CLOCK_LOST_S] or offsets
        if not near:
            trial.found("clock", Trust.UNKNOWN, "it wrote no times that could be compared")
            return
        # A reading is written before it arrives: the highest differences are of those that did not have to wait.
        off_s = median(s for s in near if s > max(near) - PROMPT_S)
        right = abs(off_s) < CLOCK_LOST_S
        note = f"off by {off_s:+.1f} s" + ("" if right else ": it is set wrong, or keeps local time")
        trial.found("clock", Trust.YES if right else Trust.NO, note, clock_offset_s=round(off_s, 1))


def _refused(answered: CommandAnswered) -> tuple[Trust, str] | None:
    """Return what it shows of a station that it did not take something, and why: no answer shows nothing."""
    if answered.outcome is Outcome.ACCEPTED:
        return None
    said = answered.outcome in (Outcome.REJECTED, Outcome.FAILED)
    return Trust.NO if said else Trust.UNKNOWN, answered.reason or answered.outcome.value
