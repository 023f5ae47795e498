"""A profile store's snapshot as JSON text and back: what a station writes to its flash."""

import json

from loadmgr.bridge.fields import Fields, time_text
from loadmgr.bridge.profile_json import profile_from_json, profile_to_json
from loadmgr.composite.snapshot import DrawnDelays, InstalledProfile, StoreSnapshot
from loadmgr.composite.transaction import NeedsTold, StationTransaction
from loadmgr.errors import InputError
from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import OcppVersion

_VERSIONS = {version.value: version for version in OcppVersion}
_NEEDS = {needs.value: needs for needs in NeedsTold}


def snapshot_to_json(snapshot: StoreSnapshot) -> str:
    """Return ``snapshot`` as JSON text."""
    version = snapshot.version
    data = {
        "ocpp_version": version.value,
        "profiles": [_installed_json(p, version) for p in snapshot.profiles],
        "pending": [_installed_json(p, version) for p in snapshot.pending],
        "transactions": [_transaction_json(t) for t in snapshot.transactions],
        "priority_evses": list(snapshot.priority_evses),
        "drawn": [{"evse_id": d.evse_id, "position": d.position, "delays_s": list(d.delays_s)} for d in snapshot.drawn],
        "offline_since": None if snapshot.offline_since is None else time_text(snapshot.offline_since),
    }
    return json.dumps(data, allow_nan=False)


def snapshot_from_json(text: str) -> StoreSnapshot:
    """Return the snapshot that ``text`` holds.

    Raises
    ------
    InputError
        If it holds none; the message names the place.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InputError(f"snapshot: not JSON: {error}") from None
    fields = Fields(data, "snapshot")
    version = fields.needed_choice("ocpp_version", _VERSIONS)
    snapshot = StoreSnapshot(
        version=version,
        profiles=_installed(fields, "profiles", version),
        pending=_installed(fields, "pending", version),
        transactions=tuple(
            _transaction(Fields(item, fields.at(f"transactions[{i}]")))
            for i, item in enumerate(fields.items("transactions") or [])
        ),
        priority_evses=fields.integers("priority_evses"),
        drawn=tuple(
            _drawn(Fields(item, fields.at(f"drawn[{i}]"))) for i, item in enumerate(fields.items("drawn") or [])
        ),
        offline_since=fields.time("offline_since", zone_needed=True),
    )
    fields.close()
    return snapshot


def _installed_json(installed: InstalledProfile, version: OcppVersion) -> dict[str, object]:
    return {"evse_id": installed.evse_id, "profile": profile_to_json(installed.profile, version)}


def _installed(fields: Fields, key: str, version: OcppVersion) -> tuple[InstalledProfile, ...]:
    out = []
    for index, item in enumerate(fields.items(key) or []):
        inner = Fields(item, fields.at(f"{key}[{index}]"))
        profile = profile_from_json(inner.needed("profile"), version, place=inner.at("profile"))
        out.append(InstalledProfile(evse_id=inner.needed_integer("evse_id"), profile=profile))
        inner.close()
    return tuple(out)


def _transaction_json(transaction: StationTransaction) -> dict[str, object]:
    closed = transaction.power_path_closed_at
    return {
        "evse_id": transaction.evse_id,
        "id": transaction.transaction_id,
        "start": time_text(transaction.started_at),
        "power_path_closed": None if closed is None else time_text(closed),
        "needs": None if transaction.needs is None else transaction.needs.value,
    }


def _transaction(fields: Fields) -> StationTransaction:
    fields.needed("id")
    fields.needed("start")
    started_at = fields.time("start", zone_needed=True)
    assert started_at is not None
    transaction = StationTransaction(
        evse_id=fields.needed_integer("evse_id", minimum=1),
        transaction_id=TransactionId(fields.text("id") or ""),
        started_at=started_at,
        power_path_closed_at=fields.time("power_path_closed", zone_needed=True),
        needs=fields.choice("needs", _NEEDS),
    )
    fields.close()
    return transaction


def _drawn(fields: Fields) -> DrawnDelays:
    drawn = DrawnDelays(
        evse_id=fields.needed_integer("evse_id", minimum=1),
        position=fields.needed_integer("position", minimum=0),
        delays_s=fields.integers("delays_s"),
    )
    fields.close()
    return drawn
