"""The answer to a snapshot is what a controller sends that lived through it: the same commands, in the same order."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadmgr.apps.service.facts import facts_of
from loadmgr.apps.service.schedule import run_schedule
from loadmgr.apps.service.snapshot import ScheduleRequest
from loadmgr.bridge import to_ocpp
from loadmgr.bridge.profile_json import profile_to_json
from loadmgr.control.command import SetProfile
from loadmgr.control.controller import SiteController
from loadmgr.control.observation import (
    CommandAnswered,
    CompositeReported,
    LimitChanged,
    Outcome,
    PriceUpdated,
    SessionDeclared,
    SiteMeterReading,
    StationCapabilities,
    StationConnected,
    TransactionStarted,
)
from loadmgr.control.settings import ControlSettings
from loadmgr.model.profile import ChargingSchedule, OcppVersion, RateUnit, SchedulePeriod
from loadmgr.model.series import StepFunction
from loadmgr.model.session import EnergyNeed
from loadmgr.site_file import SessionDefaults, SiteFile
from tests.control_world import START, small_site

SETTINGS = ControlSettings()
CARS = st.fixed_dictionaries(
    {
        "wanted_wh": st.integers(1, 60).map(lambda kwh: kwh * 1000.0),
        "hours": st.integers(1, 14),
        "priority": st.integers(0, 2),
    }
)


class Live:
    """A controller that sees everything happen, with stations that take what they are told at once."""

    def __init__(self, site, versions):
        self.site = site
        self.controller = SiteController(site, None, settings=SETTINGS)
        self.installed = {s.id: {} for s in site.stations}
        self.now = START
        for station in site.stations:
            # The order of a connection: capabilities are known already, as a snapshot says them.
            self.controller.observe(StationCapabilities(at=self.now, station=station.id))
            self.controller.observe(StationConnected(at=self.now, station=station.id, version=versions[station.id]))

    def settle(self):
        """Let stations answer until nothing more is asked."""
        for _ in range(12):
            self.now += timedelta(seconds=10)
            for command in self.controller.decide(self.now).commands:
                self.answer(command)

    def answer(self, command):
        if isinstance(command, SetProfile):
            self.installed[command.station][command.profile.profile_id] = (command.number, command.profile)
            done = CommandAnswered(at=self.now, command=command.id, outcome=Outcome.ACCEPTED)
            self.controller.observe(done)
        elif hasattr(command, "duration_s"):
            held = ChargingSchedule(unit=RateUnit.A, periods=(SchedulePeriod(start_s=0, limit=0.0),))
            report = CompositeReported(
                at=self.now, command=command.id, station=command.station, number=command.number, schedule=held
            )
            self.controller.observe(report)
            self.controller.observe(CommandAnswered(at=self.now, command=command.id, outcome=Outcome.ACCEPTED))
        else:
            self.controller.observe(CommandAnswered(at=self.now, command=command.id, outcome=Outcome.ACCEPTED))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cars=st.lists(st.one_of(st.none(), CARS), min_size=3, max_size=3),
    building_a=st.integers(0, 30),
    limit_a=st.one_of(st.none(), st.integers(0, 40)),
    versions=st.lists(st.sampled_from(list(OcppVersion)), min_size=3, max_size=3),
    cheap_from_h=st.integers(0, 10),
)
def test_a_snapshot_is_answered_as_by_a_controller_that_lived_through_it(
    cars, building_a, limit_a, versions, cheap_from_h
):
    site = small_site(evses=3, limit_a=45.0)
    by_station = dict(zip([s.id for s in site.stations], versions, strict=True))
    live = Live(site, by_station)
    live.settle()
    at = live.now = live.now + timedelta(seconds=10)
    prices = [(at, 0.4), (at + timedelta(hours=cheap_from_h, minutes=1), 0.1)]
    step = StepFunction(tuple(t for t, _ in prices), tuple(p for _, p in prices))

    live.controller.observe(PriceUpdated(at=at, prices_per_kwh=step))
    for index, (evse, car) in enumerate(zip(site.evses, cars, strict=True)):
        if car is not None:
            name = str(index + 1)
            live.controller.observe(
                TransactionStarted(at=at, station=evse.station, number=1, transaction=name, started_at=at)
            )
            need = EnergyNeed(wanted_wh=car["wanted_wh"])
            leaves = at + timedelta(hours=car["hours"])
            said = SessionDeclared(at=at, evse=evse.id, departure=leaves, need=need, priority=car["priority"])
            live.controller.observe(said)
    live.controller.observe(SiteMeterReading(at=at, meter="meter", currents_a=(float(building_a),) * 3))
    if limit_a is not None:
        live.controller.observe(LimitChanged(at=at, circuit="main", source="csms", limit_a=(float(limit_a),) * 3))
    expected = [to_ocpp.request(c, version=by_station[c.station]) for c in live.controller.decide(at).commands]

    request = ScheduleRequest.model_validate(
        {
            "site": "small",
            "at": at.isoformat(),
            "stations": [
                {
                    "id": station,
                    "ocpp_version": version.value,
                    "installed_profiles": [
                        {"evse_id": number, "profile": profile_to_json(profile, version)}
                        for number, profile in live.installed[station].values()
                    ],
                }
                for station, version in by_station.items()
            ],
            "sessions": [
                {
                    "evse": evse.id,
                    "transaction_id": index + 1,
                    "wanted_wh": car["wanted_wh"],
                    "departure": (at + timedelta(hours=car["hours"])).isoformat(),
                    "priority": car["priority"],
                    "memory": {},
                }
                for index, (evse, car) in enumerate(zip(site.evses, cars, strict=True))
                if car is not None
            ],
            "meter_readings": [{"meter": "meter", "currents_a": [building_a] * 3}],
            "limits": [] if limit_a is None else [{"circuit": "main", "limit_a": limit_a}],
            "prices": {"times": [t.isoformat() for t, _ in prices], "per_kwh": [p for _, p in prices]},
        }
    )
    site_file = SiteFile(
        path=None,
        site=site,
        tariff=None,
        session_defaults=SessionDefaults(energy_wh=15_000.0, stay_s=28_800),
        listen=None,
    )
    answered = run_schedule(site_file, facts_of(request, site, at=at), settings=SETTINGS)
    got = [to_ocpp.request(c, version=by_station[c.station]) for c in answered.decision.commands]

    assert expected == got
    assert len([c for c in cars if c is not None]) >= len(got)
