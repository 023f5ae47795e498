"""Registration: what may be said before a station's boot was accepted (1.6 section 4.2, 2.x B01 to B03).

Rule 1: values and decisions only; the server keeps one `Registration` per station, across its connections.
Rule 2: a station that never booted here is answered all the same: after our restart, stations that were accepted before
    reconnect without booting, and some start transactions first.
"""

from dataclasses import dataclass, replace
from typing import Any

_MAY_PENDING_SEND = frozenset(
    {
        "ChangeConfiguration",
        "DataTransfer",
        "ExtendedTriggerMessage",
        "GetBaseReport",
        "GetConfiguration",
        "GetReport",
        "GetVariables",
        "Reset",
        "SetVariables",
        "TriggerMessage",
    }
)
"""What a CSMS may ask of a station whose boot is pending: configure it, look at it, have it boot again."""

_REPORTS = frozenset({"NotifyReport"})
"""What a pending station sends because it was asked for a report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How a station stands with us."""

    status: str | None = None
    """``Accepted``, ``Pending`` or ``Rejected``; ``None`` for a station that never booted here."""
    triggered: frozenset[str] = frozenset()
    """Actions that a pending station was told to send."""

    def booted(self, status: str) -> "Registration":
        """Return the registration after BootNotification was answered with ``status``."""
        return Registration(status=status)

    def asked(self, action: str, payload: dict[str, Any]) -> "Registration":
        """Return the registration after the CSMS asked something, noting what that makes the station send."""
        if action in ("TriggerMessage", "ExtendedTriggerMessage"):
            return replace(self, triggered=self.triggered | {str(payload.get("requestedMessage"))})
        if action in ("GetBaseReport", "GetReport"):
            return replace(self, triggered=self.triggered | _REPORTS)
        return self

    def may_receive(self, action: str) -> bool:
        """Tell whether a station's call is to be answered in earnest.

        Examples
        --------
        >>> Registration(status="Pending").may_receive("StartTransaction")
        False
        >>> Registration().may_receive("StartTransaction")
        True
        """
        if action == "BootNotification" or self.status in (None, "Accepted"):
            return True
        return self.status == "Pending" and action in self.triggered

    def may_send(self, action: str) -> bool:
        """Tell whether the CSMS may ask something now."""
        if self.status in (None, "Accepted"):
            return True
        return self.status == "Pending" and action in _MAY_PENDING_SEND
