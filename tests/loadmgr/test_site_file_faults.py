# ruff: noqa: E501 - messages are shown whole, as a person reads them
"""Broken site files: every fault with line, column, what is wrong and what would be right, as a person reads it."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadmgr.errors import InputError, SiteFileError
from loadmgr.site_file import check_site, load_site

GOOD = """\
schema: loadmgr/v1
site: {name: Test, timezone: Europe/Berlin}
circuits:
  - {id: main, fuse: 63A, side_loads: [{id: house, worst_case: 10A}]}
  - {id: riser_a, parent: main, fuse: 35A, evses: [A1, A2]}
evses:
  - {id: A1, station: ST-1, max: 16A}
  - {id: A2, station: ST-2, max: 16A, phases: L3}
station_defaults: {keeps_profiles: yes, zero_ok: yes}
tariff: {energy: {price: 0.30/kWh}}
"""

# What is replaced by what, and what is said of it.
BROKEN: dict[str, tuple[str, str, list[str]]] = {
    "a misspelt key": ("fuse: 35A", "fuze: 35A", ["5:33: unknown key fuze; did you mean fuse?"]),
    "a misspelt section": (
        "station_defaults", "station_default", ["9:1: unknown key station_default; did you mean station_defaults?"],
    ),
    "the word of another tool": (
        "phases: L3", "phase_rotation: L3", ["8:39: unknown key phase_rotation; did you mean phases?"],
    ),
    "a key that is like no other": (
        "fuse: 35A", "fuse: {L1: 35A, L9: 3A}", ["5:49: unknown key L9; known here: L1, L2, L3"],
    ),
    "another unit": (
        "fuse: 35A", "fuse: 35kW", ["5:39: fuse: '35kW' is not a current; write a number and A, mA or kA, such as 63A"],
    ),
    "a unit in small letters": ("fuse: 35A", "fuse: 35a", ["5:39: fuse: '35a' is not a current; write 35A"]),
    "no unit": ("fuse: 35A", "fuse: 35", ["5:39: fuse: 35 has no unit; write 35A, 35mA or 35kA"]),
    "an efficiency of nothing": (
        "phases: L3", "efficiency: 0%", ["8:51: efficiency: 0.0 does not fit; input should be greater than 0"],
    ),
    "a lease of no time": (
        "tariff:", "failsafe: {lease: 0s}\ntariff:", ["10:19: lease: '0s' is 0; write a duration above 0, such as 15min"],
    ),
    "a number below zero": (
        "fuse: 35A", "fuse: -35A", ["5:39: fuse: '-35A' is below 0; write a current of 0 or above, such as 63A"],
    ),
    "a limit of the sum where each EVSE has its own": (
        "station: ST-2, max: 16A, phases: L3}\nstation_defaults: {",
        "station: ST-1, number: 2, max: 16A}\nstation_defaults: {limit_by: station_maximum, ",
        ["9:30: a station maximum limits but the sum of the 2 EVSEs of station ST-1; "
         "write limit_by: transaction for it"],
    ),
    "turns by the clock with a station maximum": (
        "tariff:",
        "failsafe: {strategy: time_division}\nstations: [{id: ST-1, limit_by: station_maximum, keeps_clock: yes}]\ntariff:",
        ["11:33: station ST-1 is limited by its station maximum, which takes no turns by the clock; "
         "write limit_by: transaction for it, or another failsafe.strategy than time_division"],
    ),
    "a way to limit that there is none": (
        "station_defaults: {", "station_defaults: {limit_by: maximum, ",
        ["9:30: limit_by: 'maximum' is not known; did you mean station_maximum? One of 'transaction' or 'station_maximum'"],
    ),
    "a circuit without a parent": (
        "parent: main, ", "",
        ["5:5: circuit riser_a has no parent, and the grid connection is already main; "
         "add parent: main, or the circuit that feeds it"],
    ),
    "a parent that is not there": (
        "parent: main", "parent: mian",
        ["5:27: parent of circuit riser_a is not a circuit: mian; did you mean main?"],
    ),
    "circuits that feed each other": (
        "{id: main, fuse: 63A", "{id: main, parent: riser_a, fuse: 35A",
        ["4:24: circuit main feeds itself: main <- riser_a <- main; name the circuit above it"],
    ),
    "an EVSE on two circuits": (
        "{id: main, ", "{id: main, evses: [A1], ",
        ["5:52: EVSE A1 is on circuit riser_a and on circuit main; "
         "an EVSE hangs on one circuit: the one whose fuse is next to it"],
    ),
    "an EVSE on no circuit": (
        "[A1, A2]", "[A1]", ["8:10: EVSE A2 is on no circuit; name it under `evses` of its circuit"],
    ),
    "an EVSE that is not there": ("[A1, A2]", "[A1, A2, B1]", ["5:60: B1 is not an EVSE; EVSEs: A1, A2"]),
    "a phase that the circuit lacks": (
        "fuse: 35A", "fuse: {L1: 35A, L2: 35A}",
        ["7:5: EVSE A1 uses L3, which circuit riser_a lacks; circuit riser_a has L1, L2",
         "8:47: EVSE A2 uses L3, which circuit riser_a lacks; circuit riser_a has L1, L2"],
    ),
    "a station listed twice": (
        "station_defaults:", "stations:\n  - {id: ST-1}\n  - {id: ST-1}\nstation_defaults:",
        ["11:10: station ST-1 occurs twice (first in line 10); give each its own id"],
    ),
    "a connector used twice": (
        "station: ST-2", "station: ST-1",
        ["8:5: EVSEs A1 and A2 are both number 1 of station ST-1; "
         "give each its own number (the connector id in OCPP 1.6), or its own station"],
    ),
    "a listed station that no EVSE names": (
        "station_defaults:", "stations: [{id: ST-3}]\nstation_defaults:",
        ["9:17: station ST-3 has no EVSE; did you mean ST-2?"],
    ),
    "an id that YAML reads as a number": (
        "station: ST-2", "station: 04123456",
        ['8:23: station: 04123456 is read as the number 4123456, not as text; write "04123456" in quotes'],
    ),
    "an id that YAML reads as a power of ten": (
        "station: ST-2", "station: 12E34",
        ['8:23: station: 12E34 is read as the number 1.2e+35, not as text; write "12E34" in quotes'],
    ),
    "an id that YAML reads as a truth value": (
        "station: ST-2", "station: true",
        ['8:23: station: true is read as a truth value, not as text; write "true" in quotes'],
    ),
    "an id that no address can hold": (
        "station: ST-2", "station: ST/2",
        ["8:23: station: 'ST/2' cannot be a station id; use 1 to 48 letters, digits and * - _ = + | @ . "
         "(it is a part of the address that the station dials)"],
    ),
    "a key without value": ("station: ST-2", "station: ", ["8:14: key station is empty; write its value, or remove the key"]),
    "a section without keys": (
        "site: {name: Test, timezone: Europe/Berlin}", "site:", ["2:1: key site is empty; write its value, or remove the key"],
    ),
    "a bracket that is never closed": (
        "circuits:\n", "circuits: [\n",
        ["4:3: is not YAML: expected the node content, but found '-'; "
         "check the indentation, and that every bracket and quote above is closed"],
    ),
    "a line that is not indented": (
        "  - {id: A1,", " - {id: A1,",
        ["8:3: is not YAML: this does not fit the lines above it; indent it like its neighbours"],
    ),
    "a comma that is missing": (
        "A1, station: ST-1", "A1 station: ST-1",
        ["7:20: is not YAML: a comma or a closing bracket is missing before this; separate members by commas"],
    ),
    "a bracket of the wrong kind": (
        "[A1, A2]", "[A1, A2)}",
        ["5:59: is not YAML: a comma or a closing bracket is missing before this; separate members by commas"],
    ),
    "a colon in a plain text": (
        "site: {name: Test, timezone: Europe/Berlin}", "site: Elm: Street",
        ["2:10: is not YAML: a second colon in one value; put the text in quotes, or begin a new line"],
    ),
    "a tag": (
        "station: ST-2", "station: !secret two", ["8:23: tag !secret is not understood here; remove it"],
    ),
    "a tag before a list": ("[A1, A2]", "!range [A1, A2]", ["5:51: tag !range is not understood here; remove it"]),
    "a tag that does not fit": ("station: ST-2", "station: !!int two", ["8:23: tag !!int is not understood here; remove it"]),
    "a quote that is never closed": (
        "name: Test", 'name: "Test', ["2:14: is not YAML: a quoted scalar that is never closed; close it"],
    ),
    "a tab": ("  - {id: riser", "\t- {id: riser", ["5:1: is not YAML: a tab where spaces are needed; indent with spaces"]),
    "a key written twice": (
        "fuse: 35A", "fuse: 35A, fuse: 40A", ["5:44: key fuse is written twice (first in line 5); keep one of them"],
    ),
    "two documents": (
        "evses:\n", "---\nevses:\n", ["6:1: holds two documents; keep one site to a file: remove the line `---`"],
    ),
    "a circuit without limit": (
        "fuse: 35A, ", "", ["5:5: circuit riser_a has no limit; add fuse: 63A or max_power: 40kW"],
    ),
    "a zone that is not there": (
        "Europe/Berlin", "Europe/Berln", ["2:30: there is no time zone 'Europe/Berln'; did you mean Europe/Berlin?"],
    ),
    "a missing key": ("name: Test, ", "", ["2:7: key name is missing; add name to site"]),
    "a missing section": (
        "tariff: {energy: {price: 0.30/kWh}}\n", "",
        ["1:1: key tariff is missing; add `tariff: {energy: {price: 0.30/kWh}}`"],
    ),
    "a list where a mapping is meant": (
        "site: {name: Test, timezone: Europe/Berlin}", "site: [Test]",
        ["2:7: site is a list, not a mapping; write `key: value` pairs"],
    ),
    "a price without unit": ("0.30/kWh", "0.30", ["10:26: price: 0.3 is not a price per kWh; write 0.3/kWh"]),
    "a price in cents": ("0.30/kWh", "30 ct/kWh", ["10:26: price: '30 ct/kWh' is not a price per kWh; write 0.3/kWh"]),
    "a price in another currency": (
        "0.30/kWh", "0.30 USD/kWh", ["10:26: 0.30 USD/kWh is in USD, and the site pays in EUR; convert it to EUR"],
    ),
    "two kinds of price": (
        "price: 0.30/kWh", "price: 0.30/kWh, series: x.csv",
        ["10:18: energy has price and series; give exactly one of price, periods, series"],
    ),
    "periods that overlap": (
        "price: 0.30/kWh",
        "periods: [{name: a, price: 1/kWh, when: [{hours: 08:00-12:00}]}, {name: b, price: 1/kWh, when: [{hours: 11:00-13:00}]}]",
        ["10:28: periods must not overlap: a and b do; let one of them begin where the other ends"],
    ),
    "periods with a gap": (
        "price: 0.30/kWh", "periods: [{name: a, price: 1/kWh, when: [{hours: 00:00-24:00, days: Mon-Fri}]}]",
        ["10:28: otherwise is needed: no period covers Saturday 00:00, as from 1 January; add `otherwise: 0.30/kWh`"],
    ),
    "a day that is not one": (
        "price: 0.30/kWh", "periods: [{name: a, price: 1/kWh, when: [{days: Mom-Fri}]}], otherwise: 1/kWh",
        ["10:67: 'Mom' in 'Mom-Fri' is not known; did you mean Mon?"],
    ),
    "a demand window off the clock": (
        "tariff: {", "tariff: {demand: [{name: c, price: 9/kW, window: 7min}], ",
        ["10:50: window of 7 min does not divide an hour; 15min and 1h are usual"],
    ),
    "a reaction time that harms": (
        "tariff:", "timing: {reaction_time: 90s}\ntariff:",
        ["10:25: reaction_time of 90 s is too long to leave a breaker unharmed; write at most 60s"],
    ),
    "a reaction time that cannot be kept": (
        "tariff:", "timing: {reaction_time: 30s}\ntariff:",
        ["10:25: reaction_time of 30 s cannot be kept: 10 s meter interval + 20 s call time-out + 10 s settle are 40 s; "
         "write at least 40s"],
    ),
    "a meter that is too slow": (
        "{id: main, ", "{id: main, meter: {id: m, interval: 1min}, ",
        ["4:41: reaction_time of 45 s cannot be kept: 60 s meter interval + 20 s call time-out + 10 s settle are 90 s; "
         "shorten those three to 60s in all"],
    ),
    "continuous load forgotten": (
        "name: Test, ", "name: Test, standard: nec, ",
        ["2:30: standard: nec needs the factor for continuous load; "
         "add continuous: 0.8 to site (NEC 625.42: a charger's load is continuous)"],
    ),
    "a share above one": (
        "name: Test, ", "name: Test, continuous: 80, ", ["2:32: continuous: 80 is not a share between 0 and 1; write 80%"],
    ),
    "a fail-safe that does not fit": (
        "fuse: 63A", "fuse: 20A",
        ["4:5: the fail-safe does not fit circuit main on L3 at any time: 12 A of 2 fallbacks + 10 A of side loads at worst exceed its "
         "20 A; lower failsafe.per_evse or the fallback of some EVSEs, or use `strategy: zero` with stations that take 0 A"],
    ),
    "a fail-safe that stations do not take": (
        "zero_ok: yes}", "zero_ok: no}\nfailsafe: {strategy: zero}",
        ["10:22: a fail-safe of 0 A needs stations that pause at 0 A, which is known to be wrong of ST-1, ST-2; "
         "set zero_ok: yes on stations that were tried, or give their EVSEs a fallback of at least the minimum"],
    ),
    "a fallback below the minimum": (
        "phases: L3", "phases: L3, fallback: 4A",
        ["8:61: fallback of EVSE A2 is 4 A, below the 6 A that it charges with; write 0A to pause it, or at least 6A"],
    ),
    "a minimum above the maximum": (
        "phases: L3", "min: 20A", ["8:44: EVSE A2 has min 20 A and max 16 A; min lies above 0A and at most at max"],
    ),
    "a number of phases": (
        "phases: L3", "phases: 3",
        ["8:47: phases: 3 are not phases; name the grid phases behind L1, L2, L3 of the EVSE in that order, "
         "such as L1L2L3, L2L3L1 or L3"],
    ),
    "another vocabulary": ("loadmgr/v1", "loadmgr/v2", ["1:9: schema 'loadmgr/v2' is not known; write schema: loadmgr/v1"]),
    "an anchor within itself": (
        "[A1, A2]", "&x [A1, *x]",
        ["5:51: an anchor that contains itself; write the values out", "5:51: member 2 of evses: is empty; write a name"],
    ),
    "a demo of nothing": (
        "tariff:",
        "demo: {sessions: no.csv, start: tomorrow, rude: [{station: ST-3, behaviour: ignores_limits, at: 5h}]}\ntariff:",
        ["10:18: there is no file FOLDER/no.csv; the path counts from the folder of the site file",
         "10:33: 'tomorrow' is not a time; write date and clock, such as 2019-06-04 12:00",
         "10:60: there is no station ST-3; did you mean ST-2?"],
    ),
    "a panel on no circuit": (
        "tariff:", "pv: [{id: roof, circuit: mani, peak: 10kW}]\ntariff:",
        ["10:26: circuit of roof is not a circuit: mani; did you mean main?"],
    ),
}  # fmt: skip


def _said(folder: Path, text: str | bytes) -> list[str]:
    path = folder / "site.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = check_site(path)
    assert (found.site_file is None) == bool(found.faults)
    return [fault.shown("X").removeprefix("X:").replace(str(folder), "FOLDER") for fault in found.faults]


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_is_said_at_its_place_with_what_would_be_right(name: str, tmp_path: Path) -> None:
    good, broken, said = BROKEN[name]
    assert GOOD.count(good) == 1
    assert _said(tmp_path, GOOD.replace(good, broken)) == said


def test_the_file_that_the_broken_ones_are_made_from_is_good(tmp_path: Path) -> None:
    assert _said(tmp_path, GOOD) == []


def test_an_evse_that_cannot_be_its_own_station_must_name_one(tmp_path: Path) -> None:
    text = GOOD.replace("A2, station: ST-2", "A 2").replace("[A1, A2]", "[A1, A 2]")
    assert _said(tmp_path, text) == [
        "8:10: EVSE 'A 2' names no station, and its own id cannot be a station id; "
        "add the id with which its station dials in, such as station: GARAGE-A1"
    ]


def test_all_faults_are_said_in_one_run_in_order_of_line(tmp_path: Path) -> None:
    text = GOOD
    for good, broken in (
        ("Europe/Berlin", "Europe/Brelin"),
        ("parent: main, fuse: 35A", "parent: mian, fuse: 35"),
        ("station: ST-2", "station: 7"),
        ("max: 16A, phases", "maxx: 16A, phases"),
        ("zero_ok: yes", "zero_ok: perhaps"),
        ("0.30/kWh", "cheap"),
    ):
        text = text.replace(good, broken)
    assert _said(tmp_path, text) == [
        "2:30: there is no time zone 'Europe/Brelin'; did you mean Europe/Berlin?",
        "5:27: parent of circuit riser_a is not a circuit: mian; did you mean main?",
        "5:39: fuse: 35 has no unit; write 35A, 35mA or 35kA",
        '8:23: station: 7 is read as the number 7, not as text; write "7" in quotes',
        "8:26: unknown key maxx; did you mean max?",
        "9:50: zero_ok: 'perhaps' is not known; write one of 'yes', 'no' or 'unknown'",
        "10:26: price: 'cheap' is not a price per kWh; write a price such as 0.28/kWh",
    ]


TOKENS = (
    "",
    "[",
    "]",
    "{",
    "}",
    ":",
    "- ",
    "null",
    "true",
    "1",
    "1e400",
    ".nan",
    '"',
    "&a ",
    "*a",
    "!!int ",
    "<<: ",
    "\t",
    "é",
    "\0",
    "0x10",
    "---\n",
    "0A",
    "|\n",
    "?",
)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, 12), st.sampled_from(TOKENS)), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_is_answered_by_one_line_a_fault_and_never_by_a_crash(
    edits: list[tuple[float, int, str]],
) -> None:
    text = GOOD
    for where, length, token in edits:
        at = int(where * len(text))
        text = text[:at] + token + text[at + length :]
    with TemporaryDirectory() as folder:
        for line in _said(Path(folder), text):
            assert re.fullmatch(r"\d+:\d+: [^\n]+; [^\n]+", line)
            assert "Part" not in line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "1:1: is empty; a site file begins with `schema: loadmgr/v1`"),
        (b"# nothing yet\n", "1:1: is empty; a site file begins with `schema: loadmgr/v1`"),
        (b"- a\n", "1:1: is a list, not a mapping of keys; a site file begins with `schema: loadmgr/v1`"),
        (b"PK garbage", "1:1: is plain text, not a mapping of keys; a site file begins with `schema: loadmgr/v1`"),
        ("name: Größe".encode("latin-1"), "1:9: is not text in UTF-8; save the file as UTF-8"),
    ],
)
def test_what_is_not_a_site_file_at_all_is_one_line(content: bytes, said: str, tmp_path: Path) -> None:
    assert _said(tmp_path, content) == [said]


@pytest.mark.parametrize(
    ("good", "other", "warned"),
    [
        (
            "fuse: 35A", "fuse: 80A",
            "5:39: circuit riser_a may carry 80 A on L1, more than the 63 A of main above it; "
            "the limit above holds; check that the two are not swapped",
        ),
        (
            "name: Test, ", "name: Test, standard: nec, continuous: 0.95, ",
            "2:47: continuous: 0.95 leaves no reserve for load that lasts for hours; 0.8 is usual",
        ),
        (
            "keeps_profiles: yes", "keeps_profiles: unknown",
            "5:5: circuit riser_a could carry 42 A on L3 (limit 35 A) after a power loss without the controller: "
            "ST-1, ST-2 may forget the fail-safe; set keeps_profiles: yes on stations that were tried",
        ),
        (
            "id: A1, station: ST-1, max: 16A", "id: A1, station: ST-1, max: 32A",
            "5:5: if EVSE A1 ignored its limit, L3 of circuit riser_a could carry 58.0 A, 1.66 times its rating, for 45 s; "
            "a breaker bears 1.45 times: lower `max` of that EVSE or raise `margin` here",
        ),
    ],
)  # fmt: skip
def test_what_works_and_is_perhaps_not_meant_is_a_warning(good: str, other: str, warned: str, tmp_path: Path) -> None:
    text = GOOD.replace("max: 16A, phases: L3", "max: 26A, phases: L3") if "keeps" not in good else GOOD
    if "keeps" in good:
        text = text.replace("max: 16A", "max: 21A")
    path = tmp_path / "site.yaml"
    path.write_text(text.replace(good, other), encoding="utf-8")
    found = check_site(path)
    assert found.faults == ()
    assert found.site_file is not None
    assert warned in [w.shown("X").removeprefix("X:") for w in found.warnings]


def test_loading_a_broken_file_raises_one_line_per_fault_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(GOOD.replace("fuse: 35A", "fuse: 35").replace("0.30/kWh", "1"), encoding="utf-8")
    with pytest.raises(SiteFileError) as raised:
        load_site(path)
    assert str(raised.value).splitlines() == [
        f"{path}:5:39: fuse: 35 has no unit; write 35A, 35mA or 35kA",
        f"{path}:10:26: price: 1 is not a price per kWh; write 1/kWh",
    ]


def test_a_file_that_is_not_there_is_not_a_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no site file"):
        load_site(tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match="is a folder"):
        load_site(tmp_path)
