"""The circuit tree and what it refuses."""

from typing import Any

import pytest

from loadmgr.model.ids import CircuitId, EvseId, StationId
from loadmgr.model.topology import Circuit, CurrentType, Evse, Phase, Site, Station, phase_currents_a


def _evse(name: str, circuit: str, **other: Any) -> Evse:
    return Evse(id=EvseId(name), station=StationId(f"S-{name}"), circuit=CircuitId(circuit), **other)


def _circuit(name: str, parent: str | None = None, **other: Any) -> Circuit:
    return Circuit(id=CircuitId(name), parent=None if parent is None else CircuitId(parent), **other)


def _site(circuits: list[Circuit], evses: list[Evse]) -> Site:
    stations = tuple(Station(id=name) for name in dict.fromkeys(e.station for e in evses))
    return Site(name="T", time_zone="UTC", circuits=tuple(circuits), evses=tuple(evses), stations=stations)


def test_a_path_runs_from_a_circuit_to_the_grid_connection() -> None:
    site = _site([_circuit("main"), _circuit("a", "main"), _circuit("b", "a")], [_evse("1", "b"), _evse("2", "main")])
    assert [c.id for c in site.path(CircuitId("b"))] == ["b", "a", "main"]
    assert site.root.id == "main"


def test_evses_under_a_circuit_are_all_that_draw_through_it() -> None:
    site = _site([_circuit("main"), _circuit("a", "main")], [_evse("1", "a"), _evse("2", "main"), _evse("3", "a")])
    assert [e.id for e in site.evses_under(CircuitId("main"))] == ["1", "2", "3"]
    assert [e.id for e in site.evses_under(CircuitId("a"))] == ["1", "3"]
    assert [e.id for e in site.evses_of(StationId("S-2"))] == ["2"]


@pytest.mark.parametrize(
    ("circuits", "evses", "said"),
    [
        ([("main", None), ("main", "main")], [], "circuit ids must be unique, main"),
        ([("main", None), ("other", None)], [], "exactly one root"),
        ([("main", None), ("a", "nowhere")], [], "parent of circuit a must be a circuit, got nowhere"),
        ([("main", None), ("a", "b"), ("b", "a")], [], "is its own ancestor"),
        ([("main", None)], [("1", "nowhere")], "circuit of EVSE 1 must be a circuit"),
        ([("main", None)], [("1", "main"), ("1", "main")], "EVSE ids must be unique"),
    ],
)
def test_a_tree_that_cannot_be_is_refused(
    circuits: list[tuple[str, str | None]], evses: list[tuple[str, str]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        _site([_circuit(*c) for c in circuits], [_evse(*e) for e in evses])


def test_a_single_phase_vehicle_loads_the_phase_behind_the_first_pin() -> None:
    evse = _evse("1", "main", phases=(Phase.L2, Phase.L3, Phase.L1))
    assert phase_currents_a(evse, 10.0, phases_used=1) == (0.0, 10.0, 0.0)
    assert phase_currents_a(evse, 10.0, phases_used=2) == (0.0, 10.0, 10.0)
    assert phase_currents_a(evse, 10.0) == (10.0, 10.0, 10.0)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"phases": ()}, "phases of EVSE 1"),
        ({"phases": (Phase.L1, Phase.L1)}, "phases of EVSE 1"),
        ({"min_a": 0.0}, "min_a of EVSE 1"),
        ({"min_a": 20.0, "max_a": 16.0}, "min_a of EVSE 1"),
        ({"step_a": 0.0}, "step_a of EVSE 1"),
        ({"number": 0}, "number of EVSE 1"),
        ({"current_type": CurrentType.DC}, "max_w of EVSE 1 is needed for DC"),
    ],
)
def test_an_evse_that_cannot_be_is_refused(other: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _evse("1", "main", **other)


def test_a_limit_of_zero_is_a_limit_and_one_below_is_refused() -> None:
    assert _circuit("main", limit_a=(0.0, None, 0.0)).limit_a == (0.0, None, 0.0)
    with pytest.raises(ValueError, match="limit_a of circuit main"):
        _circuit("main", limit_a=(-1.0, None, None))
    with pytest.raises(ValueError, match="limit_w of circuit main"):
        _circuit("main", limit_w=-1.0)
