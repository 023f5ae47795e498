"""Everything that the service consists of, put together once and handed to its routes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from loadmgr.apps.service.audit import Audit
from loadmgr.apps.service.citrineos import CitrineSites
from loadmgr.apps.service.engine import Engine
from loadmgr.apps.service.gate import Gate
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.idempotency import AnswerBook
from loadmgr.apps.service.rates import Rate
from loadmgr.apps.service.sites import SiteShelf
from loadmgr.apps.service.tables import IN_MEMORY, Tables
from loadmgr.apps.service.tokens import TokenBook
from loadmgr.apps.service.watching import RequestCounts
from loadmgr.site_file import SiteFile

USUAL_RATE = Rate(per_s=50.0, burst=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The parts of a service."""

    now: Callable[[], datetime]
    tables: Tables
    tokens: TokenBook
    gate: Gate
    answers: AnswerBook
    audit: Audit
    shelf: SiteShelf
    engine: Engine
    counts: RequestCounts = field(default_factory=RequestCounts)
    hosted: dict[str, HostedSite] = field(default_factory=dict)
    journals: dict[str, str] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    to_control: frozenset[str] = frozenset()
    private_webhooks: bool = False
    citrineos: CitrineSites | None = None
    broker: str | None = None

    def fence_of(self, site: str) -> int | None:
        """Return the fencing token under which this process controls a site; ``None`` where nobody else could."""
        return self.fences.get(site)

    def journal_of(self, site: str) -> str | None:
        """Return where the journal of a site is; ``None`` where it keeps none."""
        return self.journals.get(site)

    def close(self) -> None:
        """Let go of threads and the database."""
        self.engine.close()
        self.tables.close()


def build_service(  # noqa: PLR0913 - the choices of a service
    sites: Mapping[str, SiteFile],
    *,
    now: Callable[[], datetime],
    database: str = IN_MEMORY,
    is_open: bool = False,
    rate: Rate = USUAL_RATE,
    workers: int | None = None,
    to_control: Iterable[str] = (),
    private_webhooks: bool = False,
    citrineos: CitrineSites | None = None,
    broker: str | None = None,
) -> Service:
    """Return a service.

    Parameters
    ----------
    sites : mapping of str to SiteFile
        Sites that requests may name.
    now : callable
        The clock.
    database : str
        Where tokens, answers and the audit are kept: a file, a ``postgresql://`` URL, or ``:memory:``.
    is_open : bool
        Nobody needs a token; for the loopback address alone.
    workers : int, optional
        Threads that compute; ``None`` is one for each core.
    to_control : iterable of str
        Sites that this worker, or another one, has under control.
    private_webhooks : bool
        Webhooks may lead to private addresses, and by http.
    citrineos : CitrineSites, optional
        Stations of the sites under control are behind a CitrineOS.
    broker : str, optional
        The URL of the MQTT broker on which every site under control is.

    Raises
    ------
    JournalError
        If the database cannot be opened.
    """
    tables = Tables(database)
    tokens = TokenBook(tables)
    shelf = SiteShelf(sites)
    return Service(
        now=now,
        tables=tables,
        tokens=tokens,
        gate=Gate(tokens, now=now, rate=rate, is_open=is_open),
        answers=AnswerBook(tables),
        audit=Audit(tables, now=now),
        shelf=shelf,
        engine=Engine(shelf, workers=workers),
        to_control=frozenset(to_control),
        private_webhooks=private_webhooks,
        citrineos=citrineos,
        broker=broker,
    )
