"""JSON from an address, with the standard library; a secret is put in when it is asked, and stands in no message.

Rules
-----
1. Redirects are not followed: a secret goes to the address that the site file names, and nowhere else.
2. An answer that is too long, late, or no JSON is a fault with the address, without what may be secret of it.
"""

import base64
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from loadmgr.errors import InputError
from loadmgr.site_file.sources import HttpPlace, Secret

TIMEOUT_S = 5.0
LONGEST_ANSWER = 2_000_000


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs


_OPENER = urllib.request.build_opener(_NoRedirect)


def fetch_json(place: HttpPlace, *, body: Any = None, timeout_s: float = TIMEOUT_S) -> Any:
    """Return the JSON document at an address; with a ``body`` it is posted.

    Raises
    ------
    InputError
        If there is none, or its secret cannot be read.
    """
    url, headers = _with_secret(place)
    where = place_name(place.url)
    data = None if body is None else json.dumps(body).encode()
    headers |= {"Accept": "application/json", "User-Agent": "loadmgr"}
    if data is not None:
        headers["Content-Type"] = "application/json"
    try:
        request = urllib.request.Request(url, data=data, headers=headers)
        with _OPENER.open(request, timeout=timeout_s) as answer:
            raw = answer.read(LONGEST_ANSWER + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise InputError(f"{where} answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise InputError(f"{where}: {error.reason}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: {type(error).__name__}") from None
    if len(raw) > LONGEST_ANSWER:
        raise InputError(f"{where} answers more than {LONGEST_ANSWER} bytes")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise InputError(f"{where} answers no JSON: {raw[:40]!r}") from None


def place_name(url: str) -> str:
    """Return an address as messages may show it: without a query, which may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def secret_text(secret: Secret) -> str:
    """Return a secret from where it is kept.

    Raises
    ------
    InputError
        If it is not there.
    """
    if secret.env is not None:
        found = os.environ.get(secret.env, "")
        if not found:
            raise InputError(f"the environment has no {secret.env}, which the site file names for a secret")
    else:
        try:
            found = "" if secret.file is None else secret.file.read_text(encoding="utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{secret.file}: the secret cannot be read: {error}") from error
        if not found:
            raise InputError(f"{secret.file}: its first line, which should be a secret, is empty")
    if not found.isprintable():
        raise InputError(f"the secret in {secret.env or secret.file} has characters that cannot be sent")
    return found


def _with_secret(place: HttpPlace) -> tuple[str, dict[str, str]]:
    secret = place.secret
    headers: dict[str, str] = {}
    if secret is None:
        return place.url, headers
    text = secret_text(secret)
    if secret.query is not None:
        joint = "&" if "?" in place.url else "?"
        return f"{place.url}{joint}{quote(secret.query)}={quote(text, safe='')}", headers
    headers |= _shown(secret, text)
    return place.url, headers


def _shown(secret: Secret, text: str) -> Mapping[str, str]:
    if secret.header is not None:
        return {secret.header: text}
    if secret.user is not None:
        login = base64.b64encode(f"{secret.user}:{text}".encode()).decode()
        return {"Authorization": f"Basic {login}"}
    return {"Authorization": f"Bearer {text}"}
