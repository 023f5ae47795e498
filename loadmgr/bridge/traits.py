"""What the link knows of a station's model, in the words of the controller."""

from datetime import datetime

from loadmgr.control.traits import PauseMode, StationTraits
from loadmgr.model.ids import StationId
from loadmgr.model.profile import ProfileKind, RateUnit
from ocpp_link.station_profile import StationProfile, profile_from


def traits_of(profile: StationProfile, *, station: StationId, at: datetime) -> StationTraits:
    """Return what is known of a station's model as an observation.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> known = StationProfile(rate_units=("W",), pause_mode="remote_stop", zero_ok=False)
    >>> traits = traits_of(known, station=StationId("S1"), at=datetime(2024, 1, 1, tzinfo=UTC))
    >>> traits.pause_mode, traits.zero_ok
    (<PauseMode.REMOTE_STOP: 'remote_stop'>, False)
    """
    units = profile.rate_units
    return StationTraits(
        at=at,
        station=station,
        rate_units=None if units is None else frozenset(RateUnit(unit) for unit in units),
        kind=None if profile.profile_kind is None else ProfileKind(profile.profile_kind),
        stack_level=profile.stack_level,
        max_periods=profile.max_periods,
        takes_tx=profile.tx_profile,
        takes_tx_default=profile.tx_default_profile,
        takes_maximum=profile.station_max_profile,
        zero_ok=profile.zero_ok,
        pause_mode=None if profile.pause_mode is None else PauseMode(profile.pause_mode),
        change_availability=profile.change_availability,
        keeps_durations=profile.keeps_durations,
        whole_limits=profile.integer_limit,
        max_profiles=profile.max_profiles,
        switches_phases=None if profile.phase_switching is None else profile.phase_switching == "live",
    )


def profile_of(traits: StationTraits) -> StationProfile:
    """Return what the controller learnt of a station in the words of the link; the reverse of `traits_of`.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> at = datetime(2024, 1, 1, tzinfo=UTC)
    >>> profile_of(StationTraits(at=at, station=StationId("S1"), stack_level=2, takes_tx=False)).known()
    {'tx_profile': False, 'stack_level': 2}
    """
    units, kind, mode = traits.rate_units, traits.kind, traits.pause_mode
    fields = {
        "rate_units": None if units is None else sorted(unit.value for unit in units),
        "max_periods": traits.max_periods,
        "station_max_profile": traits.takes_maximum,
        "tx_default_profile": traits.takes_tx_default,
        "tx_profile": traits.takes_tx,
        "keeps_durations": traits.keeps_durations,
        "profile_kind": None if kind is None else kind.value,
        "stack_level": traits.stack_level,
        "pause_mode": None if mode is None else mode.value,
        "zero_ok": traits.zero_ok,
        "integer_limit": traits.whole_limits,
        "change_availability": traits.change_availability,
    }
    return profile_from({name: value for name, value in fields.items() if value is not None})
