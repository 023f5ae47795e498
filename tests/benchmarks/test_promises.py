"""Promises of the controller and of the program on recorded sessions, against what the same limits allow.

``pytest -n0 -s tests/benchmarks/test_promises.py``; some three minutes, most of them the controller's week.
"""

from dataclasses import replace

import pytest

from loadmgr.apps.simulate_run import question
from loadmgr.sim.run import run_plan
from loadmgr.sim.world_plan import WorldPlan
from loadmgr.site_file import find_site, load_site


def _with_worst_building(plan: WorldPlan) -> WorldPlan:
    """Return a world in which the building always draws the worst that its site file says: what leases allow for."""
    worst_a = {(c.id, load.id): load.worst_case_a for c in plan.site.circuits for load in c.side_loads}
    background = tuple(
        replace(
            load,
            current_a=tuple(
                replace(series, values=(worst_a[load.circuit, load.id][phase],) * len(series.values))
                for phase, series in enumerate(load.current_a)
            ),
        )
        if (load.circuit, load.id) in worst_a
        else load
        for load in plan.background
    )
    return replace(plan, background=background)


@pytest.mark.timeout(1800)
def test_the_controller_keeps_what_the_program_keeps_beside_the_worst_building():
    """The controller may not count on the building to stay below its worst case, so neither may the yardsticks."""
    asked = question(load_site(find_site("garage")), sessions=None, start=None, until=None, seed=0)
    worst = _with_worst_building(asked.plan)
    kept = {}
    for strategy in ("earliest_deadline", "program", "optimum", "controller"):
        plan = asked.plan if strategy == "controller" else worst
        figures = run_plan(plan, asked.tariff, strategy=strategy, options=asked.options).report().figures()
        kept[strategy] = figures["promises_kept"]
        print(f"{strategy:18} {kept[strategy]} of {figures['promises_total']}, {figures['cost']:.2f} EUR")
        assert figures["seconds_above_limit"] == 0.0
    assert kept["controller"] >= kept["program"] - 2  # the budget of writes costs some
    assert kept["program"] >= kept["earliest_deadline"] - 1  # which looks at no price


@pytest.mark.timeout(600)
def test_nearly_every_bus_of_the_depot_leaves_with_what_it_needs():
    asked = question(load_site(find_site("depot")), sessions=None, start=None, until=None, seed=0)
    figures = run_plan(asked.plan, asked.tariff, strategy="program", options=asked.options).report().figures()
    print(f"depot: {figures['promises_kept']} of {figures['promises_total']}, {figures['cost']:.2f} EUR")
    assert figures["promises_kept"] >= figures["promises_total"] - 2
