"""``loadmgr composite``: documents in, results, tables and pictures out, faults named."""

import copy
import json
import sys
from io import StringIO
from pathlib import Path

import pytest

from loadmgr.apps import cli
from loadmgr.apps.composite.composite_document import read_document
from loadmgr.apps.composite.composite_run import run_document
from loadmgr.composite.lanes import lanes
from loadmgr.errors import InputError

PERIODS = [{"startPeriod": 0, "limit": 16}, {"startPeriod": 60, "limit": 8}]
SCHEDULE = {
    "id": 1,
    "startSchedule": "2024-06-10T12:00:00Z",
    "chargingRateUnit": "A",
    "chargingSchedulePeriod": PERIODS,
}
PROFILE = {
    "id": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": [SCHEDULE],
}
ASK = {"op": "composite", "evse_id": 1, "start": "2024-06-10T12:00:00Z", "duration_s": 100, "unit": "A"}
DOCUMENT = {
    "ocpp_version": "2.0.1",
    "now": "2024-06-10T12:00:00Z",
    "station": {"evses": 2},
    "defaults": {"current_a": 48, "power_w": 33120, "phases": 3, "voltage_v": 230},
    "transactions": [{"evse_id": 1, "id": "tx", "start": "2024-06-10T11:00:00Z"}],
    "operations": [{"op": "set", "evse_id": 1, "profile": PROFILE}, {"op": "list"}, ASK],
}


