"""Orders over the socket of a site's process."""

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadmgr.apps.process.local_control import ask_local, serve_local
from loadmgr.apps.process.site import SiteProcess
from loadmgr.site_file import load_site
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.test_run_watched import SITE

NOON = datetime(2024, 6, 3, 12, tzinfo=UTC)


def test_the_end_of_an_order_is_told_in_the_sites_own_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path, socket = tmp_path / "site.yaml", tmp_path / "socket"
    path.write_text(SITE.replace("timezone: UTC", "timezone: Europe/Berlin"))

    async def main() -> None:
        process = SiteProcess(load_site(path), clock=SystemClock())
        server = await serve_local(socket, process, now=lambda: NOON, reload=list, later={})
        order = {"do": "override", "evse": "one", "limit_a": 8.0, "for_s": 7200.0}
        done = await asyncio.to_thread(ask_local, socket, order)
        server.close()

        assert "2024-06-03T16:00:00+02:00" == done["until"]
        assert f"one: limited to 8 A by {done['by']} until 16:00" in caplog.messages

    asyncio.run(main())
