"""Commissioning: simulated stations over real sockets, wired otherwise than the site file says, and what is found."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from loadmgr.apps.commands.commission_cli import FileMeters, wiring_json, wiring_sheet
from loadmgr.apps.field.bench import Bench
from loadmgr.apps.field.commission import Commissioner, Pace, Wiring
from loadmgr.control.observation import SiteMeterReading
from loadmgr.errors import InputError
from loadmgr.model.ids import CircuitId, MeterId
from loadmgr.model.topology import Meter, Phase, PhaseAmps, Site
from loadmgr.sim.clock import VirtualClock
from loadmgr.sim.world import World
from ocpp_link.transport import serve
from tests.loadmgr.sim.sim_csms import START, session, small_plan

L1, L2, L3 = Phase


class Shown:
    """What the meters of the simulated site showed last, through transformers that may be wrong."""

    def __init__(self, factor: PhaseAmps = (1.0, 1.0, 1.0)) -> None:
        self.factor, self.last = factor, dict[str, PhaseAmps]()

    def take(self, seen: Any) -> None:
        if isinstance(seen, SiteMeterReading):
            a, b, c = (amps * f for amps, f in zip(seen.currents_a, self.factor, strict=True))
            self.last[seen.meter] = (a, b, c)

    async def read(self, meter: MeterId) -> PhaseAmps | None:
        return self.last.get(meter)


class Willing:
    def __init__(self) -> None:
        self.told: list[str] = []

    async def do(self, what: str) -> bool:
        return True

    def tell(self, what: str) -> None:
        self.told.append(what)


def commissioned(
    *,
    car_phases: int = 1,
    shown: Shown | None = None,
    vehicles: tuple[str, ...] = ("A", "B"),
    held: list[float] | None = None,
    **really: Any,
) -> tuple[Wiring, ...]:
    """Commission a site of two whose file says L1L2L3 on the riser, and whose first EVSE is really otherwise."""
    shown = shown or Shown()

    async def run() -> tuple[Wiring, ...]:
        visits = [session(f"v{e}", e, at_min=1.0, stay_min=200.0, phases=car_phases) for e in vehicles]
        plan = small_plan(*visits, minutes=60.0)
        meters = tuple(Meter(id=f"{c}_meter", circuit=c, interval_s=2.0, stale_after_s=60.0) for c in ("grid", "riser"))
        said: Site = replace(plan.site, meters=meters)
        true = replace(said, evses=(replace(said.evses[0], **really), said.evses[1]))
        arrivals = replace(
            plan.arrivals,
            visits=tuple(replace(v, evse=true.evse_by_id[v.evse.id]) for v in plan.arrivals.visits),
        )
        clock = VirtualClock(START)
        party = clock.party("bench", priority=9)
        bench = Bench([s.id for s in said.stations], clock=party)
        server = await serve("127.0.0.1", 0, handler=bench, clock=party, versions=("1.6", "2.0.1"))
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        world = World(replace(plan, site=true, arrivals=arrivals), clock=clock, url=url, observe=shown.take)
        living = asyncio.create_task(world.run())
        pace = Pace(settle_s=20.0)
        try:
            found = await Commissioner(said, bench, Willing(), shown, pace=pace).run(said.evses)
            await bench.rest(60.0)
            for reading in (bench.seen[e.station].readings.get(e.number) for e in said.evses):
                if held is not None and reading is not None:
                    held.append(bench.peak_a(reading))
            return found
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
            await server.close()

    return asyncio.run(run())


def test_a_site_as_its_file_says_is_found_good_with_its_lag():
    found = commissioned()

    assert [(), ()] == [w.faults for w in found]
    assert ["L1", "L1"] == [w.phases for w in found]
    assert all(set(w.circuits) == {"grid", "riser"} for w in found)
    assert all(w.lag_s is not None and 1.0 <= w.lag_s <= 20.0 for w in found)


def test_a_rotation_that_the_file_does_not_know_is_found_with_what_to_write():
    found, other = commissioned(phases=(L2, L3, L1))

    assert ("A is on L2 where the site file says L1; write phases: L2L3L1",) == found.faults
    assert ("L2", ()) == (found.phases, other.faults)


def test_two_phases_show_a_pair_that_is_wrong():
    found, _ = commissioned(car_phases=2, phases=(L3, L1, L2))

    assert ("A is on L1L3 where the site file says L1L2",) == found.faults


def test_three_phases_do_not_show_their_order():
    found, _ = commissioned(car_phases=3, phases=(L2, L3, L1))

    assert ("L1L2L3", ()) == (found.phases, found.faults)
    assert "their order is not seen" in found.note


def test_an_evse_on_another_circuit_is_found_there():
    found, _ = commissioned(circuit=CircuitId("grid"))

    assert ("A is not seen on circuit riser, through which the site file feeds it",) == found.faults
    assert ("grid",) == found.circuits


def test_a_transformer_the_wrong_way_round_and_one_of_the_wrong_ratio_are_named():
    found, _ = commissioned(shown=Shown((-1.0, 1.0, 1.0)))
    half, _ = commissioned(shown=Shown((0.6, 1.0, 1.0)))

    assert any("fell on L1: its transformer there is mounted the wrong way" in f for f in found.faults)
    assert any("wrong scale" in f for f in half.faults)


def test_an_evse_that_no_meter_sees_is_a_fault():
    found, _ = commissioned(shown=Shown((0.0, 0.0, 0.0)))

    assert ("A draws and no meter sees it: it hangs elsewhere, or the meters are dead",) == found.faults


def test_a_vehicle_that_appears_at_another_station_shows_that_they_are_swapped():
    found, _ = commissioned(vehicles=("B",))

    assert "FAULT" in wiring_sheet("Yard", [found])
    assert (
        "a vehicle began to charge at B (station S201) instead: stations may be swapped, or their ids",
    ) == found.faults


def test_evses_are_left_with_the_fail_safe_and_no_lease():
    """In turn all of them charge: at the least current of the steps they would be above their circuit."""
    held: list[float] = []
    commissioned(held=held)

    assert [0.0, 0.0] == held


def test_a_meter_that_falls_silent_in_the_middle_is_named():
    class Falling(Shown):
        reads = 0

        async def read(self, meter: MeterId) -> PhaseAmps | None:
            self.reads += meter == "riser_meter"
            return None if meter == "riser_meter" and self.reads > 1 else await super().read(meter)

    found, _ = commissioned(shown=Falling())

    assert "meter riser_meter shows nothing" in found.faults


def test_the_sheet_lists_every_evse_with_what_was_seen():
    found = commissioned(phases=(L2, L3, L1))
    text = wiring_sheet("Yard", found)

    assert "2 of 2 tried" in text
    assert "A  FAULT  L2 on grid, riser" in text
    assert "B  good   L1 on grid, riser" in text
    assert ["L2"] == [wiring_json(w)["phases"] for w in found if w.faults]


def test_a_file_of_meter_values_is_read_while_it_is_fresh(tmp_path):
    path = tmp_path / "meters.json"
    meters = FileMeters(path)
    assert asyncio.run(meters.read(MeterId("m"))) is None

    path.write_text(json.dumps({"m": [1, 2.5, 3]}))
    assert (1.0, 2.5, 3.0) == asyncio.run(meters.read(MeterId("m")))

    for wrong in ([1, 2], [1, 2, float("nan")], [1, 2, float("inf")], "123", ["x", 2, 3], {}):
        path.write_text(json.dumps({"m": wrong}))
        with pytest.raises(InputError, match="meter m must be three numbers"):
            asyncio.run(meters.read(MeterId("m")))


def test_the_command_refuses_an_evse_that_is_not_there():
    command = [sys.executable, "-m", "loadmgr", "commission", "garage", "--evse", "Z9"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (2, "loadmgr: there is no EVSE Z9 at Elm Street garage\n") == (ended.returncode, ended.stderr)
