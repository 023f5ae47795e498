"""The status of a running site for a terminal: what a person wants first, first."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadmgr.apps.upstream.csms_watch import csms_sentence


def show_status(status: dict[str, Any], console: Console | None = None) -> None:
    """Print a status as `loadmgr.apps.process.status.site_status` gives it."""
    out = console or Console()
    zone = ZoneInfo(status["site"]["time_zone"])
    controller = status["controller"]
    out.print(Text(status["site"]["name"], style="bold"), f" since {_day(controller['since'], zone)}", end="")
    if controller["remembers_until"] is not None:
        out.print(", remembers what was before", end="")
    connected = controller["connected"]
    out.print(f", {connected} station{'' if connected == 1 else 's'} connected")
    if status["csms"] is not None:
        out.print(csms_sentence(status["csms"]))
    if "evses" not in status:
        out.print("nothing was decided yet")
        return
    _alarms(out, status["alarms"], zone)
    out.print(_circuits(status["circuits"]))
    _limits(out, status["limits"], zone)
    out.print(_evses(status["evses"]))
    if status["batteries"]:
        out.print(_batteries(status["batteries"]))
    out.print(_stations(status["stations"], zone))
    _ways(out, status["stations"])


def show_explanation(found: dict[str, Any], console: Console | None = None) -> None:
    """Print what is known of one EVSE."""
    out = console or Console()
    zone = ZoneInfo(found["site"]["time_zone"])
    evse, session = found["evse"], found["evse"]["session"]
    out.print(Text.assemble((evse["evse"], "bold"), f" on {evse['station']}: {evse['reason']}"), soft_wrap=True)
    out.print(
        f"standing: {evse['standing']}; holds at most {evse['held_a']:g} A now, counts with {_amps(evse['assumed_a'])}"
    )
    if evse["measured_a"] is not None:
        out.print(f"draws {_amps(evse['measured_a'])}")
    if session is not None:
        out.print(_session(session, zone))
    ahead = _plan(zip(found["plan_times"], evse["plan_a"], strict=False), zone)  # without a plan there are no setpoints
    if ahead:
        out.print(f"plan: {ahead}", soft_wrap=True)
    out.print(_circuits(found["circuits"]))
    _limits(out, found["limits"], zone)
    _alarms(out, found["alarms"], zone)


def _session(session: dict[str, Any], zone: ZoneInfo) -> str:
    wanted = "" if session["wanted_wh"] is None else f" of {session['wanted_wh'] / 1000:.1f} kWh"
    leaves = "" if session["departure"] is None else f", leaves {_day(session['departure'], zone)}"
    who = "" if session["source"] == "default" else f" (says {session['source']})"
    return (
        f"session {session['transaction']} of {session['id_token'] or 'nobody known'} since "
        f"{_day(session['started'], zone)}: {session['delivered_wh'] / 1000:.2f}{wanted or ' kWh'}, "
        f"{session['expected_wh'] / 1000:.1f} kWh expected{leaves}{who}"
    )


def _plan(plan: Iterable[tuple[str, float]], zone: ZoneInfo) -> str:
    """Return the changes of a plan: the instants at which its current is another one."""
    out: list[str] = []
    before = None
    for when, current in plan:
        if current != before:
            out.append(f"{datetime.fromisoformat(when).astimezone(zone):%H:%M} {current:g} A")
            before = current
    return ", ".join(out[:8]) + (", ..." if len(out) > 8 else "")


def _alarms(out: Console, alarms: list[dict[str, Any]], zone: ZoneInfo) -> None:
    if not alarms:
        out.print(Text("no alarms", style="green"))
    for alarm in alarms:
        style = {"danger": "bold red", "warning": "yellow"}.get(alarm["severity"], "")
        since = f" since {_day(alarm['since'], zone)}" if "since" in alarm else ""
        often = f", {alarm['count']} times" if alarm.get("count", 1) > 1 else ""
        out.print(Text(f"! {alarm['cause']}{since}{often}", style=style), soft_wrap=True)
        out.print(f"  {alarm['advice']}", soft_wrap=True)


def _circuits(circuits: list[dict[str, Any]]) -> Table:
    table = _table("circuit", "limit", "measured", "must be assumed", "of it others")
    for each in circuits:
        measured = "-" if each["measured_a"] is None else _amps(each["measured_a"])
        table.add_row(
            each["circuit"], _amps(each["limit_a"]), measured, _amps(each["assumed_a"]), _amps(each["building_a"])
        )
    return table


def _limits(out: Console, limits: list[dict[str, Any]], zone: ZoneInfo) -> None:
    for each in limits:
        if each["limit_a"] is None and each["limit_w"] is None:
            continue
        much = _amps(each["limit_a"]) if each["limit_a"] is not None else f"{each['limit_w']:g} W"
        whose = " of vehicles" if each["vehicles_only"] else ""
        state = "silent, so the limit for its silence holds" if each["silent"] else "told"
        obeyed = "not yet seen obeyed" if each["obeyed_at"] is None else f"obeyed {_day(each['obeyed_at'], zone)}"
        until = "" if each["until"] is None else f" until {_day(each['until'], zone)}"
        out.print(
            f"limit from outside: {each['source']} on {each['circuit']}: {much}{whose}{until} "
            f"({state} {_day(each['told_at'], zone)}, {obeyed})"
        )


def _evses(evses: list[dict[str, Any]]) -> Table:
    table = _table("EVSE", "state", "draws", "limit", "energy", "why")
    for each in evses:
        session = each["session"]
        energy = "" if session is None else f"{session['delivered_wh'] / 1000:.2f} kWh"
        net_a = None if each["measured_a"] is None else _less(each["measured_a"], each["export_a"])
        draws = "-" if net_a is None else _amps(net_a)
        limit = "-" if each["setpoint_a"] is None else f"{each['setpoint_a'] - each['discharge_a']:g} A"
        table.add_row(each["evse"], each["state"] or "-", draws, limit, energy, each["reason"])
    return table


def _less(drawn_a: Iterable[float], fed_back_a: Iterable[float]) -> list[float | None]:
    return [drawn - back for drawn, back in zip(drawn_a, fed_back_a, strict=True)]


def _batteries(batteries: list[dict[str, Any]]) -> Table:
    table = _table("battery", "told", "does", "holds", "why")
    for each in batteries:
        told = "-" if each["setpoint_w"] is None else f"{each['setpoint_w']} W"
        does = "-" if each["power_w"] is None else f"{each['power_w']:.0f} W"
        ratio = each["state_of_charge_ratio"]
        table.add_row(each["battery"], told, does, "-" if ratio is None else f"{ratio:.0%}", each["reason"])
    return table


def _stations(stations: list[dict[str, Any]], zone: ZoneInfo) -> Table:
    table = _table("station", "link", "model", "obeys", "writes of a day")
    for each in stations:
        link = f"OCPP {each['version']}" if each["connected"] else "never seen" if not each["seen"] else "offline"
        if each["since"] is not None:
            link += f" since {_day(each['since'], zone)}"
        model = " ".join(filter(None, (each["vendor"], each["model"], each["firmware"])))
        table.add_row(each["station"], link, model or "-", _obeys(each["evses"]), _writes(each["writes"]))
    return table


def _ways(out: Console, stations: list[dict[str, Any]]) -> None:
    """Print what is known of the ways of stations, once for those that are alike."""
    alike: dict[str, list[str]] = {}
    for each in stations:
        ways = ", ".join(f"{name} {_word(known['value'])}" for name, known in each["quirks"].items())
        alike.setdefault(ways, []).append(each["station"])
    for ways, names in alike.items():
        if ways:
            out.print(f"known of {', '.join(names)}: {ways}", soft_wrap=True)


def _obeys(evses: list[dict[str, Any]]) -> str:
    words = []
    for each in evses:
        if each["disobeying_since"] is not None:
            tried = "" if each["escalation"] is None else f", tried {each['escalation']}"
            words.append(f"no{tried}")
        else:
            words.append("proven" if each["proven"] else "not yet proven")
        if each["offences"]:
            words[-1] += f" ({each['offences']} offences)"
    return ", ".join(dict.fromkeys(words))


def _writes(writes: list[dict[str, Any]]) -> str:
    own = [w for w in writes if w["evse"] is not None]
    maximum = next(w for w in writes if w["evse"] is None)
    limits = ", ".join(f"{w['written']} of {w['budget']}" for w in own)
    return f"{limits}; maximum {maximum['written']} of {maximum['budget']}"


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _amps(each: list[float | None]) -> str:
    """Return currents of three phases: one number where they are the same."""
    known = ["no limit" if a is None else f"{a:.1f}".removesuffix(".0") for a in each]
    return f"{known[0]} A" if len(set(known)) == 1 else " / ".join(known) + " A"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)


def _day(when: str, zone: ZoneInfo) -> str:
    local = datetime.fromisoformat(when).astimezone(zone)
    return f"{local:%a %H:%M}"
