"""What is expected of those who say nothing."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from loadmgr.control.controller import SiteController
from loadmgr.control.feedback.energy import Ledger
from loadmgr.control.feedback.habits import KEPT_KEYS, KEPT_STAYS, habit_of, note_stay, source_of
from loadmgr.control.memory import remember, restored
from loadmgr.control.planning.requests import sound_request
from loadmgr.control.settings import ControlSettings
from loadmgr.control.state import Charging, SiteState
from loadmgr.model.ids import EvseId, TransactionId
from loadmgr.model.series import TimeGrid
from loadmgr.model.session import EnergyNeed
from loadmgr.store.memory_json import MemoryCodec
from tests.control_world import START, World, small_site

HABITS = ControlSettings(habits=True)


def state(settings: ControlSettings = HABITS) -> SiteState:
    return SiteController(small_site(), None, settings=settings)._state


def stay(token: str | None, *, days: int = 0, energy_wh: float = 0.0, wanted_wh: float | None = None) -> Charging:
    started = START + timedelta(days=days)
    need = None if wanted_wh is None else EnergyNeed(wanted_wh=wanted_wh)
    ledger = Ledger(at=started, delivered_wh=energy_wh)
    return Charging(transaction=TransactionId("1"), started=started, ledger=ledger, id_token=token, need=need)


def leaves(held: SiteState, charging: Charging, hours: float, *, resting: bool = True) -> None:
    note_stay(held, charging, resting=resting, at=charging.started + timedelta(hours=hours))


def test_a_driver_is_expected_to_do_as_before_on_the_careful_side() -> None:
    held = state()
    for days, (hours, energy_wh) in enumerate([(9.0, 8000.0), (10.0, 12_000.0), (8.5, 9000.0), (11.0, 7000.0)]):
        leaves(held, stay("CARD", days=days, energy_wh=energy_wh), hours)

    habit = habit_of(held, stay("CARD", days=7))

    assert habit is not None
    assert (habit.stay_s, habit.energy_wh) == (9.0 * 3600, 9000.0)
    assert source_of(held, stay("CARD", days=7)) == "habit"


def test_a_stranger_is_taken_for_one_of_those_who_come_at_such_a_time() -> None:
    held = state()
    for days in range(3):
        leaves(held, stay(f"CARD{days}", days=7 * days, energy_wh=6000.0), 5.0)

    assert habit_of(held, stay("NEW", days=21)) is not None
    assert habit_of(held, stay(None, days=22)) is not None
    saturday = 5
    assert habit_of(held, stay("NEW", days=saturday)) is None


def test_who_left_short_is_remembered_with_what_it_wanted() -> None:
    held = state()
    for days in range(3):
        leaves(held, stay("CARD", days=days, energy_wh=4000.0, wanted_wh=9000.0), 5.0, resting=False)

    habit = habit_of(held, stay("CARD", days=7))

    assert habit is not None
    assert habit.energy_wh == 9000.0


def test_two_stays_and_tries_are_no_habit() -> None:
    held = state()
    for days in range(2):
        leaves(held, stay("CARD", days=days, energy_wh=8000.0), 9.0)
    leaves(held, stay("CARD", days=3, energy_wh=20.0), 9.0)
    leaves(held, stay("CARD", days=4, energy_wh=8000.0), 0.05)

    assert habit_of(held, stay("CARD", days=7)) is None


def test_without_the_wish_for_habits_nothing_is_kept() -> None:
    held = state(ControlSettings())
    for days in range(5):
        leaves(held, stay("CARD", days=days, energy_wh=8000.0), 9.0)

    assert held.habits is None
    assert source_of(held, stay("CARD")) == "default"


@given(st.lists(st.tuples(st.integers(0, 2 * KEPT_KEYS), st.integers(0, 30)), max_size=200))
def test_what_is_kept_is_bounded(visits: list[tuple[int, int]]) -> None:
    held = state()
    for token, days in visits:
        leaves(held, stay(f"CARD{token}", days=days, energy_wh=8000.0), 9.0)

    assert held.habits is not None
    assert len(held.habits) <= KEPT_KEYS
    assert all(len(stays) <= KEPT_STAYS for stays in held.habits.values())


def test_habits_outlive_a_restart_and_end_when_the_site_file_no_longer_asks_for_them() -> None:
    site = small_site()
    controller = SiteController(site, None, settings=HABITS)
    for days in range(3):
        leaves(controller._state, stay("CARD", days=days, energy_wh=8000.0), 9.0)
    codec = MemoryCodec(site)
    memory = codec.decode(codec.encode(remember(controller)))

    again = restored(memory, site, None, settings=HABITS)
    without = restored(memory, site, None, settings=ControlSettings())

    assert again._state.habits == controller._state.habits
    assert without._state.habits is None


def test_a_plan_reckons_with_the_habit_and_promises_nothing() -> None:
    world = World(small_site(evses=1), settings=HABITS)
    for days in range(1, 4):
        leaves(world.controller._state, stay(None, days=-7 * days, energy_wh=4000.0), 1.0)
    world.connect("E1")
    world.run(300)
    world.plug("E1")
    world.run(120)

    session = world.controller.view().evses[0].session

    assert session is not None
    assert (session.source, session.departure, session.wanted_wh) == ("habit", None, None)
    request = sound_request(
        world.controller._state,
        world.controller._state.evses[EvseId("E1")],
        charging_of(world),
        settings=HABITS,
        grid=TimeGrid.uniform(world.now, step_s=300, steps=12),
        now=world.now,
    )
    assert request.departure < session.started + timedelta(hours=1)
    assert request.wanted_wh <= 4000.0


def charging_of(world: World) -> Charging:
    charging = world.controller._state.evses[EvseId("E1")].charging
    assert charging is not None
    return charging
