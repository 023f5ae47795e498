"""``loadmgr composite --explain``: each period, its limit, and the profile that decides it."""

from datetime import timedelta

from rich.console import Console
from rich.table import Table

from loadmgr.apps.composite_run import Outcome
from loadmgr.composite.answer import CompositeSchedule, phase_count
from loadmgr.composite.compiled import Record
from loadmgr.model.profile import RateUnit

_CLOCK = "%Y-%m-%d %H:%M:%S"


def print_explanation(outcome: Outcome) -> None:
    """Print what was refused and why, then a table for each composite schedule."""
    console = Console(width=None if Console().is_terminal else 140)
    for number, result in enumerate(outcome.results, start=1):
        if result.get("status") == "Rejected":
            why = f"{result['field']}: {result['detail']} ({result['requirement']})"
            console.print(f"operation {number}: Rejected, {result['reason']}: {why}", markup=False, highlight=False)
    for schedule in outcome.schedules:
        console.print(_table(schedule))


def _table(schedule: CompositeSchedule) -> Table:
    where = "the station" if schedule.evse_id == 0 else f"EVSE {schedule.evse_id}"
    unit = schedule.unit.value
    table = Table(title=f"Composite schedule of {where}", title_justify="left")
    table.add_column("from (UTC)")
    table.add_column("until")
    table.add_column(f"limit [{unit}{' per phase' if schedule.unit is RateUnit.A else ''}]", justify="right")
    table.add_column("phases", justify="right")
    table.add_column("decided by")
    ends = [row[0] for row in schedule.rows[1:]] + [schedule.duration_s]
    for (start_s, limit, code), by, end_s in zip(schedule.rows, schedule.deciders, ends, strict=True):
        table.add_row(
            (schedule.start + timedelta(seconds=start_s)).strftime(_CLOCK),
            (schedule.start + timedelta(seconds=end_s)).strftime(_CLOCK),
            "no limit" if limit is None else f"{limit:.1f}",
            str(phase_count(code) or ""),
            ", ".join(dict.fromkeys(_decider(record) for record in by)) or "no profile: the station itself",
        )
    return table


def _decider(record: Record) -> str:
    _, _, owner, period = record
    profile, unit = owner.profile, owner.schedule.unit.value
    if owner.order == 0:
        return "the vehicle's own schedule"
    limit = "no limit of its own" if period.limit is None else f"{period.limit:g} {unit}"
    return f"{profile.purpose.value} level {profile.stack_level}, profile {profile.profile_id} ({limit})"
