"""A machine that speaks OCPP-J with ids that count up, and what it wants to send."""

import json
from itertools import count
from typing import Any

from ocpp_link.dialect import Role, Version
from ocpp_link.protocol import Protocol

TIME = "2025-03-20T10:00:00.000Z"
HEARTBEAT_REPLY = {"currentTime": TIME}


def machine(
    version: Version = "1.6", role: Role = Role.CSMS, *, strict: bool = False, timeout_s: float = 30.0
) -> Protocol:
    """Return a machine whose message ids count up from m1."""
    numbers = count(1)
    return Protocol(
        role=role, version=version, strict=strict, call_timeout_s=timeout_s, new_id=lambda: f"m{next(numbers)}"
    )


def sent(protocol: Protocol) -> list[Any]:
    """Return the frames that the machine wants to send."""
    return [json.loads(text) for text in protocol.texts_to_send()]
