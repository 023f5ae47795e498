"""The vocabulary of places outside that are asked or listened to: over HTTP, over MQTT, and the secrets they take."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from loadmgr.site_file.quantities import StrictPart, Text, fault

_SCHEMES = ("http://", "https://")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_POINTER = re.compile(r"(/([^~/]|~[01])*)*")
_TOKEN_IN_QUERY = re.compile(r"[?&]([^=&]*(?:token|key|secret|password|auth)[^=&]*)=[^&]", re.IGNORECASE)


def _parse_url(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value.startswith(_SCHEMES):
        raise fault("is no address", "write http://HOST/PATH or https://HOST/PATH")
    if "@" in value.partition("://")[2].partition("/")[0]:
        raise fault(
            "there is a password in the address", "take it out, and name where it is kept: `secret: {env: NAME}`"
        )
    found = _TOKEN_IN_QUERY.search(value)
    if found is not None:
        advice = f"take it out, and say `secret: {{env: NAME, query: {found[1]}}}`"
        raise fault(f"there is a secret in the address: {found[1]}", advice)
    return value


def _parse_pointer(value: Any) -> Any:
    if isinstance(value, str) and not _POINTER.fullmatch(value):
        raise fault(
            f"{value!r} is no JSON pointer", "write /data/0/current: keys and places of lists, each after a slash"
        )
    return value


def _parse_variable(value: Any) -> Any:
    if isinstance(value, str) and not _VARIABLE.fullmatch(value):
        # Not shown: it may be the secret itself.
        raise fault("is no name of an environment variable", "write its name, such as METER_TOKEN, not what it holds")
    return value


Variable = Annotated[Text, BeforeValidator(_parse_variable)]
Url = Annotated[Text, BeforeValidator(_parse_url)]
Pointer = Annotated[str, BeforeValidator(_parse_pointer)]


class SecretPart(StrictPart):
    """Where a secret is kept (never in the site file), and how it is shown: as a bearer token unless said otherwise."""

    env: Variable | None = Field(default=None, description="Environment variable that holds it.")
    file: Text | None = Field(default=None, description="File that holds it, alone in its first line.")
    header: Text | None = Field(default=None, description="Header that carries it as it is, such as X-Api-Key.")
    query: Text | None = Field(default=None, description="Parameter of the address that carries it.")
    user: Text | None = Field(default=None, description="It is the password of this user (HTTP Basic).")


class HttpPart(StrictPart):
    """A JSON document that is fetched."""

    url: Url
    secret: SecretPart | None = None


class OpenAdrPart(StrictPart):
    """A program of an OpenADR 3 server (VTN), of which this site is a client (VEN)."""

    url: Url = Field(description="Base address of the server, such as https://vtn.example/openadr3/3.1.0.")
    program: Text = Field(description="Id of the program whose events are followed.")
    client: Text | None = Field(default=None, description="Client id for the login; without one nobody logs in.")
    secret: SecretPart | None = Field(default=None, description="Client secret: {env: NAME} or {file: PATH}.")
    token_url: Url | None = Field(default=None, description="Where the login is; what the server says if not given.")
    targets: list[Text] = Field(
        default_factory=list,
        description="Events for others than these are passed over; all are taken if none is given.",
    )
