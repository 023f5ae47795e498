"""The status of a running site: plain JSON, from the same view as everything else."""

import asyncio
import json
from pathlib import Path

from loadmgr.apps.process.serving import serve_site, stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.process.status import site_status
from loadmgr.control.decision import Decision
from loadmgr.site_file import load_site
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.test_run_watched import SITE


def test_before_the_first_decision_there_is_only_the_controller(tmp_path: Path) -> None:
    path = tmp_path / "watched.yaml"
    path.write_text(SITE)

    async def main() -> None:
        status = site_status(SiteProcess(load_site(path), clock=SystemClock()))
        assert {"site", "controller", "messages", "csms"} == set(status)

    asyncio.run(main())


def test_a_station_is_shown_with_its_model_its_quirks_and_its_writes(tmp_path: Path) -> None:
    path = tmp_path / "watched.yaml"
    path.write_text(SITE)

    async def main() -> None:
        clock = SystemClock()
        known = asyncio.Event()

        def look(_: Decision) -> None:
            if site_status(process)["stations"][0]["model"] is not None:
                known.set()

        process = SiteProcess(load_site(path), clock=clock, on_decision=look)
        server = await serve_site(process, host="127.0.0.1", port=0, clock=clock)
        controller = asyncio.create_task(process.run())
        url = f"ws://127.0.0.1:{server.port}/ocpp"
        below = ChargingStation(
            identity="CS", version="1.6", url=url, clock=clock, body=PlainBody(), vendor="EV-Box", model="Elvi 2"
        )
        try:
            await below.connect()
            await below.boot()
            await asyncio.wait_for(known.wait(), 20)
            status = json.loads(json.dumps(site_status(process)))
        finally:
            await below.disconnect()
            await stop(controller)
            await server.close()
        (station,) = status["stations"]
        assert (True, "1.6", "EV-Box", "Elvi 2") == tuple(
            station[key] for key in ("connected", "version", "vendor", "model")
        )
        assert 0 == station["quirks"]["stack_level"]["value"]
        assert [("one", 40), (None, 10)] == [(w["evse"], w["budget"]) for w in station["writes"]]
        assert [20.0] * 3 == status["circuits"][0]["limit_a"]
        assert "one" == status["evses"][0]["evse"]

    asyncio.run(main())
