"""What a station says of itself when it is asked: keys of 1.6, variables of 2.x.

Rule 1: a station that refuses to answer has a profile all the same: an empty one.
Rule 2: a list that is refused is asked for piece by piece; silence is not answered with more questions.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from ocpp_link.dialect import Version
from ocpp_link.errors import CallRejected, InvalidResponse, OcppError
from ocpp_link.numbers import read_number
from ocpp_link.station_profile import PhaseSwitching, StationProfile

logger = logging.getLogger(__name__)

KEYS_16 = (
    "SupportedFeatureProfiles",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "MaxChargingProfilesInstalled",
    "ConnectorSwitch3to1PhaseSupported",
    "ACPhaseSwitchingSupported",
    "NumberOfConnectors",
    "MeterValueSampleInterval",
    "MeterValuesSampledData",
)
VARIABLES_2: tuple[tuple[str, ...], ...] = (
    ("SmartChargingCtrlr", "Available"),
    ("SmartChargingCtrlr", "Enabled"),
    ("SmartChargingCtrlr", "RateUnit"),
    ("SmartChargingCtrlr", "ProfileStackLevel"),
    ("SmartChargingCtrlr", "PeriodsPerSchedule"),
    ("SmartChargingCtrlr", "Entries", "ChargingProfiles"),
    ("SmartChargingCtrlr", "Phases3to1"),
    ("SampledDataCtrlr", "TxUpdatedInterval"),
    ("SampledDataCtrlr", "TxUpdatedMeasurands"),
)

V2X_COMPONENT = "V2XChargingCtrlr"
PHASE_VARIABLE = "ACPhaseSwitchingSupported"
V2X_VARIABLES = ("Enabled", "SupportedOperationModes")

Call = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Asks a station: action and payload in, payload of the answer out."""

_UNSERVED = frozenset({"NotImplemented", "NotSupported"})


