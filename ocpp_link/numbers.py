"""Numbers as stations write them."""

import math


def read_number(text: str) -> float | None:
    """Read a number with a decimal point or comma and blanks around it; ``None`` for anything else, NaN included.

    Examples
    --------
    >>> read_number(" 16,5 "), read_number("NaN"), read_number("")
    (16.5, None, None)
    """
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    # an underscore is Python's own way to write thousands
    return number if math.isfinite(number) and "_" not in text else None


def as_number(raw: object) -> float | None:
    """Return the finite number that a peer wrote, as JSON number or as text; ``None`` for anything else.

    Examples
    --------
    >>> as_number("7,2"), as_number(16), as_number(True), as_number([])
    (7.2, 16.0, None, None)
    """
    if isinstance(raw, str):
        return read_number(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        number = float(raw)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
