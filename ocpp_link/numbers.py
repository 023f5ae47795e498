"""Numbers as stations write them in texts."""

import math
import re

_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?")


def read_number(text: str) -> float | None:
    """Read a number with a decimal point or comma and blanks around it; ``None`` for anything else, NaN included.

    Examples
    --------
    >>> read_number(" 16,5 "), read_number("NaN"), read_number("")
    (16.5, None, None)
    """
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped) is None:
        return None
    number = float(stripped.replace(",", "."))
    return number if math.isfinite(number) else None
