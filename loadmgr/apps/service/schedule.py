"""``POST /v1/schedule``: a fresh controller is told what was posted, asked once, and its answer written out.

Rules
-----
1. Nothing is computed here that the controller does not compute: what is returned is what it would send.
2. An answer always comes within the budget: what is not ready is made anew by water-filling, and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from loadmgr.apps.process.settings import control_settings
from loadmgr.apps.service.facts import Facts
from loadmgr.apps.service.snapshot import ScheduleRequest
from loadmgr.bridge import to_ocpp
from loadmgr.control.alarm import Alarm
from loadmgr.control.command import Command
from loadmgr.control.controller import SiteController
from loadmgr.control.decision import CircuitView, Decision, EvseView, SiteView
from loadmgr.control.handed_over import ProfilesReported, VehicleKnown
from loadmgr.control.settings import ControlSettings
from loadmgr.model.ids import StationId
from loadmgr.model.profile import OcppVersion
from loadmgr.model.topology import Site
from loadmgr.site_file import SiteFile

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What a controller answered to a snapshot."""

    site: Site
    decision: Decision
    view: SiteView
    method: str


def settings_of(site_file: SiteFile, request: ScheduleRequest, *, filled: bool) -> ControlSettings:
    """Return the settings of the controller that answers a request; ``filled`` is without a linear program."""
    settings = control_settings(site_file)
    options = replace(settings.allocation, method="fill" if filled else "program")
    return replace(settings, allocation=options if request.policy is None else replace(options, policy=request.policy))


def run_schedule(site_file: SiteFile, facts: Facts, *, settings: ControlSettings) -> Schedule:
    """Return what a controller that knows the facts would do now."""
    controller = SiteController(site_file.site, site_file.tariff, settings=settings)
    told(controller, facts)
    decision = controller.decide(facts.at)
    filled = settings.allocation.method == "fill"
    return Schedule(
        site=site_file.site,
        decision=decision,
        view=controller.view(),
        method="water-filling" if filled else "linear program",
    )


def told(controller: SiteController, facts: Facts) -> None:
    """Tell a controller the facts of a snapshot."""
    for observation in facts.before:
        controller.observe(observation)
    for held in facts.holding:
        if isinstance(held, ProfilesReported):
            controller.observe(held)
        else:
            installed = controller.standing_profiles(held)
            controller.observe(ProfilesReported(at=facts.at, station=held, installed=installed))
    for observation in facts.after:
        controller.observe(observation)


def document(schedule: Schedule, facts: Facts, *, late: bool, dry_run: bool) -> Json:
    """Return an answer as values that orjson writes; setpoints, which are most of it, are text already."""
    decision = schedule.decision
    commands = [command_json(c, schedule.site, facts.versions[c.station]) for c in decision.commands]
    form = _setpoints_form(schedule.view.plan_times)
    profiles = {c["evse"]: c for c in commands if c["action"] == "SetChargingProfile" and c["evse"] is not None}
    return {
        "site": schedule.site.name,
        "at": _time(decision.at),
        "next_call_at": _time(decision.next_due),
        "method": schedule.method,
        "budget_exceeded": late,
        "dry_run": dry_run,
        "commands": commands,
        "evses": [evse_json(view, profiles.get(view.evse), facts.versions, form=form) for view in schedule.view.evses],
        "circuits": [circuit_json(view) for view in schedule.view.circuits],
        "alarms": alarms_json(schedule.view.alarms),
    }


def command_json(command: Command, site: Site, version: OcppVersion) -> Json:
    """Return a command as the message that goes on the wire."""
    action, payload = to_ocpp.request(command, version=version)
    number = getattr(command, "number", None)
    evse = next((e.id for e in site.evses_of(command.station) if e.number == number), None)
    return {
        "id": command.id,
        "station": command.station,
        "evse": evse,
        "ocpp_version": version.value,
        "action": action,
        "payload": payload,
        "urgency": command.urgency.name.lower(),
        "reason": command.reason,
    }


def evse_json(view: EvseView, command: Json | None, versions: dict[StationId, OcppVersion], *, form: str) -> Json:
    """Return an EVSE as it stands, with the profile that is to be set on it now, and its setpoints in a form."""
    version = versions.get(view.station)
    session = view.session
    out: Json = {
        "id": view.evse,
        "station": view.station,
        "number": view.number,
        "ocpp_version": None if version is None else version.value,
        "standing": view.standing.value,
        "setpoint_a": view.setpoint_a,
        "held_a": view.held_a,
        "assumed_a": list(view.assumed_a),
        "reason": view.reason,
        "set_charging_profile": None if command is None else command["payload"],
        "setpoints": orjson.Fragment(form % view.plan_a if view.plan_a else "[]"),
        "session": None,
        "memory": None if view.known is None else memory_json(view.known),
    }
    if session is not None:
        wanted = session.wanted_wh
        out["session"] = {
            "transaction_id": session.transaction,
            "departure": None if session.departure is None else _time(session.departure),
            "wanted_wh": wanted,
            "delivered_wh": session.delivered_wh,
            "expected_wh": session.expected_wh,
            "shortfall_wh": None if wanted is None else max(0.0, wanted - session.expected_wh),
            "full_by": None if session.full_by is None else _time(session.full_by),
        }
    return out


def memory_json(known: VehicleKnown) -> Json:
    """Return what was found out about a session, for the request after this."""
    return {
        "phases": None if known.phases is None else list(known.phases),
        "accepts_a": known.accepts_a,
        "accepts_since": None if known.accepts_since is None else _time(known.accepts_since),
        "told": known.told,
        "on_since": None if known.on_since is None else _time(known.on_since),
        "off_since": None if known.off_since is None else _time(known.off_since),
    }


def _setpoints_form(starts: Sequence[datetime]) -> str:
    """Return the setpoints of an EVSE as JSON with a place for each current: every EVSE has the same instants."""
    return "[" + ",".join(f'{{"start":"{_time(start)}","current_a":%r}}' for start in starts) + "]"


def circuit_json(view: CircuitView) -> Json:
    """Return a circuit as it stands, per phase."""
    return {
        "id": view.circuit,
        "limit_a": list(view.limit_a),
        "building_a": list(view.building_a),
        "assumed_a": list(view.assumed_a),
        "measured_a": None if view.measured_a is None else list(view.measured_a),
    }


def alarms_json(alarms: Sequence[Alarm]) -> list[Json]:
    """Return alarms, the worst first."""
    return [
        {
            "kind": a.kind,
            "subject": a.subject,
            "severity": a.severity.name.lower(),
            "cause": a.cause,
            "advice": a.advice,
            "since": _time(a.since),
        }
        for a in sorted(alarms, key=lambda a: (-a.severity, a.kind, a.subject))
    ]


def _time(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")
