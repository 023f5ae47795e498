"""Alarms of a running process as lines of its log."""

import logging
from collections.abc import Iterable

from loadmgr.control.alarm import Alarm

log = logging.getLogger(__name__)


def log_alarms(alarms: Iterable[Alarm]) -> None:
    """Log alarms that were raised, with their advice, and that others are over."""
    for alarm in alarms:
        if alarm.cleared is None:
            log.warning("%s; %s", named(alarm), alarm.advice)
        else:
            log.info("%s: over: %s", alarm.subject, alarm.kind)


def named(alarm: Alarm) -> str:
    """Return the cause of an alarm, behind what it is about where the cause does not name that itself."""
    return alarm.cause if alarm.subject in alarm.cause else f"{alarm.subject}: {alarm.cause}"
