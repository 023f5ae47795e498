"""Answers by idempotency key: a request that is sent twice is carried out once, and answered alike.

Rules
-----
1. A key belongs to a token; with another body than before it is refused (422), while the first runs too (409).
2. Only answers that stand are kept: a refusal for haste or a fault of ours is forgotten, so that a retry may succeed.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from loadmgr.apps.service.problems import Refused
from loadmgr.apps.service.tables import Tables
from loadmgr.store.database import Database

KEPT = timedelta(hours=24)
STALE = timedelta(minutes=5)
"""A request that has not ended by then died with its worker: its key may be used again."""

LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was given before."""

    status: int
    body: bytes


class AnswerBook:
    """Answers that were given."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def begin(self, token: str, key: str, body: bytes, *, now: datetime) -> Kept | None:
        """Take a key; return the answer that was given to it before, or ``None`` where this is the first request.

        Raises
        ------
        Refused
            400 for a key that is no key, 409 while the first request runs, 422 where its body was another.
        """
        if not key or len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise Refused(400, "bad-key", f"Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters")
        digest = hashlib.sha256(body).digest()
        us, old, stale = (_us(t) for t in (now, now - KEPT, now - STALE))

        def taken(database: Database) -> tuple[bytes, int | None, bytes | None] | None:
            with database.transaction():
                database.rows(
                    "DELETE FROM service_answer WHERE at_us < ? OR (status IS NULL AND at_us < ?)", (old, stale)
                )
                # The insert decides between two workers: the one that comes second finds the row of the first.
                new = database.rows(
                    "INSERT INTO service_answer VALUES (?, ?, ?, ?, NULL, NULL) ON CONFLICT DO NOTHING RETURNING 1",
                    (token, key, digest, us),
                )
                if new:
                    return None
                found = database.rows(
                    "SELECT digest, status, body FROM service_answer WHERE token = ? AND request_key = ?", (token, key)
                )
            return None if not found else (bytes(found[0][0]), found[0][1], found[0][2])

        known = self._tables.work(taken)
        if known is None:
            return None
        if known[0] != digest:
            raise Refused(422, "key-reused", "this Idempotency-Key was used with another body: take a new one")
        if known[1] is None or known[2] is None:
            headers = {"Retry-After": "1"}
            raise Refused(409, "still-running", "the first request with this key is not answered yet", headers=headers)
        return Kept(int(known[1]), bytes(known[2]))

    def end(self, token: str, key: str, *, status: int, body: bytes) -> None:
        """Keep an answer."""
        self._tables.rows(
            "UPDATE service_answer SET status = ?, body = ? WHERE token = ? AND request_key = ?",
            (status, body, token, key),
        )

    def forget(self, token: str, key: str) -> None:
        """Let a key be used again."""
        self._tables.rows(
            "DELETE FROM service_answer WHERE token = ? AND request_key = ? AND status IS NULL", (token, key)
        )


def _us(when: datetime) -> int:
    return int(when.timestamp() * 1_000_000)
