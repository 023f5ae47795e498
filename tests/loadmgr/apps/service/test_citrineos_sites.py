"""A served site whose stations are behind CitrineOS: its subscriptions in, commands out, over real HTTP both ways."""

import asyncio
import urllib.parse

import httpx2
import pytest

from loadmgr.apps.process.serving import stop
from loadmgr.apps.service.beside import serving
from loadmgr.apps.service.citrineos import CitrineSites
from loadmgr.apps.service.hosting import Hosting
from loadmgr.apps.service.running import Listening, Working, citrineos_of
from loadmgr.apps.service.service import build_service
from loadmgr.apps.service.tables import IN_MEMORY
from loadmgr.errors import InputError
from loadmgr.site_file import check_values
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.service.asking import SMALL
from tests.loadmgr.csms.test_citrineos import StandIn, tell


class Subscribable(StandIn):
    """CitrineOS with its subscriptions: listed by station, made anew whenever one is posted, ended by their number."""

    def __init__(self, *known):
        self.subscriptions = list(known)
        super().__init__()

    def called(self, path, payload):
        method, _, where = path.rpartition(" ")
        parts = urllib.parse.urlsplit(where)
        if parts.path != "/data/ocpprouter/subscription":
            return super().called(path, payload)
        query = {k: v[0] for k, v in urllib.parse.parse_qs(parts.query).items()}
        if method == "GET":
            return 200, [s for s in self.subscriptions if s["stationId"] == query["stationId"]]
        if method == "DELETE":
            self.subscriptions = [s for s in self.subscriptions if str(s["id"]) != query["id"]]
            return 200, True
        self.subscriptions.append({**payload, "id": 100 + len(self.subscriptions)})
        self.hook = payload["url"]
        return 200, len(self.subscriptions)


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_served_site_behind_citrineos_is_told_of_its_stations_and_commands_them(tmp_path):
    sites = {"small": check_values(SMALL, name="small").site_file}

    async def play():
        port, clock = free_port(), SystemClock()
        own = f"http://127.0.0.1:{port}"
        stale = {"stationId": "E1", "url": f"{own}/v1/sites/small/citrineos/before/notifications", "id": 7}
        theirs = {"stationId": "E1", "url": "http://elsewhere/", "id": 8}
        citrine = Subscribable(stale, theirs)
        citrines = CitrineSites(api=citrine.host.url, own_url=own, secret="s")
        service = build_service(
            sites, now=clock.now, database=IN_MEMORY, is_open=True, to_control=sites, citrineos=citrines
        )
        hosting = asyncio.create_task(Hosting(service, sites, clock=clock, state_folder=tmp_path).run())
        async with serving(service, Listening(host="127.0.0.1", port=port, is_open=True)), asyncio.timeout(40):
            while len(citrine.subscriptions) < 3:  # noqa: ASYNC110 - another thread counts
                await asyncio.sleep(0.05)
            await asyncio.to_thread(tell, citrine)
            while len([k for k, v in citrine.limits.items() if k[1] == "TxProfile" and v[0] >= 6.0]) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            async with httpx2.AsyncClient() as client:
                wrong = citrine.hook.replace(citrine.hook.split("/")[-2], "guessed")
                refused = [(await client.post(where, json={})).status_code for where in (wrong, citrine.hook)]
            await stop(hosting)
            gone = await asyncio.to_thread(_posted, citrine.hook)
        citrine.host.server.shutdown()
        return citrine, refused, gone

    citrine, refused, gone = asyncio.run(play())
    assert [404, 204] == refused
    assert 404 == gone
    assert ["E1", "E1", "E2"] == sorted(s["stationId"] for s in citrine.subscriptions)
    assert 7 not in {s["id"] for s in citrine.subscriptions}
    one, two = citrine.limits["E1", "TxProfile"], citrine.limits["E2", "TxProfile"]
    assert 25.0 >= one[0] + two[0]


def _posted(url):
    return httpx2.post(url, json={}).status_code


@pytest.mark.parametrize(
    "working",
    [
        Working(citrineos="http://c:8080", control=True),
        Working(citrineos="http://c:8080", own_url="http://us"),
        Working(citrineos="c:8080", own_url="http://us", control=True),
    ],
)
def test_what_is_missing_for_citrineos_is_said(working):
    with pytest.raises(InputError, match="--"):
        citrineos_of(working, {})


def test_its_addresses_are_the_same_after_a_restart_and_told_by_no_name():
    one, again, other = (
        CitrineSites(api="http://c", own_url="http://us", secret=secret).address("small") for secret in ("s", "s", "t")
    )
    assert one == again
    assert one != other
