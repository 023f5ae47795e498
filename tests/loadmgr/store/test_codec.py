"""Whatever is kept comes back as it was: every observation, command and decision, sites, tariffs and settings."""

import dataclasses
import types
import typing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadmgr.control.command import Command
from loadmgr.control.observation import EvseReading, EvseState, EvseStatus, Observation
from loadmgr.control.settings import ControlSettings
from loadmgr.errors import JournalError
from loadmgr.model.ids import StationId
from loadmgr.model.profile import ChargingProfile, ChargingSchedule, SchedulePeriod
from loadmgr.model.series import StepFunction
from loadmgr.model.session import DischargeTerms, EnergyNeed, VehicleLimits
from loadmgr.model.tariff import Tariff
from loadmgr.model.topology import Site
from loadmgr.site_file import find_site, load_site
from loadmgr.store.codec import Codec
from loadmgr.store.entry import KINDS

CODEC = Codec()
START = datetime(2024, 6, 3, tzinfo=UTC)

INSTANTS = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-3))]),
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
AMOUNTS = st.floats(min_value=0.0, max_value=1e6)
TERMS: dict[str, st.SearchStrategy[Any]] = {
    "min_state_of_charge_ratio": st.none(),
    "capacity_wh": st.none(),
    "efficiency_ratio": st.floats(0.1, 1.0),
    "price_per_kwh": AMOUNTS,
}


@st.composite
def step_functions(draw: st.DrawFn) -> StepFunction:
    times = sorted(draw(st.sets(INSTANTS, min_size=1, max_size=4)))
    values = draw(st.lists(NUMBERS, min_size=len(times), max_size=len(times)))
    return StepFunction(tuple(times), tuple(values))


@st.composite
def needs(draw: st.DrawFn) -> EnergyNeed:
    must, wanted = sorted((draw(AMOUNTS), draw(AMOUNTS)))
    return EnergyNeed(must_wh=must, wanted_wh=wanted)


def drawn(hint: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for a type: short tuples, so that a profile does not grow out of hand."""
    members = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and members[-1] is Ellipsis:
        return st.lists(drawn(members[0]), max_size=2).map(tuple)
    if members and typing.get_origin(hint) in (typing.Union, types.UnionType):
        return st.one_of(*(drawn(m) for m in members))
    return of(hint) if hint in (SchedulePeriod, ChargingSchedule, ChargingProfile) else st.from_type(hint)


FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEWER = settings(FEW, max_examples=4)
"""For profiles: each example is large."""


def of(kind: type) -> st.SearchStrategy[Any]:
    """Return a strategy for a dataclass from its fields; defaults are drawn as well as values."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{f.name: st.from_type(hints[f.name]) for f in dataclasses.fields(kind) if f.init})


st.register_type_strategy(datetime, INSTANTS)
st.register_type_strategy(float, NUMBERS)
st.register_type_strategy(StepFunction, step_functions())
st.register_type_strategy(EnergyNeed, needs())
st.register_type_strategy(
    DischargeTerms, st.builds(DischargeTerms, max_a=st.floats(0.0, 1e4), room_wh=st.floats(0.0, 1e9), **TERMS)
)
st.register_type_strategy(VehicleLimits, st.builds(VehicleLimits, min_a=st.none() | AMOUNTS, max_a=st.none()))


@pytest.mark.parametrize("kind", [*typing.get_args(Observation), *typing.get_args(Command)], ids=lambda k: k.__name__)
def test_every_observation_and_command_comes_back_as_it_was(kind: type) -> None:
    @(FEWER if kind.__name__ in ("ForeignProfiles", "SetProfile", "CompositeReported") else FEW)
    @given(of(kind))
    def comes_back(value: Any) -> None:
        assert value == CODEC.decode(CODEC.encode(value, kind), kind)
        union = Observation if kind in typing.get_args(Observation) else Command
        assert value == CODEC.decode(CODEC.encode(value, union), union)  # type: ignore[arg-type]

    comes_back()


def test_whatever_number_or_text_a_peer_sends_is_kept() -> None:
    for odd in (2**70, -(2**70)):
        seen = EvseStatus(at=START, station=StationId("half \ud800"), number=odd, state=EvseState.CHARGING)
        assert seen == CODEC.decode(CODEC.encode(seen, EvseStatus), EvseStatus)
    for odd_wh in (float("inf"), float("-inf")):
        reading = EvseReading(at=START, station=StationId("S"), number=1, energy_wh=odd_wh)
        assert reading == CODEC.decode(CODEC.encode(reading, EvseReading), EvseReading)


@pytest.mark.parametrize("kind", ["Decided", "Lost", "Command", "Alarm", "Session"])
def test_every_part_of_a_decision_comes_back_as_it_was(kind: str) -> None:
    @(FEWER if kind == "Command" else FEW)
    @given(of(KINDS[kind]))
    def comes_back(value: Any) -> None:
        assert value == CODEC.decode(CODEC.encode(value, KINDS[kind]), KINDS[kind])

    comes_back()


@pytest.mark.parametrize("name", ["garage", "workplace"])
def test_a_site_its_tariff_and_the_settings_come_back_as_they_were(name: str) -> None:
    site_file = load_site(find_site(name))
    for value, kind in ((site_file.site, Site), (site_file.tariff, Tariff), (ControlSettings(), ControlSettings)):
        assert value == CODEC.decode(CODEC.encode(value, kind), kind)


def test_what_is_no_value_of_its_kind_is_refused_with_the_reason() -> None:
    with pytest.raises(JournalError, match="this is no StationBooted"):
        CODEC.decode(b'{"at": "2024-01-01T00:00:00"}', KINDS["StationBooted"])
    with pytest.raises(JournalError, match="no JSON"):
        CODEC.decode(b"{", KINDS["StationBooted"])
