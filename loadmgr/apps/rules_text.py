"""Limits from outside and the rules of a site in words, for ``loadmgr check``."""

from collections.abc import Iterator
from pathlib import Path

from loadmgr.model.compliance import Pack
from loadmgr.model.topology import PhaseLimits
from loadmgr.site_file import SiteFile
from loadmgr.site_file.values import Cap, Compliance, OutsideSource


def rules_in_words(site_file: SiteFile) -> Iterator[str]:
    """Yield a line for each source of limits from outside, and for the rules that the site falls under."""
    if site_file.compliance is not None:
        yield _of_compliance(site_file.compliance)
    for source in site_file.external_limits:
        yield f"limit from outside: {source.id} limits {source.circuit} by {_way(source)}{_silence(source)}"


def _of_compliance(rules: Compliance) -> str:
    if rules.pack is Pack.DE_14A:
        return (
            f"section 14a EnWG: {rules.signal} dims {rules.charge_points} charge points to "
            f"{(rules.limit_w or 0.0) / 1000:.2f} kW together"
        )
    hours = ", ".join(f"{h.start:%H:%M} to {h.end:%H:%M}" for h in rules.peak_hours)
    default = f"; on weekdays from {hours} nobody charges who did not say so" if hours else ""
    return f"Smart Charge Points Regulations 2021: starts are delayed by up to {rules.longest_delay_s} s{default}"


def _way(source: OutsideSource) -> str:
    if source.relay is None:
        return f"the file {_name(source.file)}"
    relay = source.relay
    where = (
        f"the command `{relay.command}`" if relay.command is not None else f"the value file {_name(relay.value_file)}"
    )
    return f"{where}: {_cap(relay.limit, vehicles_only=source.vehicles_only)} while it reads {relay.active}"


def _name(path: Path | None) -> str:
    return "" if path is None else str(path)


def _silence(source: OutsideSource) -> str:
    if source.heartbeat_s is None:
        return "; no sign of life is asked of it: if it fails, its last word stays"
    if source.silent is None:
        return f"; silent for more than {source.heartbeat_s:g} s it is an alarm, and its last word stays"
    return f"; silent for more than {source.heartbeat_s:g} s: {_cap(source.silent, vehicles_only=source.vehicles_only)}"


def _cap(cap: Cap, *, vehicles_only: bool) -> str:
    words = []
    if cap.current_a is not None:
        words.append(_amps(cap.current_a))
    if cap.power_w is not None:
        words.append(f"{cap.power_w / 1000:g} kW{' of vehicles' if vehicles_only else ''}")
    return " and ".join(words)


def _amps(each: PhaseLimits) -> str:
    known = ["no limit" if a is None else f"{a:g} A" for a in each]
    return known[0] if len(set(known)) == 1 else " / ".join(known)
