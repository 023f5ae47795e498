"""The CSMS above a site: where it is, how stations log in there, and the relay that stands between."""

import asyncio
import logging
import os
import ssl
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from loadmgr.apps.process.serving import serve_site, stop
from loadmgr.apps.process.site import SiteProcess
from loadmgr.apps.upstream.csms_watch import CsmsWatch
from loadmgr.apps.upstream.local_controller import LocalController
from loadmgr.apps.upstream.shadow import Shadow
from loadmgr.errors import InputError
from loadmgr.model.topology import Site
from loadmgr.site_file import SiteFile, sample_folder
from loadmgr.site_file.document import read_document
from ocpp_link.clock import Clock
from ocpp_link.proxy.server import ProxyServer, ProxySettings, serve_proxy
from ocpp_link.proxy.sticky import Sticky
from ocpp_link.security import station_context
from ocpp_link.transport import Policy, Server
from ocpp_link.wirelog import WireLog

log = logging.getLogger(__name__)

PING_INTERVAL_S = 30.0
CSMS_PATIENCE_S = 30.0
"""How long a CSMS, or a station that it asks, may take to answer [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How a site stands below a CSMS.

    Parameters
    ----------
    url : str
        Its endpoint; station ids are appended to it.
    folder : Path
        Where its profiles, and what it has yet to be told, are kept.
    passwords : mapping
        What stations log in with there, by id, where they do not bring it themselves.
    authority : Path, optional
        Certificates of the authorities that may vouch for it; the system's if absent.
    loss : str
        ``strict`` closes stations when the CSMS is lost, ``sticky`` serves them on.
    start_offline : bool
        With ``sticky``: whether anybody may start charging meanwhile.
    vendors : tuple of str
        Vendor ids whose DataTransfer goes on to stations.
    shadow : bool
        Everything passes, nothing is sent: what would be done is compared with what is.
    """

    url: str
    folder: Path
    passwords: Mapping[str, str] = field(default_factory=dict)
    authority: Path | None = None
    loss: str = "strict"
    start_offline: bool = False
    vendors: tuple[str, ...] = ()
    shadow: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise InputError(f"--upstream must be like wss://csms.example/ocpp, got {self.url!r}")
        if parts.username is not None:
            raise InputError("--upstream must hold no password: stations have their own, see --upstream-passwords")
        if self.authority is not None and parts.scheme != "wss":
            raise InputError(f"--upstream-ca needs a wss:// address, got {self.url!r}")
        if self.loss not in ("strict", "sticky"):
            raise InputError(f"--upstream-loss must be strict or sticky, got {self.loss!r}")
        if self.start_offline and self.loss != "sticky":
            raise InputError("--start-offline needs --upstream-loss sticky: else nobody is served without the CSMS")


def upstream_folder(site_file: SiteFile) -> Path:
    """Return where a site keeps what belongs to its CSMS: beside its file, or where the user's state is kept."""
    path = site_file.path.resolve()
    beside = path.parent != sample_folder().resolve() and os.access(path.parent, os.W_OK)
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "loadmgr"
    return (path.parent if beside else state) / f"{path.stem}.upstream"


def read_passwords(path: Path, site: Site) -> MappingProxyType[str, str]:
    """Read the passwords of stations: a YAML mapping of station ids.

    Raises
    ------
    InputError
        If it is none, or names a station that the site does not have.
    OSError
        If it cannot be read.
    """
    document = read_document(path)
    for flaw in document.flaws:
        raise InputError(f"{path}:{flaw.line}:{flaw.column}: {flaw.text}; write `STATION-ID: password`, a line each")
    known = {str(s.id) for s in site.stations}
    out = {}
    for name, value in document.value.items():
        line, column = document.place((name,), at_key=True)
        if name not in known:
            raise InputError(
                f"{path}:{line}:{column}: the site has no station {name}; it has {', '.join(sorted(known))}"
            )
        raw = document.raw((name,))
        if raw is None or isinstance(value, dict | list) or not raw:
            raise InputError(f"{path}:{line}:{column}: the password of {name} must be text; put it in quotes")
        out[name] = raw
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        log.warning("%s: others can read these passwords; chmod 600 it", path)
    return MappingProxyType(out)


class _Named(Collection[str]):
    """The ids of a site's stations, as the site is now."""

    def __init__(self, process: SiteProcess) -> None:
        self._process = process

    def __contains__(self, station_id: object) -> bool:
        return station_id in self._process.site.station_by_id

    def __iter__(self) -> Iterator[str]:
        return iter(self._process.site.station_by_id)

    def __len__(self) -> int:
        return len(self._process.site.station_by_id)


def _trust(authority: Path | None) -> ssl.SSLContext | None:
    if authority is None:
        return None
    try:
        return station_context(authority)
    except ssl.SSLError as error:
        raise InputError(f"{authority}: must hold certificates in PEM: {error.reason or error}") from error


class Relay:
    """The site's endpoint while a CSMS stands above it. Made by `serve_stations`."""

    def __init__(self, server: ProxyServer, controller: LocalController | Shadow) -> None:
        self.port = server.port
        self.controller = controller
        self._server = server
        self._telling = asyncio.create_task(controller.run())

    async def close(self) -> None:
        """Stop listening and close every connection, below and above."""
        await stop(self._telling)
        await self._server.close()
        if isinstance(self.controller, Shadow):
            log.info("%s", self.controller.summary())


async def serve_stations(
    process: SiteProcess,
    upstream: Upstream | None,
    *,
    host: str,
    port: int,
    clock: Clock,
    tap: WireLog | None = None,
    policy: Policy | None = None,
) -> Server | Relay:
    """Open the endpoint ``ws://host:port/ocpp/<station id>`` for a site's stations, relayed if there is a CSMS.

    Raises
    ------
    InputError
        If what is kept of the CSMS cannot be read.
    OSError
        If the port, the folder or the authority's file cannot be opened.
    """
    if upstream is None:
        return await serve_site(process, host=host, port=port, clock=clock, tap=tap, policy=policy)
    if upstream.passwords and (policy is None or policy.access is None):
        log.warning("stations that the CSMS knows by --upstream-passwords show none here: name theirs with --access")
    folder = upstream.folder
    keys = set(upstream.passwords) | set(() if policy is None or policy.access is None else _Named(process))
    csms = CsmsWatch(clock)
    controller: LocalController | Shadow = (
        Shadow(process, clock=clock, csms=csms, folder=folder)
        if upstream.shadow
        else LocalController(
            process, clock=clock, csms=csms, folder=folder / "held", vendors=upstream.vendors, keys=keys
        )
    )
    queue = folder / "queue.sqlite3"
    settings = ProxySettings(
        tls=None if policy is None else policy.tls,
        access=None if policy is None else policy.access,
        upstream_url=upstream.url,
        upstream_tls=_trust(upstream.authority),
        upstream_passwords=upstream.passwords,
        identities=_Named(process),
        call_timeout_s=CSMS_PATIENCE_S,
        ping_interval_s=PING_INTERVAL_S,
        tap=tap,
        upstream_tap=None if tap is None else tap.of_csms(),
        unreachable=lambda station_id: csms.note(station_id, there=False),
        sticky=Sticky(queue=queue, start_offline=upstream.start_offline) if upstream.loss == "sticky" else None,
    )
    server = await serve_proxy(host, port, settings=settings, interceptor=controller, clock=clock)
    csms.backlog = server.backlog
    process.csms = csms
    return Relay(server, controller)
