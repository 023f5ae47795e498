"""The audit: who changed what, when, and how that ended. Appended, never changed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request

from loadmgr.apps.service.tables import Tables
from loadmgr.store.database import DatabaseLost

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that was done, or refused."""

    at: datetime
    request: str
    token: str | None
    address: str | None
    action: str
    site: str | None
    status: int
    detail: str | None


class Audit:
    """Keeps the audit; where the database is away, the entry is in the log at least."""

    def __init__(self, tables: Tables, *, now: Callable[[], datetime]) -> None:
        self._tables = tables
        self._now = now

    async def note(
        self, request: Request, action: str, *, status: int, site: str | None = None, detail: str | None = None
    ) -> None:
        """Keep that a caller did something."""
        caller = getattr(request.state, "caller", None)
        token = None if caller is None else caller.token
        address = None if request.client is None else request.client.host
        at_us = int(self._now().timestamp() * 1_000_000)
        said = (getattr(request.state, "request_id", ""), token, address, action, site, status, (detail or "")[:1000])
        log.info("audit: %s %d", action, status, extra={"request": said[0], "token": token, "site": site})
        try:
            await self._tables.ask("INSERT INTO service_audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (at_us, *said))
        except DatabaseLost as error:
            log.warning("audit: not kept, %s: %s", error, said)

    def listed(self, *, sites: frozenset[str] | None, most: int) -> list[AuditEntry]:
        """Return the newest entries, the newest first."""
        rows = self._tables.rows(
            "SELECT at_us, request, token, address, action, site, status, detail FROM service_audit"
            " ORDER BY at_us DESC LIMIT ?",
            (most,),
        )
        return [
            AuditEntry(
                at=datetime.fromtimestamp(at_us / 1_000_000, UTC),
                request=request,
                token=token,
                address=address,
                action=action,
                site=site,
                status=int(status),
                detail=detail,
            )
            for at_us, request, token, address, action, site, status, detail in rows
            if sites is None or site in sites
        ]
