"""The interceptor as a relay asks it: nothing that it does or raises stops the relay, and what it holds stays held.

Rule 1: a call of the CSMS that is held and cannot be read, or on which the interceptor fails, is refused.
Rule 2: anything else that cannot be read is for the other end to judge, and passes as it is.
"""

import copy
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ocpp_link import frames, schemas
from ocpp_link.dialect import Fault, Version, error_code
from ocpp_link.proxy.guard import hides_call, refusal, says_a_key_twice
from ocpp_link.proxy.interceptor import Change, Interceptor, Pass, Refuse, Verdict
from ocpp_link.repair import mend

if TYPE_CHECKING:
    from ocpp_link.proxy.relay import RelayedStation

logger = logging.getLogger(__name__)

_Payload = dict[str, Any]
_Tell = Callable[["RelayedStation", str, _Payload, _Payload | None], None]


class Judge:
    """What becomes of the calls of one relayed station.

    Parameters
    ----------
    station
        The station.
    interceptor
        Who decides.
    """

    def __init__(self, station: "RelayedStation", interceptor: Interceptor) -> None:
        self._station = station
        self._version: Version = station.version
        self._interceptor = interceptor

    def of_csms(self, call: frames.Call, text: bytes) -> Verdict:
        """Decide about a call of the CSMS; ``text`` is how it came."""
        held = self._interceptor.holds(call.action)
        refused = refusal(self._version, call, self._interceptor.holds)
        if refused is not None:
            logger.warning("%s: refused %s of the CSMS: %s", self._station.id, call.action, refused.description)
            return refused
        try:
            if not schemas.is_valid_request(self._version, call.action, call.payload):
                return Pass()
        except FileNotFoundError:
            return Pass()  # an action that this version does not have
        verdict = self._asked(self._interceptor.on_csms_call, call.action, call.payload)
        if verdict is None:
            return Refuse(Fault.INTERNAL, "not understood") if held else Pass()
        if held and isinstance(verdict, Pass) and says_a_key_twice(text):
            return Change(call.payload)
        return verdict

    def drops(self, frame: frames.Frame | frames.BadFrame, text: bytes) -> bool:
        """Tell whether a frame of the CSMS that is no call must not go on."""
        if not hides_call(self._version, frame, text, self._interceptor.holds):
            return False
        logger.warning("%s: dropped a broken frame of the CSMS that could hide a limit", self._station.id)
        return True

    def of_station(self, call: frames.Call) -> tuple[Verdict, _Payload | None]:
        """Decide about a call of the station; its payload comes with it as control reads it, ``None`` if nobody can."""
        read = self._readable(call)
        verdict = None if read is None else self._asked(self._interceptor.on_station_call, call.action, read)
        return verdict or Pass(), read

    def csms_replied(self, call: frames.Call, read: _Payload | None, reply: _Payload | None) -> None:
        """Let the interceptor know what a station's call was answered."""
        if read is not None:
            self._told(self._interceptor.on_csms_reply, call.action, read, reply)

    def station_replied(self, call: frames.Call, reply: _Payload | None) -> None:
        """Let the interceptor know what a call of the CSMS was answered."""
        if isinstance(call.payload, dict):
            self._told(self._interceptor.on_station_reply, call.action, call.payload, reply)

    def _readable(self, call: frames.Call) -> _Payload | None:
        try:
            if schemas.is_valid_request(self._version, call.action, call.payload):
                payload: _Payload = call.payload
                return payload
            mended = mend(self._version, call.action, copy.deepcopy(call.payload), response=False)
        except FileNotFoundError:
            return None  # an action that this version does not have
        return mended.payload if mended.fault is None else None

    def _asked(
        self, judge: Callable[["RelayedStation", str, _Payload], Verdict], action: str, payload: _Payload
    ) -> Verdict | None:
        try:
            return judge(self._station, action, payload)
        except Exception:
            logger.exception("%s: interceptor failed on %s", self._station.id, action)
            return None

    def _told(self, tell: _Tell, action: str, payload: _Payload, reply: _Payload | None) -> None:
        try:
            tell(self._station, action, payload, reply)
        except Exception:
            logger.exception("%s: interceptor failed on the answer to %s", self._station.id, action)


def payload_of(reply: frames.Frame | frames.BadFrame | None) -> _Payload | None:
    """Return the payload of a CALLRESULT, ``None`` of anything else."""
    return reply.payload if isinstance(reply, frames.CallResult) and isinstance(reply.payload, dict) else None


def answer_text(version: Version, call: frames.Call, payload: _Payload) -> bytes:
    """Return the answer to a call; a CALLERROR in its place if it would break its schema."""
    fault = schemas.first_fault(version, call.action, payload, response=True)
    if fault is None:
        return frames.serialise(frames.CallResult(call.message_id, payload))
    logger.error("answer to %s breaks its schema: %s", call.action, fault.description)
    return refusal_text(version, call, Refuse(fault.fault, "the answer would have broken its schema"))


def refusal_text(version: Version, call: frames.Call, refused: Refuse) -> bytes:
    """Return the CALLERROR that refuses a call."""
    code = error_code(version, refused.fault)
    return frames.serialise(frames.CallError(call.message_id, code, refused.description, refused.details))
