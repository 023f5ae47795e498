"""What was tried out on a station with a person present, and what that changes in what is known of it.

Rules
-----
1. What was seen to fail counts, whatever the site file hopes: of file and proof the worse one is believed.
2. What was seen to work turns "unknown" into "yes", and nothing else: a "no" of the site file stays.
3. What was seen to work on one firmware is unknown on another; what was seen to fail still counts.
4. A station that does not fall back when its link is cut does not hold its fail-safe, so it counts as one that forgets.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime

from loadmgr.model.ids import StationId
from loadmgr.model.topology import Station, Trust, Trusted
from loadmgr.model.units import require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class StationProof:
    """The results of trying out one station; ``UNKNOWN`` is what was not tried, or told nothing.

    Parameters
    ----------
    at : datetime
    vendor, model, firmware : str
        What it said of itself then.
    operator : str
        Who was present.
    keeps_profiles : Trust
        Its profiles were in force after a reboot and after its power was cut.
    falls_back : Trust
        With the link cut it left its lease for its fail-safe when the lease ended.
    zero_ok : Trust
        A limit of 0 A paused its vehicle, and the transaction went on afterwards.
    keeps_clock : Trust
        Its clock was right after its power was cut, before it was told the time.
    recurring_ok : Trust
        It took a schedule that recurs daily, and followed it.
    starts_offline : Trust
        It starts transactions without a link.
    settle_s, clock_offset_s : float, optional
        How long its vehicle took to follow a lower limit, and how far its clock was off [s].
    """

    station: StationId
    at: datetime
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    operator: str = ""
    keeps_profiles: Trust = Trust.UNKNOWN
    falls_back: Trust = Trust.UNKNOWN
    zero_ok: Trust = Trust.UNKNOWN
    keeps_clock: Trust = Trust.UNKNOWN
    recurring_ok: Trust = Trust.UNKNOWN
    starts_offline: Trust = Trust.UNKNOWN
    settle_s: float | None = None
    clock_offset_s: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", require_utc(self.at, name="at"))

    @property
    def grounds(self) -> str:
        """When and on what it was proved, in words."""
        return f"proved on {self.at:%Y-%m-%d}, firmware {self.firmware or 'unknown'}"


def with_proof(station: Station, proof: StationProof | None) -> Station:
    """Return a station with what was proved of it."""
    if proof is None:
        return station
    said, tried = (
        _trusted(station),
        replace(_trusted(proof), keeps_profiles=_worse(proof.keeps_profiles, proof.falls_back)),
    )
    return replace(
        _trusting(station, _both(_known, said, tried)),
        grounds=proof.grounds,
        proved_firmware=proof.firmware,
        unproved=_both(_failed, said, tried),
    )


def on_firmware(station: Station, firmware: str | None) -> Station:
    """Return a station as far as it is known on the firmware that it runs; ``None`` or empty where it said none."""
    if station.unproved is None or not firmware or not station.proved_firmware or firmware == station.proved_firmware:
        return station
    return replace(_trusting(station, station.unproved), grounds="", proved_firmware="", unproved=None)


def _trusted(known: Station | StationProof) -> Trusted:
    return Trusted(
        keeps_profiles=known.keeps_profiles,
        zero_ok=known.zero_ok,
        keeps_clock=known.keeps_clock,
        recurring_ok=known.recurring_ok,
        starts_offline=known.starts_offline,
    )


def _trusting(station: Station, trusted: Trusted) -> Station:
    return replace(
        station,
        keeps_profiles=trusted.keeps_profiles,
        zero_ok=trusted.zero_ok,
        keeps_clock=trusted.keeps_clock,
        recurring_ok=trusted.recurring_ok,
        starts_offline=trusted.starts_offline,
    )


def _both(of: Callable[[Trust, Trust], Trust], said: Trusted, tried: Trusted) -> Trusted:
    return Trusted(**{f.name: of(getattr(said, f.name), getattr(tried, f.name)) for f in fields(Trusted)})


def _failed(said: Trust, tried: Trust) -> Trust:
    return Trust.NO if tried is Trust.NO else said


def _known(said: Trust, tried: Trust) -> Trust:
    if Trust.NO in (said, tried):
        return Trust.NO
    return Trust.YES if Trust.YES in (said, tried) else Trust.UNKNOWN


def _worse(one: Trust, other: Trust) -> Trust:
    if Trust.NO in (one, other):
        return Trust.NO
    return Trust.YES if (one, other) == (Trust.YES, Trust.YES) else Trust.UNKNOWN
