"""``loadmgr run``: the controller process for real stations."""

from typing import TYPE_CHECKING

import typer

from loadmgr.apps.commands.run_options import RunGiven
from loadmgr.errors import InputError

if TYPE_CHECKING:
    from loadmgr.apps.process.doorway import Doorway
    from loadmgr.apps.upstream.upstream import Upstream
    from loadmgr.site_file import SiteFile


def run(given: RunGiven) -> None:
    """Control a site: stations connect to `ws://HOST:PORT/ocpp/<station id>`.

    Starts only where `loadmgr check` proves that no circuit exceeds its limit with the controller dead. SIGTERM ends it
    in good order, SIGHUP reads the site file again. It remembers everything in its journal and goes on after a crash.

    With --upstream it stands between the stations and an existing CSMS, which notices nothing: messages pass, its
    charging profiles are held, and the lower of its limits and ours is in force.

    Examples: `loadmgr run my-site.yaml`, `loadmgr run my-site.yaml --port 9000 --quiet`,
    `loadmgr run my-site.yaml --journal postgresql://me@db/loads`,
    `loadmgr run my-site.yaml --upstream wss://csms.example/ocpp --upstream-loss sticky`
    """
    _check(given)
    from loadmgr.apps.process.doorway import overrides_of
    from loadmgr.apps.process.places import default_journal, socket_path
    from loadmgr.apps.process.process import RunOptions, run_process
    from loadmgr.site_file import find_site, load_site

    site_file = load_site(find_site(given.site))
    journal = given.journal or str(default_journal(site_file.path))
    run_process(
        site_file,
        RunOptions(
            host=given.host or site_file.listen.host,
            port=site_file.listen.port if given.port is None else given.port,
            quiet=given.quiet,
            journal=None if given.no_journal or given.shadow else journal,
            keep_days=given.keep_days or None,
            socket=given.socket or socket_path(site_file.path),
            upstream=_above(given, site_file),
            certified=_certified(site_file, unasked=given.without_certificate or given.shadow),
            doorway=_doorway(given),
            overrides=overrides_of(given.quirks, frozenset(map(str, site_file.site.station_by_id))),
            wire_log=given.wire_log,
            metrics_port=given.metrics,
            http_port=given.http,
            http_open=given.http_open,
            http_tokens=given.http_tokens,
            mqtt=given.mqtt,
        ),
    )


def _check(given: RunGiven) -> None:
    """Refuse options that contradict each other."""
    if given.journal is not None and given.no_journal:
        raise InputError("--journal and --no-journal exclude each other: keep one of them")
    if given.tls_legacy_port is not None and given.upstream is not None:
        raise InputError("--tls-legacy-port is of stations that are served here: with --upstream there is none")
    if given.tls_sign_key is not None and given.upstream is not None:
        raise InputError("--tls-sign-key is of stations that are served here: with --upstream the CSMS signs")


def _doorway(given: RunGiven) -> "Doorway":
    from loadmgr.apps.process.doorway import Doorway

    return Doorway(
        access=given.access,
        certificate=given.tls_certificate,
        key=given.tls_key,
        client_authority=given.tls_client_ca,
        legacy_port=given.tls_legacy_port,
        sign_certificate=given.tls_sign_ca,
        sign_key=given.tls_sign_key,
    )


def _above(given: RunGiven, site_file: "SiteFile") -> "Upstream | None":
    """Return the CSMS to which stations are relayed."""
    from loadmgr.apps.upstream.upstream import Upstream, read_passwords, upstream_folder

    if given.upstream is None:
        about = (given.upstream_passwords, given.upstream_ca, given.upstream_state, given.pass_vendor)
        if any(about) or given.start_offline or given.shadow:
            raise InputError("options about a CSMS need its address: --upstream wss://csms.example/ocpp")
        return None
    passwords = given.upstream_passwords
    return Upstream(
        url=given.upstream,
        folder=given.upstream_state or upstream_folder(site_file),
        passwords={} if passwords is None else read_passwords(passwords, site_file.site),
        authority=given.upstream_ca,
        loss=given.upstream_loss,
        start_offline=given.start_offline,
        vendors=tuple(given.pass_vendor or ()),
        shadow=given.shadow,
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
