"""Times as OCPP writes them: RFC 3339 in UTC."""

from datetime import UTC, datetime


def to_wire(when: datetime) -> str:
    """Write a time as ``2024-01-17T12:00:00Z``: whole seconds, because some stations' parsers break on more.

    Raises
    ------
    ValueError
        If ``when`` has no zone.

    Examples
    --------
    >>> to_wire(datetime(2024, 1, 17, 12, 0, 0, 999, tzinfo=UTC))
    '2024-01-17T12:00:00Z'
    """
    if when.tzinfo is None:
        raise ValueError(f"when must carry a time zone, got {when.isoformat()}")
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_wire_ms(when: datetime) -> str:
    """Write a time with milliseconds, as stations do: ``2024-01-17T12:00:00.250Z``.

    Raises
    ------
    ValueError
        If ``when`` has no zone.
    """
    if when.tzinfo is None:
        raise ValueError(f"when must carry a time zone, got {when.isoformat()}")
    utc = when.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def from_wire(text: str) -> datetime:
    """Read a time; one without zone is taken as UTC, which `names_zone` tells apart.

    Raises
    ------
    ValueError
        If ``text`` is no time, or one at the rim of what a calendar holds.

    Examples
    --------
    >>> from_wire("2024-01-17T13:00:00+01:00")
    datetime.datetime(2024, 1, 17, 12, 0, tzinfo=datetime.timezone.utc)
    """
    when = datetime.fromisoformat(text.strip())
    if not 1 < when.year < 9999:  # so that no zone carries it past what a datetime holds
        raise ValueError(f"year out of range: {text!r}")
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def as_time(raw: object) -> datetime | None:
    """Return the time that a peer wrote, in UTC; ``None`` where it cannot be read.

    Examples
    --------
    >>> as_time("noon"), as_time(None), as_time("9999-12-31T23:59:59-12:00")
    (None, None, None)
    """
    if not isinstance(raw, str):
        return None
    try:
        return from_wire(raw)
    except ValueError:
        return None


def names_zone(text: str) -> bool:
    """Tell whether a time that can be read names its zone.

    Examples
    --------
    >>> names_zone("2024-01-17T12:00:00Z"), names_zone("2024-01-17T12:00:00")
    (True, False)
    """
    return text.rstrip().endswith(("Z", "z")) or "+" in text or text.count("-") > 2
