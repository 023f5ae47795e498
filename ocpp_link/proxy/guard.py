"""How a call that must not reach a station unread is recognised, in whatever shape a lenient station would take it.

A relay that lets through what it cannot read would let through every limit that is written badly enough. So:

Rule 1: an action counts by its plain name: without regard to case, to ``.req``, ``Request`` and to the ``-Signed`` of
    signed messages (2.x part 4 chapter 7), whose content cannot be read here.
Rule 2: a broken frame that a lenient reader could take for such a call is dropped.
Rule 3: an object that says a key twice is read differently by different readers; the other end gets what was read here.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from ocpp_link import frames, schemas
from ocpp_link.dialect import Fault, Version, actions
from ocpp_link.proxy.interceptor import Refuse

_STARTS = frozenset({"RemoteStartTransaction", "RequestStartTransaction"})
_SUFFIX = re.compile(r"(-signed|\.req|\.conf|request)+$")


@cache
def _by_plain_name(version: Version) -> dict[str, str]:
    return {name.casefold(): name for name in actions(version)}


def meant_action(version: Version, action: str) -> str:
    """Return the action that a lenient reader could take a name for; the name itself if it is like none.

    Examples
    --------
    >>> meant_action("2.0.1", "setchargingprofile-Signed"), meant_action("1.6", "MakeCoffee")
    ('SetChargingProfile', 'MakeCoffee')
    """
    plain = _SUFFIX.sub("", action.strip().casefold())
    return _by_plain_name(version).get(plain, action)


def refusal(version: Version, call: frames.Call, holds: Callable[[str], bool]) -> Refuse | None:
    """Return how a call of the CSMS is refused that is to be held and cannot be read; ``None`` for any other."""
    meant = meant_action(version, call.action)
    if not holds(meant) or (meant in _STARTS and not _names_profile(call.payload)):
        return None
    if meant != call.action or call.action not in actions(version):
        return Refuse(Fault.NOT_IMPLEMENTED, "no such action")
    fault = schemas.first_fault(version, call.action, call.payload, response=False)
    return None if fault is None else Refuse(fault.fault, fault.description, fault.details())


def hides_call(
    version: Version, frame: frames.Frame | frames.BadFrame, text: bytes, holds: Callable[[str], bool]
) -> bool:
    """Tell whether what is no call could be taken for one that is to be held."""
    if isinstance(frame, frames.Send):
        return holds(meant_action(version, frame.action))
    if not isinstance(frame, frames.BadFrame):
        return False
    try:
        items = json.loads(text)  # takes more than a strict reader does: NaN, surrogates
    except (ValueError, RecursionError):
        return False
    listed = items if isinstance(items, list) else list(items.values()) if isinstance(items, dict) else []
    return any(isinstance(each, str) and holds(meant_action(version, each)) for each in listed)


def says_a_key_twice(text: bytes) -> bool:
    """Tell whether an object of a JSON text has two members of one name.

    Examples
    --------
    >>> says_a_key_twice(b'[{"a":1},{"a":2}]'), says_a_key_twice(b'[{"a":1,"a":2}]')
    (False, True)
    """
    twice = False

    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        made = dict(pairs)
        twice = twice or len(made) < len(pairs)
        return made

    json.loads(text, object_pairs_hook=check)
    return twice


def _names_profile(payload: Any) -> bool:
    return not isinstance(payload, dict) or any("profile" in key.casefold() for key in payload)
