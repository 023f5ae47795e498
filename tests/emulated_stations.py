"""What simulated stations beside a test are, but for what the test is about."""

from typing import Any

from loadmgr.apps.field.station_run import Plan


def stations_plan(url: str, *identities: str, version: str, **changes: Any) -> Plan:
    """Return a plan of stations with one EVSE of 16 A each, whose vehicle comes soon, charges and stays."""
    kept: dict[str, Any] = {
        "evses": 1,
        "max_a": 16.0,
        "phases": 3,
        "plug_after_s": 0.2,
        "stay_s": 3600.0,
        "energy_wh": 20_000.0,
        "meter_interval_s": 1.0,
        "lasting_s": None,
        "messages": (),
        "faults": (),
        "password": None,
        "tell": lambda _: None,
    }
    return Plan(url=url, identities=identities, version=version, **(kept | changes))
