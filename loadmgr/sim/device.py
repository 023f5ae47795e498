"""What a simulated station tells about itself: configuration keys of 1.6 and variables of 2.x, one table for both.

A value has one place here, whatever each version calls it; changing it by either name changes what the station does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadmgr.composite.settings import StationSettings
from loadmgr.model.profile import OcppVersion, RateUnit

Payload = dict[str, Any]

METER_INTERVAL = "MeterValueSampleInterval"
MEASURANDS = "MeterValuesSampledData"
HEARTBEAT_INTERVAL = "HeartbeatInterval"
LOCAL_AUTHORIZE_OFFLINE = "LocalAuthorizeOffline"

_SAMPLED = "Current.Import,Power.Active.Import,Energy.Active.Import.Register,Voltage,SoC"

RATE_UNIT_WORDS = {RateUnit.A: "Current", RateUnit.W: "Power"}
"""What 1.6 calls the units in ChargingScheduleAllowedChargingRateUnit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One value: its key of 1.6, and component, variable and instance of 2.x."""

    key: str | None = None
    component: str | None = None
    variable: str = ""
    instance: str | None = None
    readonly: bool = True
    value: str = ""

    @property
    def name(self) -> str:
        return self.key or f"{self.component}.{self.variable}"


def _entries(
    settings: StationSettings, meter_interval_s: float, *, smart_charging: bool, switches_phases: bool
) -> list[_Entry]:
    return [
        *_reporting_entries(meter_interval_s),
        _Entry(
            key=LOCAL_AUTHORIZE_OFFLINE,
            component="AuthCtrlr",
            variable="LocalAuthorizeOffline",
            readonly=False,
            value="true",
        ),
        _Entry(key="AuthorizeRemoteTxRequests", component="AuthCtrlr", variable="AuthorizeRemoteStart", value="false"),
        _Entry(key="NumberOfConnectors", value=str(settings.evses)),
        _Entry(
            key="SupportedFeatureProfiles",
            value="Core,SmartCharging,RemoteTrigger" if smart_charging else "Core,RemoteTrigger",
        ),
        *_smart_charging_entries(settings, able=smart_charging, switches_phases=switches_phases),
        *_v2x_entries(settings),
    ]


def _reporting_entries(meter_interval_s: float) -> list[_Entry]:
    """Return how often a station reports, and what."""
    return [
        _Entry(
            key=METER_INTERVAL,
            component="SampledDataCtrlr",
            variable="TxUpdatedInterval",
            readonly=False,
            value=f"{meter_interval_s:.0f}",
        ),
        _Entry(
            key=MEASURANDS, component="SampledDataCtrlr", variable="TxUpdatedMeasurands", readonly=False, value=_SAMPLED
        ),
        _Entry(
            key=HEARTBEAT_INTERVAL,
            component="OCPPCommCtrlr",
            variable="HeartbeatInterval",
            readonly=False,
            value="300",
        ),
    ]


def _smart_charging_entries(settings: StationSettings, *, able: bool, switches_phases: bool) -> list[_Entry]:
    """Return what a station says that it can do with profiles."""
    units = settings.allowed_units or (RateUnit.A, RateUnit.W)
    words = ",".join(RATE_UNIT_WORDS[u] if settings.version is OcppVersion.V16 else u.value for u in units)
    controller = "SmartChargingCtrlr"
    return [
        _Entry(component=controller, variable="Available", value=str(able).lower()),
        _Entry(component=controller, variable="Enabled", value=str(able).lower()),
        _Entry(key="ChargingScheduleAllowedChargingRateUnit", component=controller, variable="RateUnit", value=words),
        _Entry(
            key="ChargeProfileMaxStackLevel",
            component=controller,
            variable="ProfileStackLevel",
            value=str(settings.max_stack_level or 0),
        ),
        _Entry(
            key="ChargingScheduleMaxPeriods",
            component=controller,
            variable="PeriodsPerSchedule",
            value=str(settings.max_periods or 1),
        ),
        _Entry(
            key="MaxChargingProfilesInstalled",
            component=controller,
            variable="Entries",
            instance="ChargingProfiles",
            value=str(settings.max_profiles or 1),
        ),
        _Entry(
            key="ConnectorSwitch3to1PhaseSupported",
            component=controller,
            variable="Phases3to1",
            value=str(switches_phases).lower(),
        ),
    ]


def _v2x_entries(settings: StationSettings) -> list[_Entry]:
    """Return what a station says of feeding back, for any of its EVSEs, where it can (2.1)."""
    if settings.version is not OcppVersion.V21 or not settings.operation_modes:
        return []
    modes = ",".join(sorted(mode.value for mode in settings.operation_modes))
    return [
        _Entry(component="V2XChargingCtrlr", variable="Enabled", value="true"),
        _Entry(component="V2XChargingCtrlr", variable="SupportedOperationModes", value=modes),
    ]


class DeviceModel:
    """The values of one station.

    Parameters
    ----------
    settings : StationSettings
        What it can do with profiles, told truthfully.
    meter_interval_s : float
        How often it sends meter values in a transaction, until that is changed [s].
    smart_charging : bool
        Whether it knows charging profiles at all.
    switches_phases : bool
        Whether it goes from three phases to one within a transaction.
    """

    def __init__(
        self,
        settings: StationSettings,
        *,
        meter_interval_s: float = 10.0,
        smart_charging: bool = True,
        switches_phases: bool = False,
    ) -> None:
        self._entries = _entries(
            settings, meter_interval_s, smart_charging=smart_charging, switches_phases=switches_phases
        )
        self._values = {entry.name: entry.value for entry in self._entries}

    def text(self, name: str) -> str:
        """Return a value by its key of 1.6."""
        return self._values[name]

    def seconds(self, name: str) -> float:
        """Return a duration by its key of 1.6 [s]."""
        return float(self._values[name])

    def get_configuration(self, payload: Mapping[str, Any]) -> Payload:
        """Answer GetConfiguration; no keys asks for all."""
        asked = payload.get("key") or [e.key for e in self._entries if e.key is not None]
        known = {e.key.lower(): e for e in self._entries if e.key is not None}
        found = [known[key.lower()] for key in asked if key.lower() in known]
        rows = [{"key": e.key, "readonly": e.readonly, "value": self._values[e.name]} for e in found]
        return {"configurationKey": rows, "unknownKey": [key for key in asked if key.lower() not in known]}

    def change_configuration(self, payload: Mapping[str, Any]) -> Payload:
        """Answer ChangeConfiguration."""
        entry = next((e for e in self._entries if e.key == payload["key"]), None)
        if entry is None:
            return {"status": "NotSupported"}
        return {"status": "Accepted" if self._change(entry, payload["value"]) else "Rejected"}

    def get_variables(self, payload: Mapping[str, Any]) -> Payload:
        """Answer GetVariables."""
        results = []
        for asked in payload["getVariableData"]:
            status, entry = self._find(asked)
            result = {"attributeStatus": status, "component": asked["component"], "variable": asked["variable"]}
            if entry is not None:
                result["attributeValue"] = self._values[entry.name]
            results.append(result)
        return {"getVariableResult": results}

    def set_variables(self, payload: Mapping[str, Any]) -> Payload:
        """Answer SetVariables."""
        results = []
        for asked in payload["setVariableData"]:
            status, entry = self._find(asked)
            if entry is not None and not self._change(entry, asked["attributeValue"]):
                status = "Rejected"
            results.append({"attributeStatus": status, "component": asked["component"], "variable": asked["variable"]})
        return {"setVariableResult": results}

    def _find(self, asked: Mapping[str, Any]) -> tuple[str, _Entry | None]:
        if asked.get("attributeType", "Actual") != "Actual":
            return "NotSupportedAttributeType", None
        component, variable = asked["component"]["name"], asked["variable"]["name"]
        of_component = [e for e in self._entries if e.component == component]
        if not of_component:
            return "UnknownComponent", None
        instance = asked["variable"].get("instance")
        entry = next((e for e in of_component if (e.variable, e.instance) == (variable, instance)), None)
        return ("UnknownVariable", None) if entry is None else ("Accepted", entry)

    def _change(self, entry: _Entry, value: str) -> bool:
        if entry.readonly or (entry.value.isdigit() and not value.isdigit()):
            return False
        self._values[entry.name] = value
        return True
