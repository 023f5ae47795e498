"""What is known of drivers: read from a site file, or refused with the place."""

from datetime import time
from pathlib import Path

import pytest

from loadmgr.apps.process.settings import control_settings
from loadmgr.apps.rules_text import rules_in_words
from loadmgr.site_file import check_site, load_site
from tests.loadmgr.test_site_file_outside import SITE, written

DRIVERS = """\
drivers:
  habits: true
  calendar: departures.csv
  rules:
    - {id_tokens: [04A2B3C4], leaves: "07:30", energy: 20kWh, must: 8kWh}
    - {id_tokens: ["FLEET-*", VAN], stays: 90min, priority: 2, phases: 1, max: 16A}
    - {id_tokens: [LATE], leaves: 07:30}
"""


def test_rules_a_calendar_and_habits(tmp_path: Path) -> None:
    (tmp_path / "departures.csv").write_text("evse,departure\n")
    site_file = load_site(written(tmp_path, SITE + DRIVERS))

    first, second, third = site_file.drivers.rules
    assert first.need is not None
    assert (time(7, 30), 20_000.0, 8000.0) == (first.leaves, first.need.wanted_wh, first.need.must_wh)
    assert second.vehicle is not None
    assert (5400, 2, 1, 16.0) == (second.stay_s, second.priority, second.vehicle.phases, second.vehicle.max_a)
    assert third.leaves == time(7, 30)
    assert control_settings(site_file).habits
    assert [
        "drivers: 04A2B3C4 leave at 07:30, want 20 kWh, 8 kWh of it first",
        "drivers: FLEET-*, VAN stay 1.5 h, have priority 2, use 1 phase, take at most 16 A",
        "drivers: LATE leave at 07:30",
        f"drivers: departures are in {tmp_path}/departures.csv",
        "drivers: whoever says nothing is expected to do as before",
    ] == list(rules_in_words(site_file))


@pytest.mark.parametrize(
    ("drivers", "words"),
    [
        ("{rules: [{id_tokens: [A]}]}", "a rule that says nothing; add leaves"),
        ("{rules: [{id_tokens: [], leaves: '07:30'}]}", "id_tokens is an empty list"),
        ("{rules: [{id_tokens: [A], leaves: '07:30', stays: 3h}]}", "a rule with both leaves and stays"),
        ("{rules: [{id_tokens: [A], leaves: noon}]}", "'noon' is not a time of day; write hours and minutes"),
        ("{rules: [{id_tokens: [A], must: 3kWh}]}", "must is more than the energy that is wanted"),
        ("{rules: [{id_tokens: [A], energy: 2kWh, must: 3kWh}]}", "must is more than the energy that is wanted"),
        ("{calendar: none.csv}", "there is no file"),
        ("{habit: true}", "unknown key habit; did you mean habits?"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(drivers: str, words: str, tmp_path: Path) -> None:
    faults = check_site(written(tmp_path, f"{SITE}drivers: {drivers}\n")).faults

    assert len(faults) == 1
    assert faults[0].line == 1 + SITE.count("\n")
    assert words in faults[0].shown(tmp_path)
