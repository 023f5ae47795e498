"""``loadmgr run --upstream`` in strict mode: the CSMS is lost and the controller killed; nothing is lost or lifted."""

import asyncio
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadmgr.errors import InputError
from loadmgr.sim.bay import Bay
from ocpp_link.testing import Sample
from tests.loadmgr.apps.running import Running
from tests.loadmgr.apps.upstream_world import VERSIONS, Csms, World, set_profile

LIMIT_A = 9.0
REGISTER = "Energy.Active.Import.Register"


class Heard(dict[str, Any]):
    """The charge points of a CSMS, those of earlier connections too."""

    def __init__(self) -> None:
        super().__init__()
        self.every: list[Any] = []

    def __setitem__(self, identity: str, point: Any) -> None:
        self.every.append(point)
        super().__setitem__(identity, point)

    def calls(self, *actions: str) -> list[dict[str, Any]]:
        """Return the payloads of what stations said, in the order in which it was heard."""
        frames = [json.loads(text) for point in self.every for text in point.texts]
        return [frame[3] for frame in frames if frame[0] == 2 and frame[2] in actions]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Strict:
    """One station below a controller in a process of its own, below a CSMS."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.heard = Heard()
        self.csms = Csms(points=self.heard)
        self.world = World(csms=self.csms, folder=folder, relay=SimpleNamespace(port=free_port()))
        self.identity = identity
        self.drawn_a: list[float] = []
        self.running: Running
        self.world.write_site()

    def run(self) -> None:
        """Start the controller."""
        options = ("--port", str(self.world.relay.port), "--without-certificate")
        self.running = Running(
            self.world.folder / "site.yaml", *options, "--upstream", f"ws://127.0.0.1:{self.csms.port}/ocpp"
        )

    def note(self, line: str) -> None:
        drawn = re.search(r"draws ([\d.]+) A", line)
        if drawn is not None:
            self.drawn_a.append(float(drawn[1]))

    async def until(self, true: Callable[[], Any]) -> None:
        await self.world.until(true, within_s=40.0)

    def draws(self, current_a: float) -> bool:
        return self.world.draw_a(self.identity) == current_a

    def online(self) -> bool:
        return self.world.stations[self.identity].wire.connected

    def setpoint_a(self) -> float | None:
        try:
            evses = self.running.ask()["evses"]
        except (InputError, KeyError):
            return None
        return next((evse["setpoint_a"] for evse in evses if evse["station"] == self.identity), None)

    async def end(self) -> None:
        for life in self.world.lives.values():
            life.cancel()
        await asyncio.gather(*self.world.lives.values(), return_exceptions=True)
        for station in self.world.stations.values():
            await station.wire.disconnect()
        await asyncio.to_thread(self.running.stop)
        await self.csms.close()


def samples(heard: Heard) -> list[float]:
    """Return the registers that the CSMS was told of while a transaction ran [Wh]."""
    out = []
    for payload in heard.calls("MeterValues", "TransactionEvent"):
        for value in payload.get("meterValue", ()):
            out += [float(each["value"]) for each in value["sampledValue"] if each.get("measurand") == REGISTER]
    return out


@pytest.mark.parametrize("identity", VERSIONS)
def test_a_lost_csms_and_a_killed_controller_cost_no_message_and_lift_no_limit(
    tmp_path: Path, identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadmgr.sim.station.READER_S", 0.2)
    monkeypatch.setattr("loadmgr.sim.station.REDIAL_S", 0.3)
    monkeypatch.setattr("loadmgr.sim.station.LONGEST_REDIAL_S", 0.6)
    strict = Strict(tmp_path, identity)
    measured: list[float] = []

    def samples_of(bay: Bay, measurands: str, **how: Any) -> list[Sample]:
        found = plain(bay, measurands, **how)
        measured.extend(each.value for each in found if each.measurand == REGISTER)
        return found

    plain = Bay.samples
    monkeypatch.setattr(Bay, "samples", samples_of)

    async def lose_and_kill() -> None:
        await strict.csms.close()
        await strict.until(lambda: not strict.online())  # strictly: the station keeps its messages itself
        assert strict.draws(LIMIT_A)  # by what it holds
        before = len(samples(strict.heard))
        await asyncio.to_thread(strict.running.kill)
        await asyncio.sleep(1.5)  # it measures on
        strict.run()
        await asyncio.to_thread(strict.running.said, "stations connect to")
        await strict.csms.open()
        await strict.until(strict.online)
        await strict.until(lambda: strict.setpoint_a() == LIMIT_A)  # also of a CSMS that does not say it again
        await strict.until(lambda: len(samples(strict.heard)) > before + 1)

    async def scene() -> None:
        await strict.csms.open()
        strict.run()
        await asyncio.to_thread(strict.running.said, "stations connect to")
        station = strict.world.start_station(identity, tell=strict.note)
        await strict.until(lambda: strict.draws(16.0))
        await set_profile(strict.world, identity, LIMIT_A)
        await strict.until(lambda: strict.draws(LIMIT_A))
        limited = len(strict.drawn_a)
        for _ in range(2):
            await lose_and_kill()
        await strict.csms.close()
        await strict.until(lambda: not strict.online())
        stopping = asyncio.create_task(station.transactions.stop(station.bays[1], reason="Local"))
        await strict.until(lambda: strict.draws(0.0))  # it ends while nobody hears of it
        register_wh = station.bays[1].outlet.register_wh
        await strict.csms.open()
        await strict.until(strict.online)
        await stopping
        assert {LIMIT_A, 0.0} >= set(strict.drawn_a[limited:])
        told = samples(strict.heard)
        assert sorted(told) == told
        assert set() == set(measured) - set(told)
        [end] = strict.heard.calls("StopTransaction") or [
            each for each in strict.heard.calls("TransactionEvent") if each["eventType"] == "Ended"
        ]
        shown_wh = end["meterStop"] if identity == "S16" else end["meterValue"][0]["sampledValue"][0]["value"]
        assert pytest.approx(register_wh, abs=1.0) == shown_wh

    async def main() -> None:
        try:
            async with asyncio.timeout(180):
                await scene()
        finally:
            await strict.end()

    asyncio.run(main())
