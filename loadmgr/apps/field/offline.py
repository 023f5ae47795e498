"""What a station says of starting transactions without a link."""

from loadmgr.apps.field.bench import Seen
from ocpp_link.errors import OcppError

_OFFLINE_16 = ("LocalAuthorizeOffline", "AllowOfflineTxForUnknownId")
_OFFLINE_2X = (("AuthCtrlr", "LocalAuthorizeOffline"), ("AuthCtrlr", "OfflineTxForUnknownIdEnabled"))


async def offline_settings(seen: Seen) -> dict[str, str]:
    """Return what a station says of starting transactions without a link."""
    link = seen.link
    if link is None:
        return {}
    try:
        if link.version == "1.6":
            answer = await link.call("GetConfiguration", {"key": list(_OFFLINE_16)})
            rows = answer.get("configurationKey") or []
            return {row["key"]: str(row["value"]) for row in rows if row.get("value") is not None}
        asked = [{"component": {"name": c}, "variable": {"name": v}} for c, v in _OFFLINE_2X]
        answer = await link.call("GetVariables", {"getVariableData": asked})
    except OcppError:
        return {}
    rows = answer.get("getVariableResult") or []
    return {
        row["variable"]["name"]: str(row["attributeValue"])
        for row in rows
        if row.get("attributeStatus") == "Accepted" and row.get("attributeValue") is not None
    }
