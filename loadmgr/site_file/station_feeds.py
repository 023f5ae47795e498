"""A station whose own supply carries less than its EVSEs together: a circuit between them and the rest of the tree."""

from collections.abc import Mapping
from dataclasses import replace

from loadmgr.site_file.faults import FaultList
from loadmgr.site_file.likeness import listed
from loadmgr.site_file.parts import Parts, Placed
from loadmgr.site_file.schema import CircuitPart


def with_station_feeds(parts: Parts, circuit_of: Mapping[str, str], faults: FaultList) -> tuple[Parts, dict[str, str]]:
    """Return the parts with a circuit for each station that has a fuse of its own, and the circuit of each EVSE.

    The circuit has the station's id. Its EVSEs have to hang on one circuit, which feeds it.
    """
    feeds: list[Placed[CircuitPart]] = []
    found = dict(circuit_of)
    for placed in parts.stations:
        station = placed.part
        evses = [e.part.id for e in parts.evses if (e.part.station or e.part.id) == station.id]
        above = sorted({circuit_of[e] for e in evses if e in circuit_of})
        if station.fuse is None or not above:
            continue
        if len(above) > 1:
            faults.add(
                (*placed.path, "fuse"),
                f"EVSEs of station {station.id} hang on circuits {listed(above)}, so it has no fuse of its own",
                "name its EVSEs under one circuit, or leave out its fuse",
            )
            continue
        feed = CircuitPart(id=station.id, parent=above[0]).model_copy(update={"fuse": station.fuse})
        feeds.append(Placed(placed.path, feed, whole=placed.whole))
        found |= {e: station.id for e in evses if e in circuit_of}
    return replace(parts, circuits=(*parts.circuits, *feeds)), found
