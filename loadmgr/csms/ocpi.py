"""OCPI 2.2.1, module ChargingProfiles, as sender: setpoints become charging profiles of a CPO's sessions.

OCPI knows sessions and no stations: no fail-safe can be set over it, and nothing is known of what holds when it is
silent. So this sends what a plan says and tells what became of it; the safety of the site stays with the CPO.

References
----------
OCPI 2.2.1-d2, part 1 "Transport and format", part 3 section 14 "ChargingProfiles".
"""

import asyncio
import base64
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from loadmgr.csms.http_json import HttpAnswer, Sender, send_json
from loadmgr.model.units import require_utc

SUCCESS = range(1000, 2000)
"""OCPI status codes of success."""

USUAL_TIMEOUT_S = 30.0


class OcpiError(Exception):
    """A CPO could not be asked, or refused; the message says what it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OcpiOutcome:
    """What became of a profile.

    Parameters
    ----------
    result : str
        ``ACCEPTED``, ``REJECTED``, ``UNKNOWN``, ``NOT_SUPPORTED``, ``TOO_OFTEN``, ``UNKNOWN_SESSION``, or
        ``TIMED_OUT`` where the CPO told no result in the time that it had named.
    profile : dict, optional
        The ActiveChargingProfile, where one was asked for.
    """

    result: str
    profile: dict[str, Any] | None = None

    @property
    def accepted(self) -> bool:
        """Whether the station took it."""
        return self.result == "ACCEPTED"


def charging_profile(setpoints: Sequence[tuple[datetime, float]], *, end: datetime) -> dict[str, Any]:
    """Return a ChargingProfile of setpoints.

    Parameters
    ----------
    setpoints : sequence of (datetime, float)
        Currents [A per phase], each from an instant on; equal neighbours become one period.
    end : datetime
        Where the profile ends [the station's own limits hold from there on].

    Raises
    ------
    ValueError
        If there is none, they do not rise, or one is no current.

    Examples
    --------
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> found = charging_profile([(noon, 16.04), (noon.replace(hour=13), 0.0)], end=noon.replace(hour=14))
    >>> found["duration"], found["charging_profile_period"]
    (7200, [{'start_period': 0, 'limit': 16.0}, {'start_period': 3600, 'limit': 0.0}])
    """
    if not setpoints:
        raise ValueError("setpoints must hold at least one")
    times = [require_utc(when, name="setpoints") for when, _ in setpoints]
    ends = require_utc(end, name="end")
    if any(a >= b for a, b in zip(times, [*times[1:], ends], strict=True)):
        raise ValueError("setpoints must rise in time, and end after the last of them")
    periods: list[dict[str, Any]] = []
    for when, (_, amps) in zip(times, setpoints, strict=True):
        if not math.isfinite(amps) or amps < 0.0:
            raise ValueError(f"setpoints must be currents of 0 A or above, got {amps}")
        limit = math.floor(amps * 10.0 + 1e-9) / 10.0  # one decimal, and never rounded up
        if not periods or periods[-1]["limit"] != limit:
            periods.append({"start_period": int((when - times[0]).total_seconds()), "limit": limit})
    return {
        "start_date_time": _time(times[0]),
        "duration": int((ends - times[0]).total_seconds()),
        "charging_rate_unit": "A",
        "charging_profile_period": periods,
    }


class OcpiSender:
    """Sends charging profiles to one CPO.

    Parameters
    ----------
    receiver : str
        The CPO's ChargingProfiles endpoint, such as ``https://cpo.example/ocpi/2.2.1/chargingprofiles``.
    token : str
        The credentials token that the CPO gave; it goes out in Base64, as 2.2.1 has it.
    responses : str
        Where `responded` is reachable for the CPO; a name that cannot be guessed is appended to it.
    from_party, to_party : (str, str)
        Country code and party id of this platform and of the CPO.
    send : callable, optional
        Sends HTTP requests.
    """

    def __init__(
        self,
        *,
        receiver: str,
        token: str,
        responses: str,
        from_party: tuple[str, str],
        to_party: tuple[str, str],
        send: Sender = send_json,
    ) -> None:
        self._receiver = receiver.rstrip("/")
        self._responses = responses.rstrip("/")
        self._headers = {
            "Authorization": f"Token {base64.b64encode(token.encode()).decode()}",
            "OCPI-from-country-code": from_party[0],
            "OCPI-from-party-id": from_party[1],
            "OCPI-to-country-code": to_party[0],
            "OCPI-to-party-id": to_party[1],
        }
        self._send = send
        self._waiting: dict[str, asyncio.Future[OcpiOutcome]] = {}

    async def set_profile(self, session: str, profile: dict[str, Any]) -> OcpiOutcome:
        """Set the profile of a session and return what the station made of it.

        Raises
        ------
        OcpiError
        """
        return await self._ask("PUT", session, body={"charging_profile": profile})

    async def clear_profile(self, session: str) -> OcpiOutcome:
        """Clear the profile of a session and return what the station made of it.

        Raises
        ------
        OcpiError
        """
        return await self._ask("DELETE", session)

    async def active_profile(self, session: str, *, duration_s: int) -> OcpiOutcome:
        """Return the profile that is in force for a session over the next ``duration_s``.

        Raises
        ------
        OcpiError
        """
        return await self._ask("GET", session, query=f"duration={duration_s}&")

    def responded(self, name: str, body: Any) -> bool:
        """Take what the CPO posts to a response URL; return whether somebody waits for it."""
        waiting = self._waiting.pop(name, None)
        if waiting is None or waiting.done():
            return False
        data = body.get("data", body) if isinstance(body, dict) else {}
        result = data.get("result") if isinstance(data, dict) else None
        profile = data.get("profile") if isinstance(data, dict) else None
        good = profile if isinstance(profile, dict) else None
        waiting.set_result(OcpiOutcome(result=str(result or "UNKNOWN"), profile=good))
        return True

    async def _ask(
        self, method: str, session: str, *, body: dict[str, Any] | None = None, query: str = ""
    ) -> OcpiOutcome:
        name = secrets.token_urlsafe(24)
        response_url = f"{self._responses}/{name}"
        url = f"{self._receiver}/{quote(session, safe='')}"
        if body is None:
            url = f"{url}?{query}response_url={quote(response_url, safe='')}"
        else:
            body = {**body, "response_url": response_url}
        headers = {**self._headers, "X-Request-ID": secrets.token_hex(16), "X-Correlation-ID": secrets.token_hex(16)}
        waiting: asyncio.Future[OcpiOutcome] = asyncio.get_running_loop().create_future()
        self._waiting[name] = waiting
        try:
            try:
                answer = await self._send(method, url, headers, body)
            except OSError as error:
                raise OcpiError(f"the CPO cannot be reached: {error}") from error
            first, patience_s = _first_answer(answer)
            if first != "ACCEPTED":
                return OcpiOutcome(result=first)
            async with asyncio.timeout(patience_s):
                return await waiting
        except TimeoutError:
            return OcpiOutcome(result="TIMED_OUT")
        finally:
            self._waiting.pop(name, None)


def _first_answer(answer: HttpAnswer) -> tuple[str, float]:
    """Return what the CPO said at once (ChargingProfileResponse), and how long its result may take [s]."""
    body = answer.body
    if not isinstance(body, dict) or not isinstance(body.get("status_code"), int):
        raise OcpiError(f"the CPO answered HTTP {answer.status} with no OCPI response")
    if body["status_code"] not in SUCCESS:
        said = str(body.get("status_message") or "no reason given")[:200]
        raise OcpiError(f"the CPO refused with OCPI status {body['status_code']}: {said}")
    data = body.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("result"), str):
        raise OcpiError("the CPO's response holds no result")
    patience = data.get("timeout")
    good = isinstance(patience, int | float) and not isinstance(patience, bool) and 0 < patience <= 3600
    return data["result"], float(patience) if good else USUAL_TIMEOUT_S  # type: ignore[arg-type]


def _time(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
