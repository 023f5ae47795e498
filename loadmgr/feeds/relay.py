"""A limit that a relay switches: a value file such as a GPIO's in sysfs, or a command that prints the state.

Rules
-----
1. Each reading that makes sense is a word of life; what cannot be read says nothing, and the dead man decides.
2. A state is passed on when it changes, and again within half of the heartbeat, so that a relay that stands still for
   days is not taken for a dead one.
"""

import shlex
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from loadmgr.control.outside.outside import LimitChanged
from loadmgr.errors import InputError
from loadmgr.feeds.dead_man import DeadMan
from loadmgr.model.topology import PhaseLimits

COMMAND_TIMEOUT_S = 5.0


def value_file(path: Path) -> Callable[[], str]:
    """Return what reads a value file.

    Raises
    ------
    InputError
        When it is called and the file cannot be read.
    """

    def read() -> str:
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as fault:
            raise InputError(f"{path}: cannot be read: {fault}") from fault

    return read


def command(line: str) -> Callable[[], str]:
    """Return what runs a command, without a shell, and reads the first line that it prints.

    Raises
    ------
    InputError
        When it is called and the command fails, or takes longer than ``COMMAND_TIMEOUT_S``.
    """
    words = shlex.split(line)

    def read() -> str:
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=True)
        except (OSError, subprocess.SubprocessError) as fault:
            raise InputError(f"command {line}: {fault}") from fault
        return done.stdout.strip().partition("\n")[0].strip()

    return read


class Relay:
    """A contact that puts a limit in force while it is active.

    Parameters
    ----------
    read : callable
        Returns its state as text.
    active, idle : str
        The texts; anything else is a fault.
    limit_a, limit_w : optional
        The limit while it is active.
    remembered : bool
        What it last said is known: its heartbeat counts from there, and no first word takes that back.
    """

    def __init__(
        self,
        read: Callable[[], str],
        dead_man: DeadMan,
        *,
        active: str = "1",
        idle: str = "0",
        limit_a: PhaseLimits | None = None,
        limit_w: float | None = None,
        remembered: bool = False,
    ) -> None:
        self.id = dead_man.source
        self._read, self._dead_man = read, dead_man
        self._states = {active: (limit_a, limit_w), idle: (None, None)}
        self._last: str | None = None
        self._told_at: datetime | None = None
        self._began = remembered

    def poll(self, now: datetime) -> list[LimitChanged]:
        """Return the state if it is new, or due to be repeated.

        Raises
        ------
        InputError
            If it cannot be read, or is neither of the two; the next poll goes on.
        """
        first = [] if self._began else self._dead_man.begin(now)
        self._began = True
        if first:
            self._told_at = now
        try:
            state = self._read()
        except InputError:
            if first:
                return first
            raise
        if state not in self._states:
            if first:
                return first
            raise InputError(f"{self.id}: reads {state!r}, neither {' nor '.join(map(repr, self._states))}")
        if state == self._last and not self._dead_man.is_due(self._told_at, now):
            return first
        self._last, self._told_at = state, now
        limit_a, limit_w = self._states[state]
        return [*first, self._dead_man.word({"limit_a": limit_a, "limit_w": limit_w}, now)]
