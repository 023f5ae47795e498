"""How a station is limited: as the site file wants it, or in the one way that the station is known to take.

Rules
-----
1. A station that is limited by its maximum alone leaves the other purposes to somebody else: nothing in them counts.
2. When the way is changed, the new fail-safe is set and read back before anything of the old way is cleared. A leftover
   can but lower what may be drawn, and what may be drawn is reckoned without it from the change on.
3. A station that follows no transaction profiles, ends none, or has no room for them beside the defaults is limited by
   its defaults; one of one EVSE that takes no defaults either (quirk 2), by its maximum.
"""

from collections.abc import Iterable
from dataclasses import replace

from loadmgr.control.safety.holding import FailSafeStage, Holding
from loadmgr.control.safety.rung import LeaseForm, own_form
from loadmgr.control.sending.profiles import FAILSAFE_IDS, LEASE_IDS, MAXIMUM_ID, STACK_LEVELS
from loadmgr.control.state import EvseRecord, SiteState, StationRecord
from loadmgr.model.failsafe import FailSafeStrategy
from loadmgr.model.ids import ProfileId
from loadmgr.model.profile import ProfilePurpose
from loadmgr.model.topology import Evse, LimitBy, Station, Trust


def fresh_evse(evse: Evse, station: Station) -> EvseRecord:
    """Return the record of an EVSE of which nothing is known."""
    form = own_form(station)
    return EvseRecord(evse=evse, holding=Holding(ignored=form.ignored), form=form)


def fresh_station(station: Station, evses: Iterable[Evse]) -> StationRecord:
    """Return the record of a station of which nothing is known; defaults of ours may be on one that others share."""
    shared = station.limit_by is LimitBy.STATION_MAXIMUM
    return StationRecord(station=station, leftovers=_leftovers(station, evses) if shared else ())


def moved_station(known: StationRecord, station: Station, evses: Iterable[Evse]) -> StationRecord:
    """Return what was known of a station as it is to be limited now."""
    if known.station.limit_by is station.limit_by:
        return replace(known, station=station)
    left = _leftovers(station, evses)
    return replace(known, station=station, leftovers=left, maximum_asked=False, usual=None)


def take_own_form(record: EvseRecord, station: Station) -> None:
    """Begin to limit an EVSE in another way; until its fail-safe is proven anew it counts with its maximum."""
    record.form, record.escalation, record.overwritten = own_form(station), None, ()
    holding, left = record.holding, _leftovers(station, (record.evse,))
    holding.ignores(record.form.ignored)
    holding.certain = {key: each for key, each in holding.certain.items() if key not in left}
    holding.doubtful = [each for each in holding.doubtful if each.installed.profile.profile_id not in left]
    holding.stage = FailSafeStage.MISSING
    holding.touched()


def _leftovers(station: Station, evses: Iterable[Evse]) -> tuple[ProfileId, ...]:
    """Return the ids that profiles of this controller have where it limits a station in the other way."""
    bases = (MAXIMUM_ID,) if station.limit_by is LimitBy.TRANSACTION else (LEASE_IDS, FAILSAFE_IDS)
    return tuple(ProfileId(base + evse.number) for evse in evses for base in bases)


def own_ids(evse: Evse) -> frozenset[ProfileId]:
    """Return the ids of every profile that this controller may have on an EVSE, in whatever form."""
    bases = (LEASE_IDS, FAILSAFE_IDS, MAXIMUM_ID)
    return frozenset({ProfileId(MAXIMUM_ID), *(ProfileId(base + evse.number) for base in bases)})


def take_known_form(state: SiteState, station: StationRecord) -> None:
    """Send limits in the purpose that a station follows, where it is known not to follow the usual one."""
    if station.station.limit_by is LimitBy.STATION_MAXIMUM:
        return
    traits, evses = station.traits, state.site.evses_of(station.station.id)
    if traits is not None and traits.takes_tx_default is False:
        if may_limit_by_maximum(state, station):
            limit_by_maximum(state, station)
        return
    follows = traits is None or (traits.takes_tx is not False and traits.keeps_durations is not False)
    if not follows or not has_room(station, 2 * len(evses)):
        _limit_by(state, station, LeaseForm(purpose=ProfilePurpose.TX_DEFAULT))


def may_limit_by_maximum(state: SiteState, station: StationRecord) -> bool:
    """Return whether a station maximum can stand for the fail-safe: of one EVSE, and not where windows take turns."""
    takes = station.traits is None or station.traits.takes_maximum is not False
    alone = len(state.site.evses_of(station.station.id)) == 1
    return takes and alone and state.site.failsafe.strategy is not FailSafeStrategy.TIME_DIVISION


def failsafe_forms(station: StationRecord) -> int:
    """Return how many forms a default profile can have: two kinds on each stack level that may be the right one."""
    known = station.traits is not None and station.traits.stack_level is not None
    said = station.capabilities is not None and station.capabilities.max_stack_level is not None
    return 2 if known or said else 2 * len(STACK_LEVELS)


def limit_by_maximum(state: SiteState, station: StationRecord) -> None:
    """Limit a station by its maximum alone, since it takes no defaults; that is set and proven first."""
    if station.form.whole:
        return
    station.maximum_asked = True
    _limit_by(state, station, LeaseForm(purpose=ProfilePurpose.CHARGE_POINT_MAX))
    _prove_anew(state, station)


def limit_as_usual(state: SiteState, station: StationRecord) -> None:
    """Try defaults again: the station takes no maximum either."""
    station.maximum_asked, station.failsafe_form = False, 0
    _limit_by(state, station, own_form(station.station))
    _prove_anew(state, station)


def pauses_at_zero(station: StationRecord) -> bool:
    """Return whether 0 A may be sent to pause a vehicle: neither was it seen to fail, nor is the model known for it."""
    return station.known.zero_ok is not Trust.NO and (station.traits is None or station.traits.zero_ok is not False)


def has_room(station: StationRecord, profiles: int) -> bool:
    """Return whether a station can hold so many profiles, as far as is known; none at all is no answer (quirk 16)."""
    known = None if station.traits is None else station.traits.max_profiles
    said = None if station.capabilities is None else station.capabilities.max_profiles
    most = said if known is None else known
    return not most or most >= profiles


def _limit_by(state: SiteState, station: StationRecord, form: LeaseForm) -> None:
    if station.form == form:
        return
    station.usual = form
    for evse in state.site.evses_of(station.station.id):
        state.evses[evse.id].form = form
        state.evses[evse.id].holding.ignores(form.ignored)


def _prove_anew(state: SiteState, station: StationRecord) -> None:
    for evse in state.site.evses_of(station.station.id):
        state.evses[evse.id].holding.stage = FailSafeStage.MISSING
        state.evses[evse.id].holding.touched()
