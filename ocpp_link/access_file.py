"""Who may connect, in a file: security profiles and hashes of passwords by station id.

::

    organisation: Operator          # of client certificates; may be left out
    stations:
      GARAGE-A1: {profile: 2, password_hashes: [pbkdf2-sha256-2000$...]}
      GARAGE-A2: {profile: 3}

Rule 1: a password never stands in it; ``python -m ocpp_link.access_file`` makes a hash of one.
Rule 2: what a login settles (a new key, a higher profile) is written back, comments and order kept, so that a restart
    takes no old key and no lower profile again.
"""

import getpass
import logging
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ocpp_link.errors import CallRejected
from ocpp_link.quirks import read_yaml
from ocpp_link.security import AccessList, PasswordHash, StationAccess

logger = logging.getLogger(__name__)

_FIELDS = frozenset({"offered_profile", "password_hashes", "profile"})


def load_access(path: Path) -> AccessList:
    """Read an access file; what changes later is written to it.

    Raises
    ------
    ValueError
        If it says something else; the message names file, station and field.
    OSError
        If it cannot be read.
    """
    raw = read_yaml(path)
    if not isinstance(raw, Mapping) or not isinstance(raw.get("stations"), Mapping):
        raise ValueError(f"{path}: must have `stations:`, a mapping of station ids")  # noqa: TRY004 - a file
    unknown = set(raw) - {"organisation", "stations"}
    if unknown:
        raise ValueError(f"{path}: {', '.join(map(str, unknown))}: there are organisation and stations")
    stations: dict[str, StationAccess] = {}
    for identity, said in raw["stations"].items():
        try:
            stations[str(identity)] = _access(said)
        except ValueError as error:
            raise ValueError(f"{path}: station {identity}: {error}") from error
    organisation = raw.get("organisation")
    return AccessList(
        stations,
        organisation=None if organisation is None else str(organisation),
        on_change=lambda identity, access: _write(path, identity, access),
    )


def _access(said: Any) -> StationAccess:
    if not isinstance(said, Mapping) or set(said) - _FIELDS:
        raise ValueError(f"must be a mapping of {', '.join(sorted(_FIELDS))}")
    profile, offered, hashes = said.get("profile"), said.get("offered_profile"), said.get("password_hashes", [])
    if profile not in (0, 1, 2, 3) or isinstance(profile, bool):
        raise ValueError(f"profile must be a security profile, 0 to 3, got {profile!r}")
    if offered is not None and (offered not in (1, 2, 3) or offered <= profile):
        raise ValueError(f"offered_profile must be above {profile} and at most 3, got {offered!r}")
    if not isinstance(hashes, list) or len(hashes) > 2:
        raise ValueError("password_hashes must be a list of one hash, or of two while a new key is offered")
    needs = {profile, offered} & {1, 2}
    if needs and not hashes:
        raise ValueError(f"password_hashes must hold one for security profile {min(needs)}")
    passwords = tuple(PasswordHash.parse(str(each)) for each in hashes)
    return StationAccess(profile=profile, offered_profile=offered, passwords=passwords)


def _write(path: Path, identity: str, access: StationAccess) -> None:
    """Write what changed of one station; what stands around it stays."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 1000
    try:
        document = yaml.load(path.read_text(encoding="utf-8"))
        stations = document["stations"]
        place = stations[next(key for key in stations if str(key) == identity)]
        place["profile"] = access.profile
        if access.offered_profile is not None:
            place["offered_profile"] = access.offered_profile
        else:
            place.pop("offered_profile", None)
        if access.passwords:
            place["password_hashes"] = [each.text() for each in access.passwords]
        begun = path.with_name(path.name + ".new")
        begun.touch(mode=0o600)
        with begun.open("w", encoding="utf-8") as file:
            yaml.dump(document, file)
        begun.chmod(path.stat().st_mode & 0o777)
        begun.replace(path)
    except (OSError, ValueError, LookupError, StopIteration, TypeError) as error:
        logger.warning("%s: the change of %s is not kept: %s", path, identity, error)


class Changeable(Protocol):
    """A connected station: a `Station`, or whatever else can be asked like one."""

    @property
    def id(self) -> str:
        """The station's identity."""

    @property
    def version(self) -> str:
        """The OCPP version of the connection."""

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Ask the station."""


def new_password() -> str:
    """Return a random password that a station of any version takes: forty hexadecimal digits."""
    return secrets.token_hex(20)


def require_password(version: str, password: str) -> None:
    """Refuse a password that a station of a version need not take.

    Raises
    ------
    ValueError
        With what would be right (1.6 security whitepaper, AuthorizationKey; 2.0.1 part 2, BasicAuthPassword).

    Examples
    --------
    >>> require_password("1.6", "secret")
    Traceback (most recent call last):
    ...
    ValueError: a station of OCPP 1.6 takes 32 to 40 hexadecimal digits, two for each byte
    """
    if version == "1.6":
        if re.fullmatch(r"([0-9A-Fa-f]{2}){16,20}", password) is None:
            raise ValueError("a station of OCPP 1.6 takes 32 to 40 hexadecimal digits, two for each byte")
    elif re.fullmatch(r"[A-Za-z0-9*\-_=:+|@.]{16,40}", password) is None:
        raise ValueError(f"a station of OCPP {version} takes 16 to 40 letters, digits and * - _ = : + | @ .")


async def change_password(station: Changeable, access: AccessList, password: str) -> str:
    """Give a connected station a new password; return what it said: ``Accepted``, ``RebootRequired`` or a refusal.

    Both are accepted until the station answers, and after a time-out until it has used either (A01).

    Parameters
    ----------
    password
        For 1.6 an AuthorizationKey: hexadecimal, 32 to 40 digits. For 2.x 16 to 40 printable characters.

    Raises
    ------
    ValueError
        If the password is none for its version.
    OcppError
        There is no answer that says yes or no: both passwords stay good.
    """
    require_password(station.version, password)
    access.offer_password(station.id, password)
    try:
        status = await _tell_password(station, password)
    except CallRejected as error:
        status = error.code
    if status == "Accepted":
        access.confirm_password(station.id)
    elif status != "RebootRequired":  # it goes on with the old one until it restarts
        access.withdraw_password(station.id)
    return status


async def _tell_password(station: Changeable, password: str) -> str:
    if station.version == "1.6":
        answer = await station.call("ChangeConfiguration", {"key": "AuthorizationKey", "value": password})
        return str(answer["status"])
    place = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    answer = await station.call("SetVariables", {"setVariableData": [place | {"attributeValue": password}]})
    return str(answer["setVariableResult"][0]["attributeStatus"])


if __name__ == "__main__":
    typed = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    print(PasswordHash.of(typed).text())  # noqa: T201 - what it is for
