"""A small file beside a journal: who writes it, and whether something was sent that it does not know.

Rules
-----
1. It is made in full before control starts, and then only overwritten in place: that needs no new space on a full disk,
   and no database.
2. Whoever holds its lock is the one controller of the journal. The lock ends with the process, however that ends.
3. A mark that cannot be read says the careful thing: that something may be missing.
"""

import os
from pathlib import Path
from typing import IO

from loadmgr.errors import JournalError

KNOWN, MISSING = b"known  \n", b"missing\n"


class Mark:
    """The mark of one journal, held by this process until it is closed.

    Raises
    ------
    JournalError
        If another process holds it.
    OSError
        If it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file: IO[bytes] = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            _lock(self._file)
        except OSError as error:
            self._file.close()
            raise JournalError(
                f"{path}: another controller is writing this journal; only one may control a site"
            ) from error
        before = self._file.read(len(KNOWN))
        self.knew_all = before in (b"", KNOWN)
        self._now: bytes | None = None if before != KNOWN else KNOWN
        if before == b"":
            self.set(knows_all=True)

    def set(self, *, knows_all: bool) -> None:
        """Say whether the journal knows everything that was sent."""
        wanted = KNOWN if knows_all else MISSING
        if wanted != self._now:
            os.pwrite(self._file.fileno(), wanted, 0)
            self._now = wanted

    def close(self) -> None:
        """Let go of the journal."""
        self._file.close()


def _lock(file: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
