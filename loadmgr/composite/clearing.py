"""What ClearChargingProfile removes."""

from dataclasses import dataclass

from loadmgr.composite.compiled import Compiled
from loadmgr.model.ids import ProfileId
from loadmgr.model.profile import OcppVersion, ProfilePurpose


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearCriteria:
    """What ClearChargingProfile selects: the id alone if it is given, else all that match every given field."""

    profile_id: ProfileId | None = None
    evse_id: int | None = None
    purpose: ProfilePurpose | None = None
    stack_level: int | None = None


def matches(compiled: Compiled, criteria: ClearCriteria, version: OcppVersion) -> bool:
    """Return whether ClearChargingProfile removes a profile.

    In 2.x external constraints, in 2.1 also LocalGeneration, are never cleared (K10.FR.03, K10.FR.08).
    """
    profile = compiled.profile
    if version is not OcppVersion.V16 and profile.purpose is ProfilePurpose.EXTERNAL_CONSTRAINTS:
        return False
    if version is OcppVersion.V21 and profile.purpose is ProfilePurpose.LOCAL_GENERATION:
        return False
    if criteria.profile_id is not None:
        return profile.profile_id == criteria.profile_id  # only the id counts (1.6 errata 3.25)
    return (
        criteria.evse_id in (None, compiled.evse_id)
        and criteria.purpose in (None, profile.purpose)
        and criteria.stack_level in (None, profile.stack_level)
    )