class Asked(Protocol):
    """Who can be asked: a `Station`."""

    @property
    def version(self) -> Version:
        """The OCPP version of the connection."""

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Ask the station."""


async def ask(station: Asked) -> StationProfile:
    """Ask a station what it can do; what it does not say stays unknown.

    Where it does not say whether it knows smart charging, it is asked for a composite schedule: whoever answers that,
    in whatever way, does.
    """
    try:
        profile = read_answer(station.version, await inquire(station.version, station.call))
    except OcppError as error:
        logger.info("station tells nothing of itself: %s", error)
        profile = StationProfile()
    if profile.smart_charging is not None:
        return profile
    return profile.overruled_by(StationProfile(smart_charging=await _answers_composite(station)))


async def _answers_composite(station: Asked) -> bool | None:
    place = "connectorId" if station.version == "1.6" else "evseId"
    try:
        await station.call("GetCompositeSchedule", {place: 1, "duration": 60})
    except CallRejected as error:
        return error.code not in _UNSERVED
    except InvalidResponse:
        return True
    except OcppError:
        return None
    return True


async def inquire(version: Version, call: Call) -> dict[str, Any]:
    """Ask for everything in one message, or one by one where that is refused; return one answer with all of it.

    Raises
    ------
    OcppError
        If there is no answer, or none to any piece.
    """
    action, listed, pieces = _question(version)
    try:
        return await call(action, {listed: pieces})
    except (CallRejected, InvalidResponse) as error:
        refusal: OcppError = error
    found: list[Any] = []
    answered = False
    for piece in pieces:
        try:
            found += (await call(action, {listed: [piece]})).get(_LISTED[action], [])
            answered = True
        except (CallRejected, InvalidResponse) as error:
            if isinstance(error, CallRejected) and error.code in _UNSERVED:
                raise
            refusal = error
    if not answered:
        raise refusal
    return {_LISTED[action]: found}


_LISTED = {"GetConfiguration": "configurationKey", "GetVariables": "getVariableResult"}


def _question(version: Version) -> tuple[str, str, list[Any]]:
    if version == "1.6":
        return "GetConfiguration", "key", list(KEYS_16)
    return "GetVariables", "getVariableData", [_variable(*names) for names in VARIABLES_2]


def _variable(component: str, name: str, *instance: str) -> dict[str, Any]:
    variable = {"name": name} | ({"instance": instance[0]} if instance else {})
    return {"component": {"name": component}, "variable": variable}


def question(
    version: Version, *, v2x_evses: Iterable[int] = (), phase_evses: Iterable[int] = ()
) -> tuple[str, dict[str, Any]]:
    """Return the message that asks for everything.

    Parameters
    ----------
    version : Version
    v2x_evses : iterable of int
        EVSEs that are asked besides which operation modes they follow; only 2.1 has words for that.
    phase_evses : iterable of int
        EVSEs that are asked besides whether they can choose the one phase that they charge on (2.x).
    """
    action, listed, pieces = _question(version)
    if version == "2.1":
        pieces = [*pieces, *(_of_evse(V2X_COMPONENT, evse, name) for evse in v2x_evses for name in V2X_VARIABLES)]
    if version != "1.6":
        pieces = [*pieces, *(_of_evse("EVSE", evse, PHASE_VARIABLE) for evse in phase_evses)]
    return action, {listed: pieces}


def _of_evse(component: str, evse: int, name: str) -> dict[str, Any]:
    return {"component": {"name": component, "evse": {"id": evse}}, "variable": {"name": name}}


def read_answer(version: Version, answer: Mapping[str, Any]) -> StationProfile:
    """Read the answer to `question`."""
    rows = answer.get(_LISTED[_question(version)[0]])
    told = [each for each in rows if isinstance(each, Mapping)] if isinstance(rows, list) else []
    if version == "1.6":
        return from_configuration({str(each.get("key")): str(each["value"]) for each in told if "value" in each})
    return from_variables(told)


def from_configuration(values: Mapping[str, str]) -> StationProfile:
    """Read 1.6 configuration keys, in whatever case and quotes stations write them.

    Examples
    --------
    >>> from_configuration({"chargingscheduleallowedchargingrateunit": "'Current', 'Power'"}).rate_units
    ('A', 'W')
    """
    found = {key.casefold(): value for key, value in values.items()}

    def text(key: str) -> str | None:
        return found.get(key.casefold())

    features = _list(text("SupportedFeatureProfiles"))
    folded = None if features is None else {each.casefold() for each in features}
    return StationProfile(
        smart_charging=None if folded is None else "smartcharging" in folded,
        remote_trigger=None if folded is None else "remotetrigger" in folded,
        rate_units=_units(text("ChargingScheduleAllowedChargingRateUnit")),
        max_stack_level=_integer(text("ChargeProfileMaxStackLevel")),
        max_periods=_integer(text("ChargingScheduleMaxPeriods")),
        max_profiles=_integer(text("MaxChargingProfilesInstalled")),
        connectors=_integer(text("NumberOfConnectors")),
        phase_switching=_switching(
            live=text("ConnectorSwitch3to1PhaseSupported"), idle=text("ACPhaseSwitchingSupported")
        ),
        meter_interval_s=_number(text("MeterValueSampleInterval")),
        measurands=_list(text("MeterValuesSampledData")),
    )


def from_variables(results: Iterable[Mapping[str, Any]]) -> StationProfile:
    """Read the results of GetVariables (2.x). `Available` that is not reported says nothing (FoxESS)."""
    found = {
        (_name(each.get("component")), _name(each.get("variable"))): str(each["attributeValue"])
        for each in results
        if each.get("attributeStatus") == "Accepted" and each.get("attributeValue") is not None
    }

    def text(component: str, name: str) -> str | None:
        return found.get((component.casefold(), name.casefold()))

    smart = "SmartChargingCtrlr"
    available = _boolean(text(smart, "Available"))
    enabled = _boolean(text(smart, "Enabled"))
    return StationProfile(
        smart_charging=False if enabled is False else available,
        rate_units=_units(text(smart, "RateUnit")),
        max_stack_level=_integer(text(smart, "ProfileStackLevel")),
        max_periods=_integer(text(smart, "PeriodsPerSchedule")),
        max_profiles=_integer(text(smart, "Entries")),
        phase_switching=_switching(live=text(smart, "Phases3to1"), idle=None),
        meter_interval_s=_number(text("SampledDataCtrlr", "TxUpdatedInterval")),
        measurands=_list(text("SampledDataCtrlr", "TxUpdatedMeasurands")),
        remote_trigger=True,  # every 2.x station has TriggerMessage
    )


def _name(place: object) -> str:
    return str(place.get("name", "")).casefold() if isinstance(place, Mapping) else ""


def _switching(*, live: str | None, idle: str | None) -> PhaseSwitching | None:
    """Return how a station goes from three phases to one: within a transaction, before one, or not at all."""
    within, before = _boolean(live), _boolean(idle)
    if within is None and before is None:
        return None
    return "live" if within else "idle" if before else "none"


def _list(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(part for part in (each.strip(" '\"") for each in text.split(",")) if part)


_UNIT_WORDS = {"a": "A", "current": "A", "w": "W", "power": "W"}


def _units(text: str | None) -> tuple[str, ...] | None:
    parts = _list(text) or ()
    units = {_UNIT_WORDS[part.casefold()] for part in parts if part.casefold() in _UNIT_WORDS}
    return tuple(sorted(units)) or None


def _number(text: str | None) -> float | None:
    return None if text is None else read_number(text)


def _integer(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _boolean(text: str | None) -> bool | None:
    return None if text is None else {"true": True, "false": False}.get(text.strip().casefold())
