"""Secrets taken out of texts that are shown to others: configurations, messages, journals.

Rules
-----
1. What stands behind a name such as ``password`` or ``api_key`` is masked, whatever way YAML or JSON has to write it:
   to the end of the line, in quotes, in braces, in a block of lines.
2. Who is logged in is part of an address only until it leaves: logins, and parameters named after secrets, are masked.
3. Where a secret is kept (``env``, ``file``) stays readable; a name of a variable that looks like none is taken for the
   secret itself.
"""

import re

MASK = "(masked)"

_NAME = r"""["']?[\w.-]*(?:password|passwd|passphrase|secret|token|authorization|(?<![a-z])key)[\w.-]*["']?"""
_BLOCK = re.compile(
    rf"(?im)^([ \t]*)((?:-[ \t]+)?{_NAME}[ \t]*:[ \t]*)[|>][-+0-9]*[ \t]*\n(?:\1[ \t]+\S.*\n?|[ \t]*\n)+"
)
_QUOTED = re.compile(rf"""(?i)({_NAME}\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')""")
_LISTED = re.compile(rf"(?i)({_NAME}\s*[:=]\s*)\[[^\]]*\]")
_TO_THE_END = re.compile(rf"(?im)^([ \t]*(?:[-#][ \t]*)*{_NAME}[ \t]*[:=][ \t]*)(?!\(masked\))([^\s{{\[].*)$")
_IN_BRACES = re.compile(rf"(?i)((?<![\w.-]){_NAME}[ \t]*[:=][ \t]*)(?!\(masked\))[^\s,{{}}\[\]\"'][^,{{}}\n]*")
_NO_VARIABLE = re.compile(r"""(\benv["']?\s*:\s*)(?!["']?[A-Z_][A-Z0-9_]*["']?\s*(?:[,}#\n]|$))[^\s,}][^,}\n]*""")
_LOGIN = re.compile(r"(\w+://)[^\s/@]+@")
_PARAMETER = re.compile(r"(?i)([?&;][\w.-]*(?:token|key|secret|password|passwd|auth)[\w.-]*=)[^&\s\"'#]+")
_HEADER = re.compile(r"(?i)\b(bearer|basic)[ \t]+[A-Za-z0-9._~+/=-]{8,}")


def masked(text: str) -> str:
    """Return a text without the secrets that a configuration may hold.

    Examples
    --------
    >>> masked("password: hunter2")
    'password: (masked)'
    >>> masked("url: postgresql://me:hunter2@db/x")
    'url: postgresql://(masked)@db/x'
    >>> masked("http: {url: 'http://h', secret: {env: METER_TOKEN}}")
    "http: {url: 'http://h', secret: {env: METER_TOKEN}}"
    """
    text = _BLOCK.sub(rf"\1\2{MASK}\n", text)
    for pattern in (_QUOTED, _LISTED, _TO_THE_END, _IN_BRACES, _NO_VARIABLE):
        text = pattern.sub(rf"\1{MASK}", text)
    return without_logins(text)


def without_logins(text: str) -> str:
    """Return a text whose addresses have no logins and no secret parameters.

    Examples
    --------
    >>> without_logins("mqtt://me:hunter2@hub:1883 and https://h/v1?api_key=hunter2&zone=AT")
    'mqtt://(masked)@hub:1883 and https://h/v1?api_key=(masked)&zone=AT'
    """
    text = _LOGIN.sub(rf"\1{MASK}@", text)
    text = _PARAMETER.sub(rf"\1{MASK}", text)
    return _HEADER.sub(rf"\1 {MASK}", text)
