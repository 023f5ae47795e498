"""Alarms of a running process as lines of its log."""

import logging
from collections.abc import Iterable

from loadmgr.control.alarm import Alarm

log = logging.getLogger(__name__)


def log_alarms(alarms: Iterable[Alarm]) -> None:
    """Log alarms that were raised, with their advice, and that others are over."""
    for alarm in alarms:
        if alarm.cleared is None:
            log.warning("%s: %s; %s", alarm.subject, alarm.cause, alarm.advice)
        else:
            log.info("%s: over: %s", alarm.subject, alarm.kind)
