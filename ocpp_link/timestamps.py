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
    """Read a time; one without zone is taken as UTC, which the repair layer records.

    Raises
    ------
    ValueError
        If ``text`` is no time.

    Examples
    --------
    >>> from_wire("2024-01-17T13:00:00+01:00")
    datetime.datetime(2024, 1, 17, 12, 0, tzinfo=datetime.timezone.utc)
    """
    when = datetime.fromisoformat(text.strip())
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
