"""What is said of sessions for their drivers."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loadmgr.apps.process import drivers
from loadmgr.apps.process.drivers import DriverBook
from loadmgr.apps.process.site import SiteProcess
from loadmgr.control.decision import RunningSession, SessionView
from loadmgr.control.observation import SessionDeclared, StationConnected, TransactionStarted
from loadmgr.model.ids import EvseId, StationId, TransactionId
from loadmgr.model.profile import OcppVersion
from loadmgr.site_file import SiteFile, load_site
from ocpp_link.transport import SystemClock
from tests.loadmgr.test_site_file_outside import SITE, written

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
CALENDAR = "id_token,departure,energy_requested_wh\n"
DRIVERS = """\
drivers:
  calendar: departures.csv
  rules: [{id_tokens: ["FLEET-*"], leaves: "07:00", energy: 20kWh}]
"""
STAYS = "drivers: {rules: [{id_tokens: ['FLEET-*'], stays: 2h}]}\n"


def site_with(folder: Path, *rows: str) -> SiteFile:
    (folder / "departures.csv").write_text(CALENDAR + "".join(f"{row}\n" for row in rows))
    return load_site(written(folder, SITE + DRIVERS))


def start(token: str | None, *, at: datetime = NOW, live: bool = True, number: int = 1) -> TransactionStarted:
    return TransactionStarted(
        at=at, station=StationId("A"), number=number, transaction=TransactionId("1"), id_token=token, live=live
    )


def test_a_rule_speaks_once_for_a_driver_of_its_tokens(tmp_path: Path) -> None:
    book = DriverBook(site_with(tmp_path))

    (said,) = book.said_of(start("fleet-3"))

    assert said.need is not None
    assert (said.source, said.departure) == ("rule", datetime(2026, 3, 3, 6, 0, tzinfo=UTC))
    assert said.need.wanted_wh == 20_000.0
    assert [] == book.said_of(start("fleet-3"))


def test_a_driver_who_is_known_only_later_gets_what_the_rule_says_as_from_the_start(tmp_path: Path) -> None:
    """Stations of OCPP 2.x may begin a transaction with the cable, and tell the token in an update."""
    book = DriverBook(load_site(written(tmp_path, SITE + STAYS)))
    assert [] == book.said_of(start(None))
    later = NOW + timedelta(minutes=30)

    (said,) = book.said_of(start("FLEET-3", at=later))

    assert (said.at, said.departure) == (later, NOW + timedelta(hours=2))
    assert [] == book.said_of(start("FLEET-3", at=later))
    assert [] == book.said_of(start(None, at=later))


def test_a_driver_whose_session_began_without_a_link_is_known_once_it_is_live(tmp_path: Path) -> None:
    book = DriverBook(load_site(written(tmp_path, SITE + STAYS)))
    now = NOW + timedelta(minutes=50)
    assert [] == book.said_of(replace(start("FLEET-3", at=now, live=False), started_at=NOW))

    (said,) = book.said_of(start(None, at=now + timedelta(seconds=9)))

    assert said.departure == NOW + timedelta(hours=2)
    assert [] == book.said_of(start(None, at=now + timedelta(minutes=1)))


def test_an_update_that_names_no_evse_is_of_the_transaction_that_it_names(tmp_path: Path) -> None:
    two = SITE.replace("{id: B, max: 16A}", "{id: B, station: A, number: 2, max: 16A}")
    book = DriverBook(load_site(written(tmp_path, two + STAYS)))
    assert [] == book.said_of(start(None, number=2))

    (said,) = book.said_of(replace(start("FLEET-3"), number=None))

    assert said.evse == "B"
    assert [] == book.said_of(replace(start("FLEET-3"), number=None, transaction=TransactionId("9")))


@pytest.mark.parametrize("by_its_clock", [datetime(1970, 1, 1, tzinfo=UTC), NOW + timedelta(days=900)])
def test_a_stay_is_not_counted_by_a_stations_clock_that_was_never_set(by_its_clock: datetime, tmp_path: Path) -> None:
    book = DriverBook(load_site(written(tmp_path, SITE + STAYS)))

    (said,) = book.said_of(replace(start("FLEET-3"), started_at=by_its_clock))
    an_hour_late = replace(start("FLEET-4", at=NOW + timedelta(hours=1)), station=StationId("B"), started_at=NOW)
    (queued,) = book.said_of(an_hour_late)

    assert said.departure == NOW + timedelta(hours=2)
    assert queued.departure == NOW + timedelta(hours=2)


def test_a_rule_does_not_speak_again_of_a_session_that_it_spoke_of_before_a_restart(tmp_path: Path) -> None:
    book = DriverBook(load_site(written(tmp_path, SITE + STAYS)))
    running = RunningSession(evse=EvseId("A"), transaction=TransactionId("1"), id_token="~x", started=NOW)
    book.go_on_with([running])

    assert [] == book.said_of(start("FLEET-3", at=NOW + timedelta(hours=1)))
    book.go_on_with([replace(running, id_token=None)])
    (said,) = book.said_of(start("FLEET-3", at=NOW + timedelta(hours=1)))
    assert said.departure == NOW + timedelta(hours=2)


@pytest.mark.parametrize(
    "seen", [start("OTHER"), start(None), start("FLEET-3", live=False), start("FLEET-3", number=7)]
)
def test_nothing_is_said_of_others_of_history_and_of_unknown_evses(seen: TransactionStarted, tmp_path: Path) -> None:
    assert [] == DriverBook(site_with(tmp_path)).said_of(seen)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it did not come to pass in 20 s")


def session(process: SiteProcess) -> SessionView | None:
    return process.controller.view().evses[0].session


async def session_of(process: SiteProcess, source: str) -> SessionView:
    """Wait until the session of the first EVSE was declared by a source."""
    await until(lambda: (now := session(process)) is not None and now.source == source)
    found = session(process)
    assert found is not None
    return found


def test_a_running_site_goes_by_its_calendar_under_pseudonyms_and_reads_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(drivers, "LOOK_S", 0.05)

    asyncio.run(asyncio.wait_for(by_its_calendar(tmp_path, caplog), timeout=60))

    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


async def by_its_calendar(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = SystemClock()
    now = clock.now()
    first, later = now + timedelta(hours=5), now + timedelta(hours=7)
    site_file = site_with(tmp_path, f"fleet-3,{first.isoformat()},9000")
    process = SiteProcess(site_file, clock=clock, pseudonym=lambda token: f"~{token.casefold()}")
    running = asyncio.create_task(process.run())
    await asyncio.sleep(0.1)

    process.observe(StationConnected(at=now, station=StationId("A"), version=OcppVersion.V16), source="A")
    process.observe(start("FLEET-3", at=clock.now()), source="A")
    found = await session_of(process, "calendar")
    assert (found.id_token, found.departure, found.wanted_wh) == ("~fleet-3", first, 9000.0)

    site_with(tmp_path, "fleet-3,tomorrow,9000")
    await until(lambda: "row 2, column departure: 'tomorrow' is not a time" in caplog.text)
    site_with(tmp_path, f"fleet-3,{later.isoformat()},9500")
    await until(lambda: (seen := session(process)) is not None and seen.departure == later)
    process.observe(
        SessionDeclared(at=clock.now(), evse=found.evse, departure=now + timedelta(hours=2), source="driver")
    )
    found = await session_of(process, "driver")
    assert (found.departure, found.wanted_wh) == (now + timedelta(hours=2), 9500.0)

    process.drain()
    await running
