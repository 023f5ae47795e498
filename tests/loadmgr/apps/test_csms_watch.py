"""A CSMS that is lost is seen: in the status, as an alarm, and by Prometheus."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from loadmgr.apps.process.status import site_status
from loadmgr.apps.process.status_text import show_status
from loadmgr.apps.upstream.csms_watch import CsmsWatch, csms_alarms, csms_lines
from ocpp_link.proxy.queue import Backlog
from tests.loadmgr.apps.upstream_world import World, play

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Noon:
    """A clock that stands still."""

    def now(self) -> datetime:
        return AT


def watch(*, lost: tuple[str, ...], there: tuple[str, ...]) -> CsmsWatch:
    made = CsmsWatch(Noon())  # type: ignore[arg-type]
    for name in (*there, *lost):
        made.note(name, there=name in there)
    made.backlog = lambda: {"S1": Backlog(waiting=3, oldest_at=AT - timedelta(seconds=90))}
    return made


def test_each_station_without_its_csms_is_an_alarm_with_what_waits_for_it() -> None:
    (alarm,) = csms_alarms(watch(lost=("S1",), there=("S2",)))

    assert ("csms lost", "S1", "warning") == (alarm["kind"], alarm["subject"], alarm["severity"])
    assert "the CSMS is lost for station S1; 3 messages wait for it on disk" == alarm["cause"]


def test_a_csms_that_is_lost_for_everybody_is_one_alarm() -> None:
    (alarm,) = csms_alarms(watch(lost=("S1", "S2", "S3"), there=()))

    assert ("CSMS", "the CSMS is lost for all 3 stations; 3 messages wait for it on disk") == (
        alarm["subject"],
        alarm["cause"],
    )


def test_a_csms_that_comes_back_is_no_alarm() -> None:
    made = watch(lost=("S1",), there=())
    made.note("S1", there=True)

    assert [] == csms_alarms(made)


def test_a_station_that_went_without_its_csms_counts_until_another_finds_it() -> None:
    made = watch(lost=("S1", "S2"), there=())
    made.note("S2", there=False, served=True)
    made.note("S3", there=True)

    assert {"S2"} == made.without


def test_prometheus_reads_who_is_lost_how_much_waits_and_for_how_long() -> None:
    lines = set(csms_lines([("depot", watch(lost=("S1",), there=("S2",)))]))

    assert lines >= {
        'loadmgr_csms_lost_stations{site="depot"} 1',
        'loadmgr_csms_lost{site="depot",station="S1"} 1',
        'loadmgr_csms_lost{site="depot",station="S2"} 0',
        'loadmgr_csms_waiting_messages{site="depot",station="S1"} 3',
        'loadmgr_csms_oldest_waiting_seconds{site="depot",station="S1"} 90.0',
        'loadmgr_csms_waiting_messages{site="depot",station="S2"} 0',
    }


def shown(made: World) -> str:
    assert made.process is not None
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as captured:
        show_status(site_status(made.process), console)
    return captured.get()


@pytest.mark.parametrize("loss", ["strict", "sticky"])
def test_a_status_says_that_the_csms_is_lost_and_what_waits(
    tmp_path: Path, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadmgr.sim.station.READER_S", 0.2)
    monkeypatch.setattr("loadmgr.sim.station.REDIAL_S", 0.3)

    async def scene(made: World) -> None:
        made.start_station("S16")
        await made.until(lambda: made.draw_a("S16") > 0.0)
        assert "CSMS: there" in shown(made)
        await made.csms.close()
        await made.until(lambda: "CSMS: lost for 1 of 1 stations" in shown(made))
        assert "! the CSMS is lost for station S16" in shown(made)
        if loss == "sticky":
            await made.until(lambda: "message waits" in shown(made) or "messages wait" in shown(made))
        await made.csms.open()
        await made.until(lambda: not made.csms_lost(), within_s=12.0)
        assert "CSMS: there" in shown(made)

    play(scene, tmp_path, loss=loss)
