"""Meters, limits from outside and the rules of a site in words, for ``loadmgr check``."""

from collections.abc import Iterator
from pathlib import Path

from loadmgr.control.sending.profiles import fallback_a
from loadmgr.errors import InputError
from loadmgr.feeds.http_get import secret_text
from loadmgr.model.compliance import Pack
from loadmgr.model.drivers import DriverRule
from loadmgr.model.failsafe import FailSafeStrategy
from loadmgr.model.topology import Phase, PhaseLimits, Site
from loadmgr.site_file import SiteFile
from loadmgr.site_file.sources import HttpPrices, MeterInput, OpenAdrPlace
from loadmgr.site_file.values import Cap, Compliance, Drivers, OutsideSource


def rules_in_words(site_file: SiteFile) -> Iterator[str]:
    """Yield a line for each source of limits from outside, and for the rules that the site falls under."""
    if site_file.compliance is not None:
        yield _of_compliance(site_file.compliance)
    for source in site_file.external_limits:
        said = f"{_way(source)}{_silence(source)}{_uncontrolled(site_file.site, source)}"
        yield f"limit from outside: {source.id} limits {source.circuit} by {said}"
    if site_file.prices is not None:
        yield f"prices: {_prices_way(site_file.prices)}; where they are not known the tariff's own hold"
    for told in site_file.battery_inputs:
        yield f"battery {told.battery}: told and heard at {told.host}:{told.port} unit {told.unit} as {told.map.name}"
    for how in site_file.meter_inputs:
        yield f"meter {how.meter}: {_meter_way(how)} every {how.every_s:g} s"
    yield from _of_drivers(site_file.drivers)


def _of_drivers(drivers: Drivers) -> Iterator[str]:
    for rule in drivers.rules:
        yield f"drivers: {', '.join(rule.id_tokens)} {', '.join(_wishes(rule))}"
    if drivers.calendar is not None:
        yield f"drivers: departures are in {drivers.calendar}"
    if drivers.habits:
        yield "drivers: whoever says nothing is expected to do as before"


def _wishes(rule: DriverRule) -> Iterator[str]:
    if rule.leaves is not None:
        yield f"leave at {rule.leaves:%H:%M}"
    if rule.stay_s is not None:
        yield f"stay {rule.stay_s / 3600:g} h"
    if rule.need is not None:
        yield f"want {rule.need.wanted_wh / 1000:g} kWh"
    if rule.need is not None and rule.need.must_wh:
        yield f"{rule.need.must_wh / 1000:g} kWh of it first"
    if rule.priority is not None:
        yield f"have priority {rule.priority}"
    if rule.vehicle is not None and rule.vehicle.phases is not None:
        yield f"use {rule.vehicle.phases} phase{'s' if rule.vehicle.phases > 1 else ''}"
    if rule.vehicle is not None and rule.vehicle.max_a is not None:
        yield f"take at most {rule.vehicle.max_a:g} A"


def secrets_not_here(site_file: SiteFile) -> Iterator[str]:
    """Yield a line for each secret that the site file names and that this process would not find."""
    secrets = [each.http.secret for each in site_file.meter_inputs if each.http is not None]
    secrets += [each.http.place.secret for each in site_file.external_limits if each.http is not None]
    secrets += [each.openadr.place.secret for each in site_file.external_limits if each.openadr is not None]
    secrets += [] if site_file.prices is None else [site_file.prices.secret]
    for secret in secrets:
        if secret is not None:
            try:
                secret_text(secret)
            except InputError as fault:
                yield f"not here: {fault}"


def _prices_way(where: HttpPrices | OpenAdrPlace) -> str:
    if isinstance(where, OpenAdrPlace):
        return f"of the OpenADR program {where.program} of {where.url}"
    zone = f" for {where.zone or where.preset.zone}" if "{zone}" in where.preset.url else ""
    return f"{where.preset.name}{zone}"


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
    if source.http is not None:
        return f"the address {source.http.place.url}"
    if source.openadr is not None:
        return f"the OpenADR program {source.openadr.place.program} of {source.openadr.place.url}"
    if source.mqtt is not None:
        return f"the topic {source.mqtt.topic}"
    if source.relay is None:
        return f"the file {_name(source.file)}"
    relay = source.relay
    where = (
        f"the command `{relay.command}`" if relay.command is not None else f"the value file {_name(relay.value_file)}"
    )
    return f"{where}: {_cap(relay.limit, vehicles_only=source.vehicles_only)} while it reads {relay.active}"


def _meter_way(how: MeterInput) -> str:
    if how.topic is not None:
        return f"heard on the topic {how.topic}, expected"
    if how.http is not None:
        return f"read from {how.http.url}"
    if how.modbus is None:
        return "told"
    about = how.modbus.map
    tried = "" if about.verified else " (a map that was never tried on the device: compare `loadmgr meter read`)"
    return f"read from {how.modbus.host}:{how.modbus.port} unit {how.modbus.unit} as {about.name}{tried}"


def _name(path: Path | None) -> str:
    return "" if path is None else str(path)


def _silence(source: OutsideSource) -> str:
    if source.heartbeat_s is None:
        return "; no sign of life is asked of it: if it fails, its last word stays"
    if source.silent is None:
        return f"; silent for more than {source.heartbeat_s:g} s it is an alarm, and its last word stays"
    return f"; silent for more than {source.heartbeat_s:g} s: {_cap(source.silent, vehicles_only=source.vehicles_only)}"


def _uncontrolled(site: Site, source: OutsideSource) -> str:
    """Return what EVSEs fall back to with the controller dead, where that is above a limit that is known beforehand."""
    caps = [] if source.silent is None else [source.silent]
    caps += [] if source.relay is None else [source.relay.limit]
    if site.failsafe.strategy is not FailSafeStrategy.STATIC:
        return ""
    evses = site.evses_under(source.circuit)
    each_a = [sum(fallback_a(site, e) for e in evses if phase in e.phases) for phase in Phase]
    total_w = site.voltage_v * sum(each_a)
    over_a = any(
        a is not None and fall_a > a for c in caps for fall_a, a in zip(each_a, c.current_a or (), strict=False)
    )
    over_w = any(c.power_w is not None and total_w > c.power_w for c in caps)
    if not (over_a or over_w):
        return ""
    return f"; nobody obeys it with the controller dead: fallbacks come to {max(each_a):g} A, {total_w / 1000:g} kW"


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
