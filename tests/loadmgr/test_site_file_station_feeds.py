"""Stations whose own supply carries less than their EVSEs together: circuits of their own."""

from pathlib import Path

import pytest

from loadmgr.control.safety.certificate import build_certificate
from loadmgr.model.topology import Circuit, Site
from loadmgr.site_file import check_site, load_site

TWINS = """\
schema: loadmgr/v1
site: {name: Twins, timezone: Europe/Berlin}
circuits:
  - {id: main, fuse: 100A}
  - {id: left, parent: main, fuse: 63A, evses: [A1, A2, B1]}
evse_defaults: {fallback: 6A}
evses:
  - {id: A1, station: POLE-A, number: 1}
  - {id: A2, station: POLE-A, number: 2, phases: L2L3L1}
  - {id: B1, station: POLE-B}
station_defaults: {keeps_profiles: yes}
stations:
  - {id: POLE-A, fuse: 40A}
tariff: {energy: {price: 0.30/kWh}}
"""


def said(text: str, path: Path) -> list[str]:
    path.write_text(text)
    check = check_site(path)
    return [fault.shown(path).split("yaml:", 1)[1] for fault in (*check.faults, *check.warnings)]


def site_of(text: str, path: Path) -> Site:
    path.write_text(text)
    return load_site(path).site


def above(site: Site, evse: str) -> list[Circuit]:
    return list(site.path(next(e for e in site.evses if e.id == evse).circuit))


def test_a_station_with_a_fuse_is_a_circuit_between_its_evses_and_theirs(tmp_path: Path) -> None:
    site = site_of(TWINS, tmp_path / "twins.yaml")

    feed = above(site, "A2")[0]
    assert ["POLE-A", "left", "main"] == [c.id for c in above(site, "A1")]
    assert ["left", "main"] == [c.id for c in above(site, "B1")]
    assert ((40.0,) * 3, (40.0,) * 3) == (feed.limit_a, feed.rated_a)


def test_the_fuse_of_a_station_is_derated_like_any_other(tmp_path: Path) -> None:
    text = TWINS.replace("Europe/Berlin}", "Europe/Berlin, standard: nec, continuous: 0.8}")
    feed = above(site_of(text, tmp_path / "twins.yaml"), "A1")[0]

    assert ((32.0,) * 3, (40.0,) * 3) == (feed.limit_a, feed.rated_a)


def test_fallbacks_that_its_own_supply_cannot_carry_are_refused_at_the_station(tmp_path: Path) -> None:
    text = TWINS.replace("fallback: 6A", "fallback: 21A").replace("63A", "100A")
    (fault,) = [f for f in said(text, tmp_path / "twins.yaml") if "fail-safe" in f]

    assert fault.startswith("13:5: the fail-safe does not fit circuit POLE-A on L1 at any time: 42 A of 2 fallbacks")


def test_a_station_that_forgets_its_profiles_counts_with_both_its_evses_on_its_own_supply(tmp_path: Path) -> None:
    text = TWINS.replace("POLE-A, fuse: 40A", "POLE-A, fuse: 40A, keeps_profiles: no").replace("63A", "100A")
    faults = build_certificate(site_of(text, tmp_path / "twins.yaml")).faults

    assert ["POLE-A on L1: 64.0 A of 40 A may flow"] == [f.split(" at ")[0] for f in faults if " on L1" in f]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "evses: [A1, A2, B1]}",
            "evses: [A1, B1]}\n  - {id: right, parent: main, fuse: 63A, evses: [A2]}",
            "14:24: EVSEs of station POLE-A hang on circuits left, right, so it has no fuse of its own; "
            "name its EVSEs under one circuit, or leave out its fuse",
        ),
        ("id: left", "id: POLE-A", "13:10: circuit POLE-A occurs twice (first in line 5); give each its own id"),
        (
            "fuse: 40A",
            "fuse: 80A",
            "13:24: circuit POLE-A may carry 80 A on L1, more than the 63 A of left above it; "
            "the limit above holds; check that the two are not swapped",
        ),
        ("fuse: 40A", "fuse: 40", "13:24: fuse: 40 has no unit; write 40A, 40mA or 40kA"),
    ],
)
def test_a_fault_of_such_a_fuse_is_said_where_it_is_written(old: str, new: str, fault: str, tmp_path: Path) -> None:
    assert fault in said(TWINS.replace(old, new), tmp_path / "twins.yaml")
