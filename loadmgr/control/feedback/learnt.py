"""What trying has shown of a station: the forms of a limit that it was seen to take, where the usual ones failed.

Rule: only what worked is knowledge. A refusal alone may have had other reasons, and what is usual needs no remembering.
"""

from datetime import datetime
from itertools import chain

from loadmgr.control.safety.holding import FailSafeStage
from loadmgr.control.safety.rung import own_form
from loadmgr.control.sending.profiles import stack_level
from loadmgr.control.state import EvseRecord, SiteState, StationRecord
from loadmgr.control.traits import StationTraits
from loadmgr.model.ids import StationId
from loadmgr.model.profile import ChargingProfile, ProfileKind, ProfilePurpose


def learnt_traits(state: SiteState, station: StationId, *, at: datetime) -> StationTraits:
    """Return what was learnt of a station beside what was known; nothing of one that left the site."""
    record = state.stations.get(station)
    if record is None:
        return StationTraits(at=at, station=station)
    evses = [state.evses[evse.id] for evse in state.site.evses_of(station)]
    proven = [each for each in evses if _worked(each, record)]
    purposes = {each.form.purpose for each in proven}
    units = frozenset(each.form.unit for each in proven if each.form.unit is not None)
    known = record.traits or StationTraits(at=at, station=station)
    return StationTraits(
        at=at,
        station=station,
        rate_units=units if len(units) == 1 and known.rate_units is None else None,
        kind=_kind(record, evses, proven) if known.kind is None else None,
        stack_level=_stack_level(record, evses) if known.stack_level is None else None,
        takes_tx=False if purposes - {ProfilePurpose.TX} and known.takes_tx is None else None,
        takes_tx_default=(
            False if ProfilePurpose.CHARGE_POINT_MAX in purposes and known.takes_tx_default is None else None
        ),
    )


def _worked(record: EvseRecord, station: StationRecord) -> bool:
    """Return whether limits are sent in another form than usual, and followed."""
    usual = record.form == own_form(station.station)
    return not usual and record.escalation is None and record.obedience.disobeying_since is None


def _kind(record: StationRecord, evses: list[EvseRecord], proven: list[EvseRecord]) -> ProfileKind | None:
    kinds = {each.form.kind for each in proven if each.form.kind is not None}
    if len(kinds) == 1:
        return kinds.pop()
    leases = (each.holding.certain.values() for each in evses)
    relative = any(each.profile.purpose is ProfilePurpose.TX and _is_relative(each.profile) for each in chain(*leases))
    return ProfileKind.RELATIVE if record.lease_form % 2 == 1 and relative else None


def _is_relative(profile: ChargingProfile) -> bool:
    return profile.kind is ProfileKind.RELATIVE


def _stack_level(record: StationRecord, evses: list[EvseRecord]) -> int | None:
    """Return the level that was found by trying, once a fail-safe was taken on it."""
    said = record.capabilities is not None and record.capabilities.max_stack_level is not None
    taken = any(each.holding.stage >= FailSafeStage.ACKNOWLEDGED for each in evses)
    return stack_level(record) if taken and not said and record.failsafe_form > 1 else None
