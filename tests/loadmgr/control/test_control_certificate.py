"""The certificate: proven where the fail-safe fits, refused where not, and verified by a script that stands alone."""

import copy
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loadmgr.control.controller import SiteController
from loadmgr.control.observation import StationBooted
from loadmgr.control.safety import verifier
from loadmgr.control.safety.certificate import build_certificate
from loadmgr.model.failsafe import FailSafe, FailSafeStrategy
from loadmgr.model.ids import CircuitId, EvseId, StationId
from loadmgr.model.proof import StationProof, with_proof
from loadmgr.model.topology import Circuit, Evse, Phase, SideLoad, Site, Station, Trust
from loadmgr.site_file import find_site, load_site, site_names
from tests.control_world import START, small_site

SCRIPT = Path(verifier.__file__)


def garage(strategy: FailSafeStrategy, *, fallback_a: float = 0.0, keeps: Trust = Trust.YES) -> Site:
    """Return a riser of 35 A with seven three-phase EVSEs, below a main of 60 A with a building."""
    evses = tuple(
        Evse(id=EvseId(f"E{i}"), station=StationId(f"S{i}"), circuit=CircuitId("riser"), fallback_a=fallback_a)
        for i in range(7)
    )
    building = SideLoad(id="building", worst_case_a=(20.0, 20.0, 20.0))
    return Site(
        name="riser",
        time_zone="UTC",
        circuits=(
            Circuit(id=CircuitId("main"), limit_a=(60.0,) * 3, rated_a=(63.0,) * 3, side_loads=(building,)),
            Circuit(id=CircuitId("riser"), parent=CircuitId("main"), limit_a=(35.0,) * 3, rated_a=(35.0,) * 3),
        ),
        evses=evses,
        stations=tuple(
            Station(
                id=e.station, keeps_profiles=keeps, zero_ok=Trust.YES, keeps_clock=Trust.YES, recurring_ok=Trust.YES
            )
            for e in evses
        ),
        failsafe=FailSafe(strategy=strategy),
    )


@pytest.mark.parametrize("name", site_names())
def test_the_sample_sites_are_proven_and_verified(name):
    certificate = build_certificate(load_site(find_site(name)).site)

    assert () == certificate.faults
    assert [] == verifier.problems(json.loads(json.dumps(certificate.document)))


def test_six_amperes_for_seven_do_not_fit_a_riser_of_35():
    certificate = build_certificate(garage(FailSafeStrategy.STATIC, fallback_a=6.0))

    assert "riser on L1: 42.0 A of 35 A may flow at 00:00 UTC when nobody controls it" in certificate.faults
    assert verifier.problems(certificate.document)


@pytest.mark.parametrize("strategy", [FailSafeStrategy.ZERO, FailSafeStrategy.TIME_DIVISION])
def test_pausing_or_taking_turns_fits_it(strategy):
    certificate = build_certificate(garage(strategy))

    assert () == certificate.faults
    assert [] == verifier.problems(certificate.document)


@pytest.mark.parametrize("keeps", [Trust.NO, Trust.UNKNOWN])
def test_a_station_that_is_not_known_to_keep_its_profiles_counts_with_its_maximum(keeps):
    certificate = build_certificate(garage(FailSafeStrategy.ZERO, keeps=keeps))

    assert {"installed maximum"} == {e["counts_with"] for e in certificate.document["evses"]}
    assert certificate.faults


def test_a_station_that_is_not_known_to_take_0_a_cannot_be_paused():
    site = garage(FailSafeStrategy.ZERO)
    stations = (replace(site.stations[0], zero_ok=Trust.UNKNOWN), *site.stations[1:])
    (first, *others) = build_certificate(replace(site, stations=stations)).document["evses"]

    assert "installed maximum" == first["counts_with"]
    assert {"fail-safe"} == {e["counts_with"] for e in others}


@pytest.mark.parametrize("what", ["keeps_clock", "recurring_ok"])
def test_a_station_that_may_lose_its_clock_or_its_turns_cannot_take_turns(what):
    site = garage(FailSafeStrategy.TIME_DIVISION)
    stations = (replace(site.stations[0], **{what: Trust.UNKNOWN}), *site.stations[1:])
    certificate = build_certificate(replace(site, stations=stations))

    assert "installed maximum" == certificate.document["evses"][0]["counts_with"]
    assert certificate.faults


def tampered(change) -> dict:
    document = copy.deepcopy(build_certificate(garage(FailSafeStrategy.TIME_DIVISION)).document)
    change(document)
    return document


def widen(document: dict) -> None:
    for evse in document["evses"]:
        for window in evse["windows"]:
            window["start_s"] = max(0, window["start_s"] - 600)


