"""Ending in good order: newcomers are turned away, nothing new is sent, and what is known is kept."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from loadmgr.apps.process.serving import serve_site
from loadmgr.apps.process.site import SiteProcess
from loadmgr.control.decision import Decision
from loadmgr.control.observation import OverrideSet
from loadmgr.model.ids import EvseId
from loadmgr.site_file import load_site
from loadmgr.store.in_memory import InMemory
from loadmgr.store.recall import recall
from ocpp_link.errors import ConnectFailed
from ocpp_link.testing import ChargingStation, PlainBody
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.test_run_watched import SITE


def test_a_drained_process_sends_nothing_keeps_all_and_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "watched.yaml"
    path.write_text(SITE)

    async def main() -> None:
        clock, book, known = SystemClock(), InMemory(), asyncio.Event()

        def look(decision: Decision) -> None:
            if decision.commands:
                known.set()

        process = SiteProcess(load_site(path), clock=clock, store=book, on_decision=look)
        server = await serve_site(process, host="127.0.0.1", port=0, clock=clock)
        controller = asyncio.create_task(process.run())

        def station() -> ChargingStation:
            url = f"ws://127.0.0.1:{server.port}/ocpp"
            return ChargingStation(identity="CS", version="1.6", url=url, clock=clock, body=PlainBody())

        below = station()
        await below.connect()
        await below.boot()
        await asyncio.wait_for(known.wait(), 20)
        server.drain()
        process.drain()
        last = OverrideSet(at=clock.now() + timedelta(seconds=1), evse=EvseId("one"), limit_a=0.0, by="ann")
        process.observe(last)
        await asyncio.wait_for(controller, 20)
        sent = process.messages["out"]
        with pytest.raises(ConnectFailed, match="503"):
            await station().connect()
        assert sent == process.messages["out"]
        found = recall(book)
        assert found is not None
        assert 0 == found.repeated  # a snapshot is the end of the journal
        assert found.controller._state.evses[EvseId("one")].override is not None
        await server.close()

    asyncio.run(main())
