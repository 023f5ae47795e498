"""``loadmgr run`` as a process of its own, for tests: started, asked by its socket, stopped or killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadmgr.apps.process.local_control import ask_local
from loadmgr.errors import InputError

PATIENCE_S = 60.0


class Running:
    """One run of a site; every line that it says is kept."""

    def __init__(self, site: Path, *options: str) -> None:
        self.socket = site.with_name("s")
        command = [sys.executable, "-m", "loadmgr", "run", str(site), "--quiet", "--socket", str(self.socket), *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ})
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def said(self, part: str) -> str:
        """Wait for a line that holds a part, and return it."""

        def found() -> str | None:
            return next((line for line in self.lines if part in line), None)

        self.until(lambda: found() is not None, part)
        return found() or ""

    def until(self, holds: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end, f"no {what} in {PATIENCE_S:g} s: {self.lines[-20:]}"
            assert self.process.poll() is None or holds(), f"it ended before {what}: {self.lines[-20:]}"
            time.sleep(0.03)

    def ask(self, do: str = "status", **more: Any) -> Any:
        return ask_local(self.socket, {"do": do, **more})

    def status_with(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait for a status of a kind, and return it."""
        found: dict[str, Any] = {}

        def look() -> bool:
            try:
                found.update(self.ask())
            except InputError:
                return False
            return "evses" in found and holds(found)

        self.until(look, what)
        return found

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)

    def stop(self) -> int:
        """End it in good order, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self._reader.join(10)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return status
