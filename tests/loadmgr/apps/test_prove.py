"""Proving stations in the field: simulated ones over real sockets, good ones and bad ones, and a person who helps."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from loadmgr.apps.commands.prove_cli import trial_json, trial_sheet
from loadmgr.apps.field.bench import Bench
from loadmgr.apps.field.prove import Pace, Prover, Trial
from loadmgr.control.observation import CommandAnswered, Outcome
from loadmgr.model.topology import Trust
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.manners import Rudeness, Spell
from loadmgr.sim.station import SimStation
from loadmgr.sim.world import World
from ocpp_link.transport import serve
from tests.loadmgr.sim.sim_csms import START, session, small_plan

STATIONS = {"1.6": ("S16", "A"), "2.0.1": ("S201", "B")}
DOWN_S = 400.0
OFF_S = 60.0


class Helper:
    """A person who does to a simulated station what is asked for; ``power`` is what cutting its power does."""

    def __init__(
        self,
        station: SimStation,
        *,
        power: Callable[[SimStation], Awaitable[None]],
        leave_out: str = "-",
        pull_after_s: float = 0.0,
    ):
        self.station, self.power, self.leave_out, self.pull_after_s = station, power, leave_out, pull_after_s
        self.told: list[str] = []

    async def do(self, what: str) -> bool:
        self.told.append(what)
        if self.leave_out in what:
            return False
        if "power off" in what:
            self.station.spawn(self.power(self.station))
        elif "pull the station's network plug" in what:
            self.station.spawn(self.pull())
        return True

    async def pull(self) -> None:
        clock = self.station.clock
        await clock.sleep_until(clock.now_s() + self.pull_after_s)
        await self.station.drop_link(down_s=DOWN_S)

    def tell(self, what: str) -> None:
        self.told.append(what)


async def keeps(station: SimStation) -> None:
    await station.reboot(down_s=OFF_S, forget=False)


async def forgets(station: SimStation) -> None:
    await station.reboot(down_s=OFF_S, forget=True)


def tried(
    version: str = "1.6",
    *,
    power: Callable[[SimStation], Awaitable[None]] = keeps,
    leave_out: str = "-",
    spells: tuple[Spell, ...] = (),
    prepare: Callable[[SimStation], None] = lambda station: None,
    meddle: Callable[[Bench], None] = lambda bench: None,
    off_s: float = 3.0,
    pull_after_s: float = 0.0,
    **of_vehicle: Any,
) -> tuple[Trial, Helper]:
    """Prove a station over a real socket in simulated time."""
    name, evse_id = STATIONS[version]

    async def run() -> tuple[Trial, Helper]:
        wants = {"at_min": 2.0, "stay_min": 600.0, "energy_requested_wh": 60_000.0} | of_vehicle
        plan = small_plan(session("v", evse_id, **wants), minutes=100.0, spells=tuple((name, s) for s in spells))
        clock = VirtualClock(START)
        party = clock.party("bench", priority=9)
        bench = Bench([s.id for s in plan.site.stations], clock=party)
        server = await serve("127.0.0.1", 0, handler=bench, clock=party, versions=("1.6", "2.0.1"))
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        world = World(plan, clock=clock, url=url, observe=lambda seen: None)
        station = world.stations[name]
        station.clock.offset_s = off_s
        prepare(station)
        meddle(bench)
        helper = Helper(station, power=power, leave_out=leave_out, pull_after_s=pull_after_s)
        evse = plan.site.evse_by_id[evse_id]
        pace = Pace(settle_s=45.0, lease_s=120)
        living = asyncio.create_task(world.run())
        try:
            trial = await Prover(bench, helper, evse, fallback_a=0.0, pace=pace).run(name="M. Meyer")
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
            await server.close()
        assert trial is not None
        return trial, helper

    return asyncio.run(run())


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_good_station_is_proved_in_everything(version):
    trial, helper = tried(version)

    proof = trial.proof
    assert (Trust.YES,) * 4 == (proof.keeps_profiles, proof.falls_back, proof.zero_ok, proof.recurring_ok), trial
    assert Trust.YES is proof.starts_offline
    assert "1" == proof.firmware
    assert proof.settle_s is not None
    assert 2.0 <= proof.settle_s <= 15.0
    assert proof.clock_offset_s == pytest.approx(3.0, abs=1.0)
    assert "left with its fail-safe of 0 A: accepted" == helper.told[-1]


def test_a_station_that_forgets_its_profiles_with_the_power_is_found_out():
    trial, _ = tried(power=forgets)

    assert (Trust.NO, Trust.YES) == (trial.proof.keeps_profiles, trial.proof.falls_back)
    assert "16.0 A after its power was cut; its default is 6 A" in str(trial.findings)


def test_a_station_that_ignores_its_limits_while_nobody_looks_does_not_fall_back():
    async def and_then(station: SimStation) -> None:
        await keeps(station)

    def prepare(station: SimStation) -> None:
        original = station.drop_link

        async def drop_link(*, down_s: float) -> None:
            station.manners.current = Spell(behaviour=Rudeness.IGNORES_LIMITS, at_s=0.0, for_s=1.0)
            await original(down_s=down_s)
            station.refresh_all()

        station.drop_link = drop_link  # type: ignore[method-assign]

    trial, _ = tried(prepare=prepare, power=and_then)

    assert Trust.NO is trial.proof.falls_back


def test_a_station_that_refuses_0_a_is_no_place_for_a_pause():
    def prepare(station: SimStation) -> None:
        body = station.wire.body

        class Refusing:
            async def on_call(self, action: str, payload: dict[str, Any], now: Any) -> dict[str, Any]:
                if (
                    action == "SetChargingProfile"
                    and payload["csChargingProfiles"]["chargingProfilePurpose"] == "TxProfile"
                ):
                    schedule = payload["csChargingProfiles"]["chargingSchedule"]
                    if schedule["chargingSchedulePeriod"][0]["limit"] == 0.0:
                        return {"status": "Rejected"}
                return await body.on_call(action, payload, now)

            def __getattr__(self, name: str) -> Any:
                return getattr(body, name)

        station.wire.body = Refusing()  # type: ignore[assignment]

    trial, _ = tried(prepare=prepare)

    assert Trust.NO is trial.proof.zero_ok
    assert "it did not take 0 A" in str(trial.findings)


def test_a_clock_that_is_lost_with_the_power_is_found_out():
    async def power(station: SimStation) -> None:
        station.clock.offset_s = -timedelta(days=9000).total_seconds()
        await keeps(station)

    trial, _ = tried(power=power)

    assert Trust.NO is trial.proof.keeps_clock
    assert Trust.YES is trial.proof.keeps_profiles


def test_what_nobody_does_stays_unknown():
    trial, _ = tried(leave_out="plug")

    assert {Trust.UNKNOWN} == {trial.proof.keeps_profiles, trial.proof.falls_back, trial.proof.zero_ok}
    assert "no vehicle: nothing could be tried" in str(trial.findings)


def test_a_plug_that_nobody_pulls_proves_no_fall_back():
    trial, _ = tried(leave_out="pull the station's network plug")

    assert (Trust.UNKNOWN, Trust.YES) == (trial.proof.falls_back, trial.proof.keeps_profiles)


def test_a_station_that_follows_nothing_is_not_tried_further():
    trial, _ = tried(spells=(Spell(behaviour=Rudeness.IGNORES_LIMITS, at_s=10.0, for_s=5000.0),))

    assert Trust.NO is trial.proof.keeps_profiles
    assert {"starts offline", "takes a fail-safe", "clock"} == {f.what for f in trial.findings}


def results(trial: Trial) -> dict[str, str]:
    return {finding.what: finding.result.value for finding in trial.findings}


def test_a_vehicle_that_takes_no_more_than_the_fail_safe_proves_nothing():
    """A station that holds nothing at all would look the same."""
    trial, helper = tried(max_a=6.0, power=forgets)

    proof = trial.proof
    assert {Trust.UNKNOWN} == {proof.keeps_profiles, proof.falls_back, proof.zero_ok, proof.recurring_ok}
    assert "a vehicle that takes no more" in str(trial.findings)
    assert "left with its fail-safe of 0 A: accepted" == helper.told[-1]


def test_a_power_cut_that_nobody_made_proves_no_profile_kept():
    async def only_the_link(station: SimStation) -> None:
        await station.drop_link(down_s=OFF_S)

    trial, _ = tried(power=only_the_link)

    assert (Trust.UNKNOWN, Trust.YES) == (trial.proof.keeps_profiles, trial.proof.falls_back)
    assert "was its power off?" in str(trial.findings)


def test_a_plug_that_is_pulled_after_the_lease_has_ended_proves_no_fall_back():
    trial, _ = tried(pull_after_s=150.0)

    assert Trust.UNKNOWN is trial.proof.falls_back
    assert "pull it sooner" in str(trial.findings)


@pytest.mark.parametrize("off_s", [3600.0, -3600.0])
def test_a_clock_that_is_an_hour_off_is_found_and_proves_nothing_else(off_s):
    trial, _ = tried(off_s=off_s)

    assert "no" == results(trial)["clock"]
    assert trial.proof.clock_offset_s == pytest.approx(off_s, abs=2.0)
    assert Trust.YES is not trial.proof.falls_back


def test_a_station_that_refuses_everything_is_left_with_a_warning_on_the_sheet():
    def meddle(bench: Bench) -> None:
        async def refuse(station: Any, number: int, profile: Any) -> CommandAnswered:
            return CommandAnswered(at=START, command=1, outcome=Outcome.REJECTED)

        bench.install = refuse  # type: ignore[method-assign]

    trial, _ = tried(meddle=meddle)

    assert ("no", "no") == (results(trial)["takes a fail-safe"], results(trial)["left with its fail-safe"])
    assert Trust.NO is trial.proof.keeps_profiles
    assert "left with its fail-safe" in trial_sheet("Yard", trial)


def test_what_was_not_answered_because_the_link_broke_is_unknown_and_no_refusal():
    def meddle(bench: Bench) -> None:
        limit = bench.limit

        async def lost(station: Any, number: int, current_a: float, *, lease_s: int) -> CommandAnswered:
            if current_a == 0.0 and lease_s > 1:
                return CommandAnswered(at=START, command=1, outcome=Outcome.LOST, reason="the link broke")
            return await limit(station, number, current_a, lease_s=lease_s)

        bench.limit = lost  # type: ignore[method-assign]

    trial, _ = tried(meddle=meddle)

    assert (Trust.UNKNOWN, Trust.YES) == (trial.proof.zero_ok, trial.proof.keeps_profiles)
    assert "unknown" == results(trial)["takes 0 A"]


def test_the_sheet_can_be_signed_and_the_json_read():
    trial, _ = tried(leave_out="plug")
    text, document = trial_sheet("Yard", replace_name(trial)), trial_json(trial)

    assert "Station:" in text
    assert "as the station itself measured them" in text
    assert "M. Meyer" in text
    assert "Name, signature:" in text
    assert max(map(len, text.splitlines())) <= 104
    assert "unknown" == document["proof"]["keeps_profiles"]


def replace_name(trial: Trial) -> Trial:
    trial.proof = replace(trial.proof, vendor="Acme")
    return trial


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["NOBODY", "--site", "garage"], "there is no EVSE 1 of station NOBODY at Elm Street garage: the site file"),
        (["GARAGE-A1", "--site", "garage", "--evse", "2"], "it has EVSE 1"),
        (["GARAGE-A1", "--site", "garage"], "nothing was tried"),
    ],
)
def test_the_command_names_what_is_wrong(arguments, said):
    command = [sys.executable, "-m", "loadmgr", "station", "prove", *arguments]
    ended = subprocess.run(command, input="s\n", capture_output=True, text=True, timeout=60, check=False)

    assert 2 == ended.returncode
    assert said in ended.stderr
