"""From held to passed: what the CSMS set while the way to a station was shut is set on the station, then the way opens.

Until everything is there, what the CSMS sets anew is held too: so nothing overtakes, and nothing older comes after.
"""

import logging

from loadmgr.apps.upstream.held_folder import HeldFolder
from loadmgr.apps.upstream.passed_profiles import PassedProfiles
from ocpp_link.errors import OcppError
from ocpp_link.proxy.profiles import HeldProfile
from ocpp_link.proxy.relay import RelayedStation

log = logging.getLogger(__name__)


async def hand_over(station: RelayedStation, held: HeldFolder, passed: PassedProfiles) -> bool:
    """Set on a station what it is to hold of the CSMS's profiles, and open the way.

    A profile that the station refuses stays held: it limits all the same.

    Returns
    -------
    bool
        False where the station did not answer: to be tried again.
    """
    while station.connected and passed.is_bounded(station.id):
        due = [each for each in held.of(station.id) if passed.is_due(station.id, each)]
        if not due:
            passed.open(station.id)
            log.info("%s: profiles of the CSMS go on to it", station.id)
            return True
        try:
            await _set(station, due[0], passed)
        except OcppError as error:
            log.warning("%s: profile %d of the CSMS stays held: %s", station.id, due[0].id, error)
            return False
    return True  # whoever comes next begins again


async def _set(station: RelayedStation, profile: HeldProfile, passed: PassedProfiles) -> None:
    passed.note(station.id, profile.id)
    written = dict(profile.profile)
    payload = (
        {"connectorId": profile.evse_id, "csChargingProfiles": written}
        if station.version == "1.6"
        else {"evseId": profile.evse_id, "chargingProfile": written}
    )
    answer = await station.call("SetChargingProfile", payload)
    if answer["status"] != "Accepted":
        log.warning("%s: refuses profile %d of the CSMS, which stays held", station.id, profile.id)
    passed.settle(station.id, profile, taken=answer["status"] == "Accepted")
