"""Limits from outside, the rules of a site and turns by time: read from a site file, or refused with the place."""

from pathlib import Path

import pytest

from loadmgr.apps.rules_text import rules_in_words
from loadmgr.control.certificate import build_certificate
from loadmgr.model.compliance import UK_PEAK_HOURS
from loadmgr.model.topology import FailSafeStrategy
from loadmgr.site_file import check_site, load_site

SITE = """\
schema: loadmgr/v1
site: {name: Shed, timezone: Europe/Berlin}
circuits: [{id: main, fuse: 35A, evses: [A, B]}]
evses: [{id: A, max: 16A}, {id: B, max: 16A}]
station_defaults: {keeps_profiles: yes, zero_ok: yes, keeps_clock: yes, recurring_ok: yes, starts_offline: yes}
failsafe: {strategy: zero}
tariff: {energy: {price: 0.30/kWh}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "shed.yaml"
    path.write_text(text)
    return path


def test_a_relay_and_a_file_with_dead_men(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        SITE
        + "external_limits:\n"
        + "  - {id: dso, relay: {value_file: gpio, active: 0, idle: 1}, heartbeat: 5min}\n"
        + "  - {id: ems, file: l.json, every: 5s, heartbeat: 60s, when_silent: {current: {L1: 10A}, power: 4kW}}\n"
        + "compliance: {pack: de_14a, signal: dso}\n",
    )
    site_file = load_site(path)
    dso, ems = site_file.external_limits
    assert dso.relay is not None
    assert (tmp_path / "gpio", "0", 7560.0, True) == (
        dso.relay.value_file,
        dso.relay.active,
        dso.relay.limit.power_w,
        dso.vehicles_only,
    )
    assert dso.silent == dso.relay.limit
    assert ems.silent is not None
    assert ((10.0, None, None), 4000.0) == (ems.silent.current_a, ems.silent.power_w)
    assert [
        "section 14a EnWG: dso dims 2 charge points to 7.56 kW together",
        f"limit from outside: dso limits main by the value file {tmp_path}/gpio: 7.56 kW of vehicles while it reads 0; "
        "silent for more than 300 s: 7.56 kW of vehicles",
        f"limit from outside: ems limits main by the file {tmp_path}/l.json; silent for more than 60 s: "
        "10 A / no limit / no limit and 4 kW",
    ] == list(rules_in_words(site_file))


def test_british_rules(tmp_path: Path) -> None:
    site_file = load_site(written(tmp_path, SITE + "compliance: {pack: uk, delay: 20min}\n"))
    assert site_file.compliance is not None
    assert (1200, UK_PEAK_HOURS) == (site_file.compliance.longest_delay_s, site_file.compliance.peak_hours)


def test_turns_by_time_need_no_fallback_and_are_proven(tmp_path: Path) -> None:
    path = written(
        tmp_path, SITE.replace("fuse: 35A", "fuse: 10A").replace("strategy: zero", "strategy: time_division")
    )
    site = load_site(path).site
    assert FailSafeStrategy.TIME_DIVISION is site.failsafe.strategy
    assert () == build_certificate(site).faults


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("external_limits: [{id: a}]", "external limit a has neither a file nor a relay"),
        ("external_limits: [{id: a, file: x, circuit: mian}]", "mian is not a circuit; did you mean main?"),
        ("external_limits: [{id: a, file: x}, {id: a, file: y}]", "external limit a"),
        ("external_limits: [{id: a, relay: {command: x}}]", "a relay without a limit"),
        ("external_limits: [{id: a, relay: {limit: {power: 4kW}}}]", "a relay is read from one place"),
        ("external_limits: [{id: a, relay: {command: x, limit: {}}}]", "a limit that limits nothing"),
        ("external_limits: [{id: a, file: x, when_silent: {power: 4kW}}]", "no heartbeat is promised; add heartbeat"),
        ("compliance: {pack: de_14a}", "pack de_14a needs its signal"),
        ("compliance: {pack: de_14a, signal: dso}", "dso is not an external limit"),
        ("compliance: {pack: uk, signal: dso}", "key signal says nothing in pack uk; remove it"),
        ("compliance: {pack: uk, delay: 2h}", "delay"),
        ("compliance: {pack: de}", "pack: 'de' is not known"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, lines: str, fault: str) -> None:
    found = check_site(written(tmp_path, SITE + lines + "\n"))
    assert any(f.line == 8 and fault in f.shown("") for f in found.faults), [f.shown("") for f in found.faults]
