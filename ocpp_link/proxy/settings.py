"""Settings of a station that a CSMS must not change past a Local Controller.

Rule 1: smart-charging settings (1.6 section 9.4, 2.x component SmartChargingCtrlr) are the Local Controller's.
Rule 2: so is where the station connects to: one that is sent elsewhere is sent out of control.
Rule 3: vendors limit current by keys of their own; what is named after a current, a charging power or a load balancing
    is taken for one. Refusing one key too many is an answer that every CSMS knows, letting one through is none.
"""

import re
from collections.abc import Mapping
from typing import Any

_SMART_CHARGING_KEYS = frozenset(
    {
        "chargeprofilemaxstacklevel",
        "chargingscheduleallowedchargingrateunit",
        "chargingschedulemaxperiods",
        "connectorswitch3to1phasesupported",
        "maxchargingprofilesinstalled",
    }
)
_COMPONENTS = frozenset({"networkconfiguration", "smartchargingctrlr"})
_VARIABLES = frozenset({"networkconfigurationpriority"})
_LIMITS = re.compile(
    r"(?<!con)current|ampere|(?<!st)amps|smartcharging|charg\w*(limit|power|profile|rate)|(max|limit)\w*power|power\w*(max|limit)"
    r"|load(balanc|manag|shar)|dlb"
)
_ADDRESSES = re.compile(r"url|uri$|endpoint|backend|backoffice|centralsystem|server|csms(address|host)|proxy")


def is_ours(key: str) -> bool:
    """Tell whether a configuration key, or a variable's name, is the Local Controller's to set.

    Examples
    --------
    >>> [is_ours(key) for key in ("ChargeProfileMaxStackLevel", "Station-MaxCurrent", "HeartbeatInterval")]
    [True, True, False]
    """
    plain = key.casefold()
    named = plain in _SMART_CHARGING_KEYS or plain in _VARIABLES
    squeezed = re.sub(r"[\W_]", "", plain)
    return named or _LIMITS.search(squeezed) is not None or _ADDRESSES.search(squeezed) is not None


def is_our_variable(item: Mapping[str, Any]) -> bool:
    """Tell whether an item of SetVariables is the Local Controller's to set; names have no case (2.x appendix)."""
    return str(item["component"]["name"]).casefold() in _COMPONENTS or is_ours(str(item["variable"]["name"]))


def sets_password(action: str, payload: Mapping[str, Any]) -> bool:
    """Tell whether a call of the CSMS would give a station another password (1.6 whitepaper, 2.x A01).

    Examples
    --------
    >>> sets_password("ChangeConfiguration", {"key": "AuthorizationKey", "value": "00"})
    True
    """
    if action == "ChangeConfiguration":
        return str(payload["key"]).casefold() == "authorizationkey"
    if action != "SetVariables":
        return False
    return any(str(each["variable"]["name"]).casefold() == "basicauthpassword" for each in payload["setVariableData"])
