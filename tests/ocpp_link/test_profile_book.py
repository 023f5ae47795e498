"""What is known of stations outlives connections and restarts, and the operator's word is the last."""

from pathlib import Path
from typing import Any

import pytest

from ocpp_link.profile_book import ProfileBook, ProfileFile, load_overrides
from ocpp_link.station_profile import StationProfile

HUAWEI = {"chargePointVendor": "Huawei", "chargePointModel": "SCharger", "firmwareVersion": "1"}
OVERRIDES = {"CS": StationProfile(stack_level=5)}


def taught(book: ProfileBook) -> ProfileBook:
    book.booted("CS", HUAWEI)
    book.asked("CS", StationProfile(max_stack_level=9, rate_units=("A", "W"), zero_ok=True))
    book.learn("CS", StationProfile(pause_mode="min", stack_level=1))
    return book


def test_the_operators_word_is_the_last() -> None:
    book = taught(ProfileBook(overrides=OVERRIDES))

    assert {
        "max_stack_level": (9, "station"),
        "rate_units": (("W",), "model"),
        "zero_ok": (False, "model"),
        "pause_mode": ("min", "learnt"),
        "stack_level": (5, "operator"),
    } == book.report("CS")
    assert {name: value for name, (value, _) in book.report("CS").items()} == book.profile("CS").known()
    assert None is book.manners("CS").max_stack_level
    assert StationProfile() == book.profile("Stranger")


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stations.jsonl"
    memory = ProfileFile(path)
    before = taught(ProfileBook(overrides=OVERRIDES, memory=memory))
    memory.close()

    again = ProfileBook(overrides=OVERRIDES, memory=ProfileFile(path))

    assert before.report("CS") == again.report("CS")
    assert "Huawei" == (again.nameplate("CS") or ("",))[0]
    assert ("CS",) == again.stations


def test_a_file_is_tidied_and_survives_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "stations.jsonl"
    for level in range(3):
        memory = ProfileFile(path)
        ProfileBook(memory=memory).learn("CS", StationProfile(stack_level=level))
        memory.close()
        with path.open("a") as file:
            file.write('{"station": "CS", "asked"')  # killed while it wrote

    assert 2 == ProfileBook(memory=ProfileFile(path)).profile("CS").stack_level
    assert 3 == len(path.read_text().splitlines())


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "stations.jsonl"
    path.write_text('{"station": "CS", "asked": {"zero_ok": 1}, "learnt": {}}\n')

    with pytest.raises(ValueError, match=r"stations.jsonl: line 1: .*zero_ok must be true or false"):
        ProfileFile(path)
    assert "zero_ok" in path.read_text()


@pytest.mark.parametrize("change", [{"firmwareVersion": "2"}, {"chargePointModel": "Other"}])
def test_another_firmware_or_model_starts_anew(change: dict[str, Any]) -> None:
    book = taught(ProfileBook())

    book.booted("CS", HUAWEI | change)

    assert {"model"} >= {who for _, who in book.report("CS").values()}


def test_a_refusal_unlearns_what_trying_had_shown() -> None:
    book = taught(ProfileBook())

    book.unlearn("CS")

    assert None is book.profile("CS").stack_level
    assert 9 == book.profile("CS").max_stack_level


def test_only_what_changes_is_written(tmp_path: Path) -> None:
    path = tmp_path / "stations.jsonl"
    book = taught(ProfileBook(memory=ProfileFile(path)))
    before = path.read_text()

    taught(book)

    assert before == path.read_text()


def test_a_memory_that_fails_costs_the_memory_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "missing" / "stations.jsonl"

    book = taught(ProfileBook(memory=ProfileFile(path)))

    assert 1 == book.profile("CS").stack_level
    assert "CS cannot be kept" in caplog.text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("CS1: {stack_level: 0}\nCS2: {stak: 1}", "overrides.yaml: station CS2: stak is no field"),
        ("CS1: {zero_ok: maybe}", "station CS1: zero_ok must be true or false, got 'maybe'"),
        ("CS1: 3", "station CS1: must be a mapping"),
        ("- CS1", "must be a mapping of station ids"),
        ("CS1: {", "line"),
    ],
)
def test_faults_of_an_operators_file_are_named(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text(text)

    with pytest.raises(ValueError, match=fault):
        load_overrides(path)


def test_an_operators_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text("CS1: {pause_mode: min, rate_units: [W]}\n17: {zero_ok: true}\n")

    found = load_overrides(path)

    assert {"CS1": StationProfile(pause_mode="min", rate_units=("W",)), "17": StationProfile(zero_ok=True)} == found
