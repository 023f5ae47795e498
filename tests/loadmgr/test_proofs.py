"""What was proved of stations: read from beside the site file, believed where it is worse, and never in part."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadmgr.errors import InputError, SiteFileError
from loadmgr.model.ids import StationId
from loadmgr.model.proof import StationProof, on_firmware, with_proof
from loadmgr.model.topology import Station, Trust
from loadmgr.site_file import find_site, load_site
from loadmgr.site_file.proofs import proof_json, proofs_path, read_proofs, write_proof

AT = datetime(2026, 3, 1, 10, tzinfo=UTC)
PROOF = StationProof(
    station=StationId("GARAGE-A1"),
    at=AT,
    firmware="1.4",
    keeps_profiles=Trust.YES,
    falls_back=Trust.YES,
    zero_ok=Trust.YES,
    settle_s=3.5,
)


@pytest.fixture
def garage(tmp_path: Path) -> Path:
    """A copy of the garage whose file knows nothing of its stations but that they take 0 A."""
    source = find_site("garage")
    text = source.read_text(encoding="utf-8").replace("{keeps_profiles: yes, zero_ok: yes}", "{zero_ok: yes}")
    (tmp_path / "data").symlink_to(source.parent / "data")
    path = tmp_path / "garage.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_proof_turns_unknown_into_yes_with_date_and_firmware(garage):
    write_proof(proofs_path(garage), PROOF)

    station = load_site(garage).site.station_by_id[StationId("GARAGE-A1")]
    assert Trust.YES is station.keeps_profiles
    assert "proved on 2026-03-01, firmware 1.4" == station.grounds
    assert Trust.UNKNOWN is load_site(garage).site.station_by_id[StationId("GARAGE-A2")].keeps_profiles


def test_what_was_seen_to_fail_counts_whatever_the_site_file_hopes(garage):
    write_proof(proofs_path(garage), replace(PROOF, zero_ok=Trust.NO))

    with pytest.raises(SiteFileError, match="known to be wrong of GARAGE-A1"):
        load_site(garage)


def test_a_station_that_does_not_fall_back_holds_no_fail_safe():
    station = with_proof(Station(id=PROOF.station), replace(PROOF, falls_back=Trust.NO))

    assert Trust.NO is station.keeps_profiles


def test_what_was_not_tried_stays_as_the_site_file_says():
    said = Station(id=PROOF.station, keeps_profiles=Trust.NO, zero_ok=Trust.YES)
    tried = with_proof(said, StationProof(station=PROOF.station, at=AT))

    assert (Trust.NO, Trust.YES, Trust.UNKNOWN) == (tried.keeps_profiles, tried.zero_ok, tried.keeps_clock)


def test_proofs_are_read_as_they_were_written_and_a_newer_one_takes_the_place(tmp_path):
    path = tmp_path / "yard.proofs.json"
    other = StationProof(station=StationId("B"), at=AT, keeps_clock=Trust.NO, operator="M. Meyer")
    for proof in (PROOF, other, replace(PROOF, firmware="1.5")):
        write_proof(path, proof)

    assert {PROOF.station: replace(PROOF, firmware="1.5"), other.station: other} == read_proofs(path)
    assert {} == read_proofs(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d.update(format="x"), "field format"),
        (lambda d: d.update(stations=[]), "field stations"),
        (lambda d: d["stations"]["GARAGE-A1"].update(keeps_profiles="sure"), "GARAGE-A1: field keeps_profiles"),
        (lambda d: d["stations"]["GARAGE-A1"].update(settle_s="3"), "GARAGE-A1: field settle_s"),
        (lambda d: d["stations"]["GARAGE-A1"].update(at="yesterday"), "GARAGE-A1: field at"),
        (lambda d: d["stations"]["GARAGE-A1"].update(zero="yes"), "field zero is not known"),
    ],
)
def test_a_wrong_file_of_proofs_is_refused_by_field_and_nothing_of_it_counts(garage, change, named):
    document = {"format": "loadmgr-proofs/1", "stations": {"GARAGE-A1": proof_json(PROOF)}}
    change(document)
    proofs_path(garage).write_text(json.dumps(document))

    with pytest.raises(InputError, match=named):
        read_proofs(proofs_path(garage))
    with pytest.raises(SiteFileError, match=r"garage\.proofs\.json"):
        load_site(garage)


def test_what_was_proved_is_unknown_on_other_firmware_and_what_failed_still_counts():
    said = Station(id=PROOF.station, zero_ok=Trust.YES)
    proved = with_proof(said, replace(PROOF, keeps_clock=Trust.NO))
    other = on_firmware(proved, "1.5")

    assert (Trust.YES, Trust.YES, Trust.NO) == (proved.keeps_profiles, proved.zero_ok, proved.keeps_clock)
    assert (Trust.UNKNOWN, Trust.YES, Trust.NO) == (other.keeps_profiles, other.zero_ok, other.keeps_clock)
    assert "" == other.grounds
    assert proved == on_firmware(proved, "1.4") == on_firmware(proved, None) == on_firmware(proved, "")
    assert said == on_firmware(said, "1.5")
