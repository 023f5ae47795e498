"""Meters that are read from here: from a site file, or refused with the place."""

from pathlib import Path

import pytest

from loadmgr.model.topology import Phase
from loadmgr.site_file import check_site, check_values, json_schema, load_site
from loadmgr.site_file.register_map import map_names, map_text, read_map

SITE = """\
schema: loadmgr/v1
site: {name: Shed, timezone: Europe/Berlin}
evses: [{id: A, max: 16A}, {id: B, max: 16A}]
tariff: {energy: {price: 0.30/kWh}}
circuits:
  - id: main
    fuse: 35A
    evses: [A, B]
"""


def written(folder: Path, meter: str) -> Path:
    path = folder / "shed.yaml"
    path.write_text(f"{SITE}    meter: {meter}\n")
    return path


def test_a_meter_on_modbus_with_a_map_of_the_wheel(tmp_path: Path) -> None:
    meter = (
        "{id: m, interval: 5s, phases: L2L3L1, invert: true, modbus: {host: 10.0.0.5, unit: 3, map: eastron_sdm630}}"
    )
    (how,) = load_site(written(tmp_path, meter)).meter_inputs
    assert how.modbus is not None
    assert ("m", 5.0, (Phase.L2, Phase.L3, Phase.L1), True) == (how.meter, how.every_s, how.phases, how.invert)
    assert ("10.0.0.5", 502, 3, True) == (how.modbus.host, how.modbus.port, how.modbus.unit, how.modbus.map.is_input)


def test_a_map_of_ones_own_lies_beside_the_site_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(map_text("janitza_umg"))
    (how,) = load_site(written(tmp_path, "{id: m, modbus: {host: h, map: mine.yaml}}")).meter_inputs
    assert how.modbus is not None
    assert how.modbus.map.current is not None
    assert (19012, 19014, 19016) == how.modbus.map.current.at


def test_meters_over_http_and_mqtt(tmp_path: Path) -> None:
    places = "current: {L1: /a, L2: /b, L3: /c}, power: {L1: /p}"
    http = "{url: 'http://10.0.0.6/rpc/EM.GetStatus?id=0', secret: {env: SHELLY}, " + places + "}"
    (how,) = load_site(written(tmp_path, "{id: m, http: " + http + "}")).meter_inputs
    assert how.http is not None
    assert how.places is not None
    assert ("SHELLY", ("/p", None, None)) == (how.http.secret and how.http.secret.env, how.places.power)

    (heard,) = load_site(written(tmp_path, "{id: m, mqtt: {topic: shelly/status/em:0, " + places + "}}")).meter_inputs
    assert ("shelly/status/em:0", ("/a", "/b", "/c")) == (heard.topic, heard.places and heard.places.current)


def test_a_meter_without_a_way_is_told_its_readings() -> None:
    assert map_names() == sorted(map_names())
    assert "modbus" in json_schema()["$defs"]["MeterPart"]["properties"]


@pytest.mark.parametrize(
    ("meter", "fault"),
    [
        ("{id: m, modbus: {host: h, map: eastron_sdm360}}", "did you mean eastron_sdm630?"),
        ("{id: m, modbus: {host: h, map: none.yaml}}", "none.yaml: cannot be read: No such file or directory"),
        ("{id: m, modbus: {host: h, map: bad.yaml}}", "bad.yaml:3:20: current.at.L1: input should be less than"),
        ("{id: m, modbus: {host: h, map: empty.yaml}}", "empty.yaml:1:1: names neither current nor power"),
        ("{id: m, modbus: {host: h, map: slip.yaml}}", "slip.yaml:3:1: unknown key currant; did you mean current?"),
        ("{id: m, modbus: {host: h, port: 70000, map: x}}", "70000"),
        ("{id: m, modbus: {host: h}}", "key map is missing"),
        ("{id: m, modbus: {host: h, map: x}, http: {url: 'http://h', power: {L1: /a}}}", "m has modbus and http"),
        ("{id: m, http: {url: 'http://me:hunter2@h/', power: {L1: /a}}}", "there is a password in the address"),
        ("{id: m, http: {url: 'http://h/?api_key=hunter2', power: {L1: /a}}}", "secret in the address: api_key"),
        ("{id: m, http: {url: 'ftp://me:hunter2@h', power: {L1: /a}}}", "is no address; write http://HOST/PATH"),
        (
            "{id: m, http: {url: 'http://h', power: {L1: /a}, secret: {env: hunter2}}}",
            "is no name of an environment variable; write its name, such as METER_TOKEN, not what it holds",
        ),
        ("{id: m, http: {url: 'http://h'}}", "says neither where currents are nor where powers are"),
        ("{id: m, http: {url: 'http://h', power: {L1: a}}}", "'a' is no JSON pointer"),
        ("{id: m, http: {url: 'http://h', power: {L1: /a}, secret: {}}}", "a secret is kept in one place"),
        (
            "{id: m, http: {url: 'http://h', power: {L1: /a}, secret: {env: A, user: u, query: q}}}",
            "a secret is shown in one way, not as query and user",
        ),
        ("{id: m, mqtt: {topic: a/+/b, power: {L1: /a}}}", "a/+/b stands for many topics"),
        ("{id: m, invert: true}", "invert says nothing of readings that are sent"),
        ("{id: m, interval: 60s, stale_after: 30s, mqtt: {topic: a, power: {L1: /a}}}", "stale between two of them"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, meter: str, fault: str) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\nsource: y\ncurrent: {at: {L1: 70000}}\n")
    (tmp_path / "empty.yaml").write_text("name: x\nsource: y\n")
    (tmp_path / "slip.yaml").write_text("name: x\nsource: y\ncurrant: {at: {L1: 1}}\n")
    found = check_site(written(tmp_path, meter))
    assert any(f.line == 9 and fault in f.shown("") for f in found.faults), [f.shown("") for f in found.faults]
    assert not any("hunter2" in f.shown("") for f in found.faults)


@pytest.mark.parametrize(
    "way",
    [
        {"modbus": {"host": "10.0.0.1", "map": "janitza_umg"}},
        {"http": {"url": "http://10.0.0.1/", "power": {"L1": "/a"}}},
    ],
)
def test_a_site_that_is_sent_reads_no_meters(way: dict[str, object]) -> None:
    site = {
        "schema": "loadmgr/v1",
        "site": {"name": "Shed", "timezone": "Europe/Berlin"},
        "evses": [{"id": "A"}],
        "circuits": [{"id": "main", "fuse": "35A", "evses": ["A"], "meter": {"id": "m", **way}}],
        "tariff": {"energy": {"price": "0.30/kWh"}},
    }
    found = check_values(site, name="sent")
    assert any("a site that is sent" in f.text for f in found.faults)


@pytest.mark.parametrize("name", map_names())
def test_every_map_of_the_wheel_says_where_it_is_from_and_claims_nothing_untried(tmp_path: Path, name: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(map_text(name))
    about = read_map(path)
    assert "http" in about.source
    assert not about.verified
