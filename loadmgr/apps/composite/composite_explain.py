"""``loadmgr composite --explain``: each period, its limit, and the profile that decides it."""

from datetime import timedelta

from rich.console import Console
from rich.table import Table

from loadmgr.apps.composite.composite_run import Outcome
from loadmgr.bridge.profile_json import purpose_word
from loadmgr.composite.answer import CompositeSchedule, phase_count
from loadmgr.composite.compiled import Record
from loadmgr.model.profile import OcppVersion, RateUnit, SchedulePeriod

_CLOCK = "%Y-%m-%d %H:%M:%S"


def print_explanation(outcome: Outcome) -> None:
    """Print what was refused and why, then a table for each composite schedule."""
    console = Console(width=None if Console().is_terminal else 140)
    for number, result in enumerate(outcome.results, start=1):
        if result.get("status") == "Rejected":
            why = f"{result['field']}: {result['detail']} ({result['requirement']})"
            console.print(f"operation {number}: Rejected, {result['reason']}: {why}", markup=False, highlight=False)
    for schedule in outcome.schedules:
        console.print(_table(schedule, outcome.store.settings.version))


def _table(schedule: CompositeSchedule, version: OcppVersion) -> Table:
    where = "the station" if schedule.evse_id == 0 else f"EVSE {schedule.evse_id}"
    unit = schedule.unit.value
    table = Table(title=f"Composite schedule of {where}", title_justify="left")
    table.add_column("from (UTC)")
    table.add_column("until")
    table.add_column(f"limit [{unit}{' per phase' if schedule.unit is RateUnit.A else ''}]", justify="right")
    table.add_column("phases", justify="right")
    table.add_column("decided by")
    ends = [row[0] for row in schedule.rows[1:]] + [schedule.duration_s]
    told = schedule.rich or [
        SchedulePeriod(start_s=start_s, limit=limit, phases=phase_count(code)) for start_s, limit, code in schedule.rows
    ]
    for period, by, end_s in zip(told, schedule.deciders, ends, strict=True):
        table.add_row(
            (schedule.start + timedelta(seconds=period.start_s)).strftime(_CLOCK),
            (schedule.start + timedelta(seconds=end_s)).strftime(_CLOCK),
            _limit(period),
            str(period.phases or ""),
            ", ".join(dict.fromkeys(_decider(record, version) for record in by)) or "no profile: the station itself",
        )
    return table


def _limit(period: SchedulePeriod) -> str:
    """Return the limit of a period, of each phase where they differ, and what is to be followed within it."""
    limits = [f"{v:.1f}" for v in (period.limit, period.limit_l2, period.limit_l3) if v is not None]
    words = "/".join(limits) or "no limit"
    more = {"setpoint": period.setpoint, "discharge limit": period.discharge_limit}
    return "\n".join([words, *(f"{name} {value:.1f}" for name, value in more.items() if value is not None)])


def _decider(record: Record, version: OcppVersion) -> str:
    _, _, owner, period = record
    profile, unit = owner.profile, owner.schedule.unit.value
    if owner.order == 0:
        return "the vehicle's own schedule"
    limits = "/".join(f"{v:g}" for v in (period.limit, period.limit_l2, period.limit_l3) if v is not None)
    limit = f"{limits} {unit}" if limits else "no limit of its own"
    purpose = purpose_word(profile.purpose, version)
    return f"{purpose} level {profile.stack_level}, profile {profile.profile_id} ({limit})"
