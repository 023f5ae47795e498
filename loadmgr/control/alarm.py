"""Alarms: each with its cause and what to do about it, raised once however often the cause is seen."""

import enum
from dataclasses import dataclass, field, replace
from datetime import datetime


class Severity(enum.IntEnum):
    """How bad it is."""

    NOTE = 0
    WARNING = 1
    DANGER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that a person should know.

    Parameters
    ----------
    kind : str
        What it is, in a fixed word, such as ``disobedient``.
    subject : str
        What it is about: the id of an EVSE, station, circuit or meter.
    cause, advice : str
        What was seen, and what would help, in plain words.
    since, last : datetime
        When it was first and last seen.
    count : int
        How often it was seen.
    cleared : datetime, optional
        When its cause went away; ``None`` while it stands.
    """

    kind: str
    subject: str
    severity: Severity
    cause: str
    advice: str
    since: datetime
    last: datetime
    count: int = 1
    cleared: datetime | None = None


@dataclass(slots=True)
class AlarmBook:
    """Alarms that stand, and those that changed since they were last asked for."""

    standing: dict[tuple[str, str], Alarm] = field(default_factory=dict)
    changed: dict[tuple[str, str], Alarm] = field(default_factory=dict)

    def raise_alarm(
        self, kind: str, subject: str, *, at: datetime, severity: Severity, cause: str, advice: str
    ) -> None:
        """Raise an alarm, or count it once more where it stands already."""
        key = (kind, subject)
        known = self.standing.get(key)
        if known is None:
            alarm = Alarm(kind=kind, subject=subject, severity=severity, cause=cause, advice=advice, since=at, last=at)
            self.changed[key] = alarm
        else:
            alarm = replace(known, last=at, count=known.count + 1, cause=cause)
        self.standing[key] = alarm

    def raise_unknown(
        self, what: str, name: str, *, at: datetime, seen: str, advice: str, severity: Severity = Severity.WARNING
    ) -> None:
        """Raise an alarm about something that the site file does not name, such as an EVSE or a meter."""
        cause = f"{seen}, but the site file does not name it"
        self.raise_alarm(f"unknown {what}", name, at=at, severity=severity, cause=cause, advice=advice)

    def clear(self, kind: str, subject: str, *, at: datetime) -> None:
        """Say that the cause went away; does nothing where the alarm does not stand."""
        known = self.standing.pop((kind, subject), None)
        if known is not None:
            self.changed[(kind, subject)] = replace(known, cleared=at)

    def take_changed(self) -> tuple[Alarm, ...]:
        """Return what was raised or cleared since the last call, in a fixed order."""
        taken = tuple(self.changed[key] for key in sorted(self.changed))
        self.changed.clear()
        return taken

    def all_standing(self) -> tuple[Alarm, ...]:
        """Return what stands, the worst first."""
        return tuple(sorted(self.standing.values(), key=lambda a: (-a.severity, a.kind, a.subject)))
