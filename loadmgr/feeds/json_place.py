"""Values in JSON documents that others write: found by JSON pointers (RFC 6901), and taken for numbers with care."""

import math
from typing import Any

from loadmgr.errors import InputError


def at_pointer(document: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer; an empty one is the document.

    Raises
    ------
    InputError
        With the first part of the pointer that leads nowhere.

    Examples
    --------
    >>> at_pointer({"em": [{"a_current": 5.1}]}, "/em/0/a_current")
    5.1
    """
    at = document
    gone: list[str] = []
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        gone.append(step)
        if isinstance(at, dict) and key in at:
            at = at[key]
        elif isinstance(at, list) and key.isascii() and key.isdigit() and int(key) < len(at):
            at = at[int(key)]
        else:
            raise InputError(f"there is nothing at /{'/'.join(gone)} of the document")
    return at


def number_at(document: Any, pointer: str) -> float:
    """Return the number at a JSON pointer; text that is one counts.

    Raises
    ------
    InputError
        If there is none.
    """
    value = at_pointer(document, pointer)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):  # whole numbers of hundreds of digits are JSON too
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{pointer} of the document is no number: {str(value)[:40]!r}")
    return number
