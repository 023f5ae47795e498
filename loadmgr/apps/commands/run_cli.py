"""``loadmgr run``: the controller process for real stations."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from loadmgr.apps.commands import run_options as options
from loadmgr.errors import InputError

if TYPE_CHECKING:
    from loadmgr.apps.upstream.upstream import Upstream
    from loadmgr.site_file import SiteFile

KEEP_DAYS = 730.0
"""Journals keep two years by default: as long as evidence of dimming is asked for."""


def run(  # noqa: PLR0913 - one option each
    site: options.Site,
    *,
    host: options.Host = None,
    port: options.Port = None,
    quiet: options.Quiet = False,
    journal: options.Journal = None,
    no_journal: options.NoJournal = False,
    keep_days: options.KeepDays = KEEP_DAYS,
    socket: options.Socket = None,
    wire_log: options.WireLog = None,
    metrics: options.Metrics = None,
    access: options.Access = None,
    tls_certificate: options.TlsCertificate = None,
    tls_key: options.TlsKey = None,
    tls_client_ca: options.TlsClientCa = None,
    tls_sign_ca: options.TlsSignCa = None,
    tls_sign_key: options.TlsSignKey = None,
    tls_legacy_port: options.TlsLegacyPort = None,
    quirks: options.Quirks = None,
    http: options.Http = None,
    http_tokens: options.HttpTokens = None,
    http_open: options.HttpOpen = False,
    mqtt: options.Mqtt = None,
    upstream: options.Upstream = None,
    upstream_passwords: options.UpstreamPasswords = None,
    upstream_ca: options.UpstreamCa = None,
    upstream_loss: options.UpstreamLoss = "strict",
    upstream_state: options.UpstreamState = None,
    shadow: options.Shadow = False,
    start_offline: options.StartOffline = False,
    pass_vendor: options.PassVendor = None,
    without_certificate: options.WithoutCertificate = False,
) -> None:
    """Control a site: stations connect to ws://HOST:PORT/ocpp/<station id>.

    Starts only where `loadmgr check` proves that no circuit exceeds its limit with the controller dead. SIGTERM ends it
    in good order, SIGHUP reads the site file again. It remembers everything in its journal and goes on after a crash.

    With --upstream it stands between the stations and an existing CSMS, which notices nothing: messages pass, its
    charging profiles are held, and the lower of its limits and ours is in force.

    Examples: `loadmgr run my-site.yaml`, `loadmgr run my-site.yaml --port 9000 --quiet`,
    `loadmgr run my-site.yaml --journal postgresql://me@db/loads`,
    `loadmgr run my-site.yaml --upstream wss://csms.example/ocpp --upstream-loss sticky`
    """
    if journal is not None and no_journal:
        raise InputError("--journal and --no-journal exclude each other: keep one of them")
    if tls_legacy_port is not None and upstream is not None:
        raise InputError("--tls-legacy-port is of stations that are served here: with --upstream there is none")
    if tls_sign_key is not None and upstream is not None:
        raise InputError("--tls-sign-key is of stations that are served here: with --upstream the CSMS signs")
    from loadmgr.apps.process.doorway import Doorway, overrides_of
    from loadmgr.apps.process.places import default_journal, socket_path
    from loadmgr.apps.process.process import RunOptions, run_process
    from loadmgr.site_file import find_site, load_site

    site_file = load_site(find_site(site))
    relay = _Relay(
        url=upstream,
        passwords=upstream_passwords,
        authority=upstream_ca,
        loss=upstream_loss,
        state=upstream_state,
        start_offline=start_offline,
        vendors=pass_vendor,
        shadow=shadow,
    )
    run_process(
        site_file,
        RunOptions(
            host=host or site_file.listen.host,
            port=site_file.listen.port if port is None else port,
            quiet=quiet,
            journal=None if no_journal or shadow else journal or str(default_journal(site_file.path)),
            keep_days=keep_days or None,
            socket=socket or socket_path(site_file.path),
            upstream=relay.above(site_file),
            certified=_certified(site_file, unasked=without_certificate or shadow),
            doorway=Doorway(
                access=access,
                certificate=tls_certificate,
                key=tls_key,
                client_authority=tls_client_ca,
                legacy_port=tls_legacy_port,
                sign_certificate=tls_sign_ca,
                sign_key=tls_sign_key,
            ),
            overrides=overrides_of(quirks, frozenset(map(str, site_file.site.station_by_id))),
            wire_log=wire_log,
            metrics_port=metrics,
            http_port=http,
            http_open=http_open,
            http_tokens=http_tokens,
            mqtt=mqtt,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Relay:
    """What the options about a CSMS say."""

    url: str | None
    passwords: Path | None
    authority: Path | None
    loss: str
    state: Path | None
    start_offline: bool
    vendors: list[str] | None
    shadow: bool

    def above(self, site_file: "SiteFile") -> "Upstream | None":
        """Return the CSMS to which stations are relayed."""
        from loadmgr.apps.upstream.upstream import Upstream, read_passwords, upstream_folder

        if self.url is None:
            if any((self.passwords, self.authority, self.state, self.start_offline, self.vendors, self.shadow)):
                raise InputError("options about a CSMS need its address: --upstream wss://csms.example/ocpp")
            return None
        return Upstream(
            url=self.url,
            folder=self.state or upstream_folder(site_file),
            passwords={} if self.passwords is None else read_passwords(self.passwords, site_file.site),
            authority=self.authority,
            loss=self.loss,
            start_offline=self.start_offline,
            vendors=tuple(self.vendors or ()),
            shadow=self.shadow,
        )


def _certified(site_file: "SiteFile", *, unasked: bool) -> bool:
    """Return whether what holds without control is proven; say what is not, where nobody asks for a proof."""
    from loadmgr.apps.process.reloading import require_certificate, unproven

    if not unasked:
        require_certificate(site_file)
        return True
    for fault in unproven(site_file):
        typer.echo(f"loadmgr: not proven: {fault}", err=True)
    return False
