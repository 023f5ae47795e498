"""Alarms as lines of a process's log."""

import logging
from dataclasses import replace

import pytest

from loadmgr.apps.process.alarm_log import log_alarms
from loadmgr.control.alarm import Alarm, Severity
from tests.control_world import START


def test_an_alarm_says_what_it_is_about_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    alarm = Alarm(
        kind="offline",
        subject="S1",
        severity=Severity.WARNING,
        cause="station S1 is offline",
        advice="look at its network and power",
        since=START,
        last=START,
    )
    log_alarms([alarm, replace(alarm, cause="it is offline"), replace(alarm, cleared=START)])

    assert [
        "station S1 is offline; look at its network and power",
        "S1: it is offline; look at its network and power",
        "S1: over: offline",
    ] == caplog.messages
