"""Limits from outside, the rules of a site and turns by time: read from a site file, or refused with the place."""

from pathlib import Path

import pytest

from loadmgr.apps.rules_text import rules_in_words
from loadmgr.control.safety.certificate import build_certificate
from loadmgr.model.compliance import UK_PEAK_HOURS
from loadmgr.model.failsafe import FailSafeStrategy
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

LAST_WORD = "no sign of life is asked of it: if it fails, its last word stays"


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


def test_limits_over_http_mqtt_and_openadr(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        SITE
        + "external_limits:\n"
        + "  - {id: ems, http: {url: 'http://10.0.0.1/limit', at: /now, number_is: limit_kw}, heartbeat: 60s}\n"
        + "  - {id: hub, mqtt: {topic: a/b}}\n"
        + "  - {id: grid, openadr: {url: 'https://vtn/oadr', program: p, simple: {level_1: {power: 9kW}}, "
        + "client: c, secret: {file: oadr.secret}, targets: [north]}}\n",
    )
    ems, hub, grid = load_site(path).external_limits
    assert ems.http is not None
    assert hub.mqtt is not None
    assert grid.openadr is not None
    assert ("/now", "limit_kw", 10.0) == (ems.http.at, ems.http.number_is, ems.every_s)
    assert ("a/b", 30.0) == (hub.mqtt.topic, grid.every_s)
    assert [9000.0] * 3 == [cap.power_w for cap in grid.openadr.levels]
    assert grid.openadr.place.secret is not None
    assert (tmp_path / "oadr.secret", ("north",)) == (grid.openadr.place.secret.file, grid.openadr.place.targets)
    assert [
        "limit from outside: ems limits main by the address http://10.0.0.1/limit; silent for more than 60 s it is an "
        "alarm, and its last word stays",
        f"limit from outside: hub limits main by the topic a/b; {LAST_WORD}",
        f"limit from outside: grid limits main by the OpenADR program p of https://vtn/oadr; {LAST_WORD}",
    ] == list(rules_in_words(load_site(path)))


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
        ("external_limits: [{id: a}]", "external limit a has no source"),
        ("external_limits: [{id: a, file: x, circuit: mian}]", "mian is not a circuit; did you mean main?"),
        ("external_limits: [{id: a, file: x}, {id: a, file: y}]", "external limit a"),
        ("external_limits: [{id: a, relay: {command: x}}]", "a relay without a limit"),
        ("external_limits: [{id: a, relay: {limit: {power: 4kW}}}]", "a relay is read from one place"),
        ("external_limits: [{id: a, relay: {command: x, limit: {}}}]", "a limit that limits nothing"),
        ("external_limits: [{id: a, file: x, when_silent: {power: 4kW}}]", "no heartbeat is promised; add heartbeat"),
        ("external_limits: [{id: a, file: x, mqtt: {topic: t}}]", "external limit a has file and mqtt"),
        ("external_limits: [{id: a, mqtt: {topic: 'a/#'}}]", "a/# stands for many topics"),
        ("external_limits: [{id: a, http: {url: 'http://me:pw@h/'}}]", "there is a password in the address"),
        ("external_limits: [{id: a, http: {url: 'http://h/', at: x}}]", "'x' is no JSON pointer"),
        ("external_limits: [{id: a, http: {url: 'http://h/', number_is: amps}}]", "'amps' is not known"),
        (
            "external_limits: [{id: a, http: {url: 'http://h/'}, heartbeat: 15s}]",
            "a heartbeat of 15s, but the source is asked only every 10s; write 20s or more",
        ),
        ("external_limits: [{id: a, openadr: {url: 'http://h/'}}]", "key program is missing"),
        (
            "external_limits: [{id: a, openadr: {url: 'http://h/', program: p, client: c}}]",
            "both a client and its secret",
        ),
        (
            "external_limits: [{id: a, openadr: {url: 'http://h', program: p, client: c, secret: {env: A, query: q}}}]",
            "a client secret is shown as OpenADR has it",
        ),
        (
            "external_limits: [{id: a, openadr: {url: 'http://h/', program: p, simple: {level_2: {power: 4kW}}}}]",
            "level_1 is not named",
        ),
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