def called(monkeypatch, capsys, document: object, *options: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of ``loadmgr composite -``."""
    monkeypatch.setattr(sys, "stdin", StringIO(document if isinstance(document, str) else json.dumps(document)))
    monkeypatch.setattr(sys, "argv", ["loadmgr", "composite", "-", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out = capsys.readouterr()
    return int(ended.value.code or 0), out.out, out.err


def answer(document: dict) -> list[dict]:
    return run_document(read_document(document, place="document 1")).results


def changed(path: str, value: object) -> dict:
    """The document with one place changed; a value of ... removes the key."""
    document = copy.deepcopy(DOCUMENT)
    at: object = document
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    for step in way:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return document


def test_a_document_gives_one_result_for_each_operation(monkeypatch, capsys) -> None:
    status, out, err = called(monkeypatch, capsys, DOCUMENT)

    assert (0, "") == (status, err)
    assert [
        {"status": "Accepted", "reason": None},
        {"profile_ids": [1]},
        {
            "status": "Accepted",
            "evse_id": 1,
            "schedule_start": "2024-06-10T12:00:00Z",
            "duration_s": 100,
            "unit": "A",
            "periods": [{"start_s": 0, "limit": 16.0, "phases": 3}, {"start_s": 60, "limit": 8.0, "phases": 3}],
        },
    ] == json.loads(out)["results"]


def test_an_array_of_documents_gives_an_array_in_the_same_order(monkeypatch, capsys) -> None:
    other = changed("operations", [{"op": "list"}])

    _, out, _ = called(monkeypatch, capsys, [other, DOCUMENT])

    assert [1, 3] == [len(result["results"]) for result in json.loads(out)]


FAULTS = [
    ("ocpp_version", ..., "ocpp_version: missing"),
    ("ocpp_version", "3.0", "ocpp_version: must be one of 1.6, 2.0.1, 2.1"),
    ("now", "2024-06-10T12:00:00", "now: needs a time zone"),
    ("now", "noon", "now: not an ISO 8601 date-time"),
    ("nonsense", 1, "nonsense: unknown key"),
    ("operations", ..., "operations: missing"),
    ("station/evses", 0, "station.evses: must be at least 1"),
    ("station/evses", 10**9, "station.evses: must lie in 1..10000"),
    ("station/max_stack_level", -1, "station.max_stack_level: must be at least 0"),
    ("station/max_periods", 0, "station.max_periods: must be at least 1"),
    ("station/supply_phases", 0, "station.supply_phases: must be at least 1"),
    ("soc", 101, "soc: must lie in 0..100"),
    ("station/colour", "red", "station.colour: unknown key"),
    ("station/allowed_units", ["A", "V"], "station.allowed_units.1: must be one of A, W"),
    ("station/time_zone", "Mars/Olympus", "station.time_zone: not a time zone"),
    ("defaults/voltage_v", 0, "defaults.voltage_v: must lie above 0"),
    ("defaults/current_a", -1, "defaults.current_a: must lie in"),
    ("defaults/phases", 4, "defaults.phases: must lie in 1..3"),
    ("transactions/0/start", "2024-06-10T11:00:00", "transactions[0].start: needs a time zone"),
    ("transactions/0/evse_id", ..., "transactions[0].evse_id: missing"),
    ("offline_for_s", -1, "offline_for_s: must be at least 0"),
    ("random_delays", [3], "random_delays[0]: must be 0"),
    ("operations/0/op", "dance", "operation 1 (dance).op: must be one of set, start, load, clear, list, composite"),
    ("operations/0/profile", ..., "operation 1 (set).profile: missing"),
    ("operations/0/profile/stackLevel", ..., "operation 1 (set).profile.stackLevel: missing"),
    ("operations/0/profile/chargingSchedule/0/duration", -5, "chargingSchedule[0].duration: must be at least 0"),
    (
        "operations/0/profile/chargingSchedule/0/chargingSchedulePeriod/1/limit",
        float("nan"),
        "operation 1 (set).profile.chargingSchedule[0].chargingSchedulePeriod[1].limit: must be finite",
    ),
    (
        "operations/0/profile/chargingSchedule/0/chargingSchedulePeriod/0/limit",
        float("inf"),
        "chargingSchedulePeriod[0].limit: must be finite",
    ),
    (
        "operations/0/profile/chargingSchedule/0/chargingSchedulePeriod/0/setpoint",
        4,
        "chargingSchedulePeriod[0].setpoint: unknown key",
    ),
    ("operations/1/evse_id", 1, "operation 2 (list).evse_id: unknown key"),
    ("operations/2/duration_s", -1, "operation 3 (composite).duration_s: must be at least 0"),
    ("operations/2/duration_s", 10**400, "operation 3 (composite).duration_s: must be finite"),
    ("operations/2/start", "2024-06-10T12:00:00", "operation 3 (composite).start: needs a time zone"),
    ("operations/2/start", "0001-01-01T00:00:00+05:00", "operation 3 (composite).start: year out of range"),
    ("operations/2/unit", "V", "operation 3 (composite).unit: must be one of A, W"),
]


@pytest.mark.parametrize(("path", "value", "message"), FAULTS, ids=[f"{f[0]}-{n}" for n, f in enumerate(FAULTS)])
def test_bad_input_is_one_line_that_names_the_place_and_nothing_is_printed(
    monkeypatch, capsys, path, value, message
) -> None:
    """Also where a good document comes before it."""
    status, out, err = called(monkeypatch, capsys, [DOCUMENT, changed(path, value)])

    assert (2, "") == (status, out)
    assert 1 == err.count("\n")
    assert "document 2" in err
    assert message in err


@pytest.mark.parametrize("text", ["", "{", "[1", "[" * 100_000, '{"now": 1, "now": 2}'])
def test_what_is_not_json_is_named(monkeypatch, capsys, text) -> None:
    status, out, err = called(monkeypatch, capsys, text)

    assert (2, "", True) == (status, out, err.startswith("loadmgr: standard input: not JSON"))


def test_a_missing_file_is_one_line(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["loadmgr", "composite", "no-such-file.json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert 2 == ended.value.code
    assert "no-such-file.json" in capsys.readouterr().err


def test_a_profile_that_breaks_a_rule_is_refused_with_reason_requirement_and_field() -> None:
    refused = answer(changed("operations/0/profile/chargingSchedule/0/chargingSchedulePeriod/0/startPeriod", 5))[0]

    assert ("Rejected", "InvalidSchedule", "K01.FR.31", "schedules[0].periods[0].start_s") == tuple(
        refused[key] for key in ("status", "reason", "requirement", "field")
    )


def test_an_unknown_evse_and_an_unsupported_unit_are_answered_not_raised() -> None:
    unknown = answer(changed("operations/2/evse_id", 7))[2]
    unsupported = answer(changed("station/allowed_units", ["W"]))[2]

    assert [("Rejected", "K08.FR.05"), ("Rejected", "K08.FR.07")] == [
        (r["status"], r["requirement"]) for r in (unknown, unsupported)
    ]


def test_an_evse_beyond_every_station_is_unknown_and_costs_nothing() -> None:
    far = changed("operations/2/evse_id", 10**9) | {"station": {}}

    assert "UnknownEVSE" == answer(far)[2]["reason"]


def test_a_missing_unit_is_the_first_supported_one() -> None:
    document = changed("operations/2/unit", ...) | {"station": {"evses": 1, "allowed_units": ["W", "A"]}}

    assert "W" == answer(document)[2]["unit"]


def test_without_a_default_nothing_is_no_limit() -> None:
    document = changed("defaults", ...) | {"operations": [ASK]}

    assert [{"start_s": 0, "limit": None, "phases": 3}] == answer(document)[0]["periods"]


def test_the_table_names_the_profile_that_decides(monkeypatch, capsys) -> None:
    refusal = {"op": "set", "evse_id": 7, "profile": PROFILE}
    document = changed("operations", [*DOCUMENT["operations"], refusal])

    status, out, _ = called(monkeypatch, capsys, document, "--explain")

    assert 0 == status
    assert "TxDefaultProfile level 0, profile 1 (16 A)" in out
    assert "operation 4: Rejected, UnknownEVSE" in out


def test_the_plot_is_a_picture(monkeypatch, capsys, tmp_path: Path) -> None:
    picture = tmp_path / "lanes.png"

    status, out, _ = called(monkeypatch, capsys, DOCUMENT, "--plot", str(picture))

    assert 0 == status
    assert json.loads(out)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_picture_in_no_format_is_refused_by_name(monkeypatch, capsys, tmp_path: Path) -> None:
    status, out, err = called(monkeypatch, capsys, DOCUMENT, "--plot", str(tmp_path / "lanes.doc"))

    assert (2, "", 1) == (status, out, err.count("\n"))
    assert "lanes.doc: the ending must be one of" in err


def test_the_lanes_of_the_station_show_what_its_evses_have_of_their_own() -> None:
    whole = PROFILE | {"id": 2, "chargingProfilePurpose": "ChargingStationMaxProfile"}
    operations = [{"op": "set", "evse_id": 0, "profile": whole}, *DOCUMENT["operations"][:1], ASK | {"evse_id": 0}]
    outcome = run_document(read_document(changed("operations", operations), place="document 1"))

    assert [(0, 2), (1, 1)] == [
        (lane.evse_id, lane.profile.profile_id) for lane in lanes(outcome.store, outcome.schedules[0])
    ]


def test_a_plot_needs_a_schedule(monkeypatch, capsys, tmp_path: Path) -> None:
    document = changed("operations", [{"op": "list"}])

    status, _, err = called(monkeypatch, capsys, document, "--plot", str(tmp_path / "lanes.png"))

    assert (2, True) == (status, "no document asks for a composite schedule" in err)


def test_the_state_of_a_station_takes_part() -> None:
    """Offline, priority charging, random delays and state of charge (2.1)."""
    low = PROFILE | {"id": 2, "stackLevel": 0}
    relative = {k: v for k, v in SCHEDULE.items() if k != "startSchedule"}
    high = {
        "id": 3,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "maxOfflineDuration": 600,
        "chargingSchedule": [
            relative
            | {
                "randomizedDelay": 30,
                "limitAtSoC": {"soc": 80, "limit": 5},
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 20}, {"startPeriod": 3600, "limit": 4}],
            }
        ],
    }
    priority = PROFILE | {"id": 4, "chargingProfilePurpose": "PriorityCharging"}
    operations = [{"op": "set", "evse_id": 1, "profile": p} for p in (low, high, priority)]
    document = DOCUMENT | {"ocpp_version": "2.1", "operations": [*operations, ASK]}

    def periods(**state) -> dict:
        return {p["start_s"]: p["limit"] for p in answer(document | state)[3]["periods"]}

    assert {0: 4.0} == periods()
    assert {0: 20.0, 30: 4.0} == periods(random_delays=[0, 30])
    assert {0: 5.0, 30: 4.0} == periods(random_delays=[0, 30], soc=80)
    assert {0: 16.0, 60: 8.0} == periods(offline_for_s=601)
    assert {0: 16.0, 60: 8.0} == periods(priority_charging_active=True)


def test_reading_names_the_document() -> None:
    with pytest.raises(InputError, match=r"^document 1: must be an object, got a list"):
        read_document([], place="document 1")
