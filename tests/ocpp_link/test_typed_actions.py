"""Every typed message against the official schemas: the fullest example travels through its model unchanged."""

import inspect
from types import ModuleType
from typing import Any

import pytest

from ocpp_link import schemas, v16, v21, v201
from ocpp_link.dialect import Version, actions
from ocpp_link.message import Message
from tests.ocpp_link.payloads import example

MODULES: list[tuple[Version, ModuleType]] = [("1.6", v16), ("2.0.1", v201), ("2.1", v21)]
MODELS = [
    (version, name.removesuffix("Request").removesuffix("Response"), name.endswith("Response"), model)
    for version, module in MODULES
    for name, model in inspect.getmembers(module, inspect.isclass)
    if issubclass(model, Message) and name.endswith(("Request", "Response"))
]


@pytest.mark.parametrize(("version", "action", "response", "model"), MODELS, ids=str)
def test_a_payload_travels_through_its_model(
    version: Version, action: str, response: bool, model: type[Message]
) -> None:
    for full in (False, True):
        payload = example(version, action, response=response, full=full)

        wire = model.from_wire(payload).to_wire()

        assert schemas.first_fault(version, action, wire, response=response) is None
        assert comparable(payload) == comparable(wire)
        assert model.from_wire(wire) == model.from_wire(payload)


def comparable(payload: Any) -> Any:
    """Return a payload with tuples as lists, and numbers equal whatever their type."""
    if isinstance(payload, dict):
        return {key: comparable(value) for key, value in payload.items()}
    return [comparable(each) for each in payload] if isinstance(payload, list | tuple) else payload


SMART_CHARGING = {
    "1.6": "SetChargingProfile ClearChargingProfile GetCompositeSchedule RemoteStartTransaction",
    "2.0.1": "SetChargingProfile ClearChargingProfile GetCompositeSchedule GetChargingProfiles ReportChargingProfiles"
    " NotifyEVChargingNeeds NotifyEVChargingSchedule NotifyChargingLimit ClearedChargingLimit",
    "2.1": "UpdateDynamicSchedule PullDynamicScheduleUpdate UsePriorityCharging NotifyPriorityCharging",
}


def test_all_of_smart_charging_is_typed() -> None:
    typed = {(version, action) for version, action, _, _ in MODELS}
    for version, names in SMART_CHARGING.items():
        assert set() == {(version, name) for name in names.split()} - typed
        assert set(names.split()) <= set(actions(version))  # type: ignore[arg-type]
