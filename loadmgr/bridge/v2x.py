"""What a station of OCPP 2.x says of its EVSEs: which follow a setpoint (2.1), and which can choose a phase."""

from collections.abc import Mapping
from typing import Any

from loadmgr.model.profile import OperationMode
from ocpp_link.capabilities import PHASE_VARIABLE, V2X_COMPONENT


def setpoint_evses(payload: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the EVSEs that said that they follow CentralSetpoint; 0 where the station says so of all.

    One whose controller is not enabled follows none. What was refused, or is no text, says nothing.
    """
    said: dict[int, dict[str, str]] = {}
    results = payload.get("getVariableResult")
    for item in results if isinstance(results, list) else ():
        component, variable = item.get("component"), item.get("variable")
        if not (isinstance(component, Mapping) and isinstance(variable, Mapping)):
            continue
        if component.get("name") != V2X_COMPONENT or item.get("attributeStatus") != "Accepted":
            continue
        evse = component.get("evse")
        number = evse.get("id") if isinstance(evse, Mapping) else 0
        if isinstance(number, int):
            said.setdefault(number, {})[str(variable.get("name"))] = str(item.get("attributeValue", ""))
    return tuple(sorted(number for number, words in said.items() if _follows(words)))


def _follows(words: Mapping[str, str]) -> bool:
    modes = {mode.strip() for mode in words.get("SupportedOperationModes", "").split(",")}
    enabled = words.get("Enabled", "true").strip().lower() != "false"
    return enabled and OperationMode.CENTRAL_SETPOINT.value in modes


def phase_evses(payload: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the EVSEs that charge on one phase always on their first, and those that can choose one.

    One that does not know the variable cannot choose: it is only there where it is supported.
    """
    fixed, choosing = set(), set()
    results = payload.get("getVariableResult")
    for item in results if isinstance(results, list) else ():
        component, variable = item.get("component"), item.get("variable")
        if not (isinstance(component, Mapping) and isinstance(variable, Mapping)):
            continue
        evse = component.get("evse")
        number = evse.get("id") if isinstance(evse, Mapping) else None
        if variable.get("name") != PHASE_VARIABLE or not isinstance(number, int):
            continue
        status, value = item.get("attributeStatus"), str(item.get("attributeValue", "")).strip().lower()
        if status == "Accepted" and value == "true":
            choosing.add(number)
        elif (status == "Accepted" and value == "false") or status in ("UnknownVariable", "UnknownComponent"):
            fixed.add(number)
    return tuple(sorted(fixed)), tuple(sorted(choosing))
