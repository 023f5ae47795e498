"""The answer to a request about profiles: accepted, or refused with the reason, the requirement and the field."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a request is accepted.

    Parameters
    ----------
    accepted : bool
    reason : str, optional
        The reasonCode of 2.x (OCPP 2.1 part 2 appendix); 1.6 may log it.
    requirement : str, optional
        The requirement that says so, as ``K01.FR.31`` or ``1.6 5.16.4``.
    field : str, optional
        Path of the field at fault, in the domain profile's names.
    detail : str, optional
        What is wrong, in words.
    call_error : str, optional
        Where the version answers with a CALLERROR instead of a status: its code.
    """

    accepted: bool
    reason: str | None = None
    requirement: str | None = None
    field: str | None = None
    detail: str | None = None
    call_error: str | None = None


ACCEPTED = Verdict(accepted=True)


def refused(reason: str, requirement: str, field: str, detail: str, *, call_error: str | None = None) -> Verdict:
    """Return a refusal."""
    return Verdict(
        accepted=False, reason=reason, requirement=requirement, field=field, detail=detail, call_error=call_error
    )