@pytest.mark.parametrize(
    "change",
    [
        widen,
        lambda d: d["evses"][0]["windows"].append({"start_s": 0, "end_s": 86_400, "current_a": 12.0}),
        lambda d: d["clock"].update(skew_s=400.0),
        lambda d: d.update(autonomy_days=200),
        lambda d: d["circuits"][0].update(limit_a=[40.0, 40.0, 40.0]),
        lambda d: d["circuits"][0]["side_loads_a"].append([20.0, 0.0, 0.0]),
        lambda d: d["evses"][1].update(keeps_profiles="unknown"),
        lambda d: d["evses"][1].update(zero_ok="no"),
        lambda d: d["evses"][1].update(keeps_clock="unknown"),
        lambda d: d["evses"][1].update(recurring_ok="no"),
        lambda d: d["evses"][1].update(circuit="nowhere"),
        lambda d: d["circuits"][0].update(parent="riser"),
        lambda d: d.update(proven=False),
        lambda d: d.update(format="something else"),
    ],
)
def test_a_certificate_that_was_tampered_with_is_not_proven(change):
    assert [] == verifier.problems(tampered(lambda d: None))
    assert [] != verifier.problems(tampered(change))


def leaves(value, path=()):
    """Yield the way to every plain value of a document."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, (*path, index))
    else:
        yield path


def changed(value):
    """Return what somebody could write in the place of a value."""
    if isinstance(value, bool) or value is None:
        return [not value, 1.0]
    if isinstance(value, int | float):
        return [value * 1.01 + 0.5, -value - 1.0, 0.0 if value else 1.0, None]
    return [value + "x", {"no": "yes", "unknown": "yes", "yes": "no"}.get(value, "")]


def held(verdict) -> bool:
    """Return whether a verifier takes a certificate for a proof; what it cannot read is none."""
    try:
        return [] == verdict()
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False


@pytest.mark.parametrize("name", site_names())
def test_no_value_of_a_certificate_can_be_changed_or_taken_away_unseen(name):
    document = json.loads(json.dumps(build_certificate(load_site(find_site(name)).site).document))
    assert held(lambda: verifier.problems(document))
    tried, unseen = 0, []
    for path in list(leaves(document)):
        *above, last = path
        place = document
        for step in above:
            place = place[step]
        true = place[last]
        for false in changed(true):
            place[last] = false
            tried += 1
            unseen += [(path, false)] if held(lambda: verifier.problems(document)) else []
        place[last] = true
        if isinstance(place, dict):
            del place[last]
            unseen += [(path, "nothing")] if held(lambda: verifier.problems(document)) else []
            place[last] = true
    assert [] == unseen
    assert tried > 50
    assert held(lambda: verifier.problems(document))


@pytest.mark.parametrize(("listed", "index"), [("circuits", -1), ("evses", 0), ("assumptions", 0)])
def test_nothing_can_be_left_out_unseen(listed, index):
    assert not held(lambda: verifier.problems(tampered(lambda d: d[listed].pop(index))))


def test_the_verifier_stands_alone_and_is_short(tmp_path):
    script = tmp_path / "verifier.py"
    script.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    good, bad, junk = tmp_path / "good.json", tmp_path / "bad.json", tmp_path / "junk.json"
    good.write_text(json.dumps(tampered(lambda d: None)), encoding="utf-8")
    bad.write_text(json.dumps(tampered(widen)), encoding="utf-8")
    junk.write_text("[1, 2", encoding="utf-8")

    runs = [
        subprocess.run([sys.executable, "-I", "-S", script, path], capture_output=True, text=True, check=False)
        for path in (good, bad, junk)
    ]

    assert [0, 1, 2] == [r.returncode for r in runs]
    assert runs[0].stdout.startswith("proven for riser, given:\n- ")
    assert runs[1].stdout.startswith("NOT PROVEN\nmain on L1 at ")
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 150


def test_a_single_station_that_ignores_its_limit_is_a_warning_where_a_breaker_may_trip():
    warnings = build_certificate(garage(FailSafeStrategy.ZERO)).warnings

    assert ["riser: if E0 alone ignored its limit, 67 A could flow through 35 A"] == [
        w.split(" until")[0] for w in warnings if w.startswith("riser")
    ]


def test_phases_are_counted_where_the_rotation_puts_them():
    site = garage(FailSafeStrategy.STATIC, fallback_a=8.0)
    rotated = tuple(replace(e, phases=(Phase(i % 3),)) for i, e in enumerate(site.evses))
    certificate = build_certificate(replace(site, evses=rotated))

    assert () == certificate.faults
    assert [[1], [2], [3], [1]] == [e["phases"] for e in certificate.document["evses"][:4]]


def test_a_station_with_another_firmware_than_the_proved_one_is_told_until_it_has_the_proved_one_again():
    site = small_site(evses=1)
    proof = StationProof(station=site.stations[0].id, at=datetime(2026, 3, 1, tzinfo=UTC), firmware="1.4")
    proved = with_proof(site.stations[0], proof)
    controller = SiteController(replace(site, stations=(proved,)), None)

    def told(firmware: str | None, minute: int) -> set[str]:
        at = START + timedelta(minutes=minute)
        controller.observe(StationBooted(at=at, station=proved.id, firmware=firmware))
        changed = controller.decide(at).alarms
        return {f"{a.cause} {a.cleared is not None}" for a in changed if a.kind == "proved on other firmware"}

    assert set() == told("1.4", 0) | told(None, 1)
    assert {"station S1 was proved on 2026-03-01, firmware 1.4; it runs 1.5 now and is unknown False"} == told("1.5", 2)
    assert {True} == {text.endswith("True") for text in told("1.4", 3)}
