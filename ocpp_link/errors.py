"""Errors of the link.

* OcppError
    * LocalProtocolError: we broke the rules; nothing was sent
        * InvalidRequest: our payload breaks the schema of its action
        * NotAllowedYetError: the station's boot is not accepted, and this call has to wait for that
    * RemoteProtocolError: the peer answered, but not as hoped
        * CallRejected: the peer answered with a CALLERROR
        * InvalidResponse: the peer's answer breaks the schema of its action
    * CallTimeout: no answer within the deadline
    * CallExpired: the call was still queued when its time to live ended or a newer one replaced it
    * ConnectionLost: the connection ended before the answer came
        * Superseded: the same station connected again and the newer connection won
    * ConnectFailed: no connection came about
    * CallRefused: raised by a handler, to answer a call with a CALLERROR
        * NotSupportedError: the action is known but not served here
    * AnswerLater: raised by a handler, to answer after a while, or never
"""

# ruff: noqa: N818 - these names say what happened to a call; every one of them ends at a caller as an error anyway

from typing import Any

from ocpp_link.dialect import Fault


class OcppError(Exception):
    """Root of every error that the link raises on purpose."""


class LocalProtocolError(OcppError):
    """We broke the rules; nothing was sent."""


class InvalidRequest(LocalProtocolError):
    """Our own payload breaks the schema of its action."""


class NotAllowedYetError(LocalProtocolError):
    """The station's boot is pending or rejected, and this call has to wait for its acceptance."""


class RemoteProtocolError(OcppError):
    """The peer answered, but not as hoped."""


class CallRejected(RemoteProtocolError):
    """The peer answered a call with a CALLERROR.

    Parameters
    ----------
    code
        The error code as the peer spelled it.
    description
        The peer's words, possibly empty.
    details
        The peer's ``errorDetails``.
    """

    def __init__(self, code: str, description: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description
        self.details = details or {}


class InvalidResponse(RemoteProtocolError):
    """The peer's answer breaks the schema of its action."""


class CallTimeout(OcppError):
    """No answer came within the deadline."""


class CallExpired(OcppError):
    """A queued call was dropped before it was sent: too old, or replaced by a newer one."""


class ConnectionLost(OcppError):
    """The connection ended before the answer came."""


class Superseded(ConnectionLost):
    """The same station connected again; this connection was closed in favour of the newer one."""


class ConnectFailed(OcppError):
    """No connection came about.

    Parameters
    ----------
    message
        What happened.
    status
        The HTTP status of a refused handshake; ``None`` when the network failed before that.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class CallRefused(OcppError):
    """Raise this in a handler to answer the call with a CALLERROR.

    Parameters
    ----------
    fault
        What is wrong; each version spells it its own way.
    description
        ASCII text for the peer's log.
    details
        Becomes ``errorDetails``.
    """

    def __init__(self, fault: Fault, description: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(f"{fault.value}: {description}")
        self.fault = fault
        self.description = description
        self.details = details or {}


class NotSupportedError(CallRefused):
    """Raise this in a handler for an action that is known but not served."""

    def __init__(self, description: str = "this action is not served here") -> None:
        super().__init__(Fault.NOT_SUPPORTED, description)


class AnswerLater(OcppError):
    """Raise this in a handler to answer after a while, or never, without holding up other calls or simulated time.

    Parameters
    ----------
    payload
        The response.
    after_s
        How long to wait [s]; ``None`` leaves the call without an answer for ever, as a deaf peer does.
    """

    def __init__(self, payload: dict[str, Any] | None = None, *, after_s: float | None = None) -> None:
        super().__init__("never" if after_s is None else f"in {after_s:g} s")
        self.payload = payload or {}
        self.after_s = after_s
