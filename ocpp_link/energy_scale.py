"""Energies of a model that names the wrong unit (kWh that are called Wh), put right before anybody reads them."""

from collections.abc import Mapping
from typing import Any

from ocpp_link.numbers import read_number

_LISTS = ("meterValue", "transactionData")
_DEFAULT = "Energy.Active.Import.Register"


def scale_energies(payload: dict[str, Any], factor: float) -> dict[str, Any]:
    """Return a message with its sampled energies multiplied; what cannot be read, and everything else, as it was.

    Parameters
    ----------
    payload
        Of MeterValues, StopTransaction or TransactionEvent; any other is returned as it is.
    factor
        See `ocpp_link.station_profile.StationProfile.energy_scale`.

    Examples
    --------
    >>> sample = {"value": "1.5", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    >>> said = {"connectorId": 1, "meterValue": [{"timestamp": "2024-01-17T12:00:00Z", "sampledValue": [sample]}]}
    >>> scale_energies(said, 1000.0)["meterValue"][0]["sampledValue"][0]["value"]
    '1500'
    """
    changed = {
        name: [_meter_value(each, factor) for each in payload[name]] for name in _LISTS if _is_list(payload, name)
    }
    return payload | changed if changed else payload


def _is_list(payload: Mapping[str, Any], name: str) -> bool:
    return isinstance(payload.get(name), list)


def _meter_value(each: Any, factor: float) -> Any:
    if not isinstance(each, dict) or not _is_list(each, "sampledValue"):
        return each
    return each | {"sampledValue": [_sample(sample, factor) for sample in each["sampledValue"]]}


def _sample(sample: Any, factor: float) -> Any:
    if not isinstance(sample, dict) or not str(sample.get("measurand", _DEFAULT)).startswith("Energy."):
        return sample
    value = sample.get("value")
    if isinstance(value, str):
        number = read_number(value)
        return sample if number is None else sample | {"value": f"{number * factor:.10g}"}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return sample | {"value": value * factor}
    return sample
