"""Results as tidy pandas frames: one observation a row, units in the names of columns, times with zone."""

import dataclasses
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from loadmgr.model.bill import Bill
from loadmgr.sim.run import Simulation

if TYPE_CHECKING:
    import pandas as pd


def load_frame(simulation: Simulation) -> "pd.DataFrame":
    """Return the load of the site in each step.

    Returns
    -------
    DataFrame
        Index ``start`` in the site's zone; columns ``charging_w``, ``battery_w`` (+ charges), ``background_w``,
        ``uncontrolled_w``, ``site_w``.
    """
    import pandas as pd

    outcome = simulation.outcome
    frame = pd.DataFrame(
        {
            "charging_w": outcome.charging_w,
            "battery_w": outcome.battery_w,
            "background_w": outcome.background_w,
            "uncontrolled_w": outcome.uncontrolled_w,
        },
        index=_starts(simulation),
    )
    return frame.assign(site_w=frame["charging_w"] + frame["battery_w"] + frame["background_w"])


def evse_frame(simulation: Simulation) -> "pd.DataFrame":
    """Return what each EVSE delivered in each step: rows ``start``, ``evse``, ``energy_wh``, ``power_w``."""
    import pandas as pd

    starts = _starts(simulation)
    evses = [evse.id for evse in simulation.outcome.plan.site.evses]
    hours = np.array(simulation.outcome.grid.hours)
    return pd.DataFrame(
        {
            "start": starts.repeat(len(evses)),
            "evse": evses * len(starts),
            "energy_wh": simulation.energy_wh.T.ravel(),
            "power_w": (simulation.energy_wh / hours).T.ravel(),
        }
    )


def session_frame(simulation: Simulation) -> "pd.DataFrame":
    """Return one row for each session: what was asked, what came of it, and its promise."""
    import pandas as pd

    frame = pd.DataFrame(simulation.outcome.session_rows())
    zone = simulation.outcome.plan.site.time_zone
    for column in ("arrival", "departure"):
        if column in frame:
            frame[column] = pd.to_datetime(frame[column], utc=True).dt.tz_convert(zone)
    return frame


def excursion_frame(simulation: Simulation) -> "pd.DataFrame":
    """Return one row for each time that a circuit carried too much."""
    import pandas as pd

    rows = [excursion.row() for excursion in simulation.outcome.excursions]
    columns = ["circuit", "phase", "from", "to", "seconds", "peak_a", "limit_a", "peak_w", "limit_w", "cause"]
    return pd.DataFrame(rows, columns=[c for c in columns if not rows or any(c in row for row in rows)])


def price_frame(simulation: Simulation) -> "pd.DataFrame":
    """Return the all-in price of import in each step: index ``start``, column ``price_per_kwh``."""
    import pandas as pd

    from loadmgr.model.tariff import prices

    values = prices(simulation.tariff, simulation.outcome.grid)
    return pd.DataFrame({"price_per_kwh": values}, index=_starts(simulation))


def bill_frame(bill: Bill) -> "pd.DataFrame":
    """Return a bill as a table: a row for each line, quantity times price is amount, and the sum below."""
    import pandas as pd

    rows = [dataclasses.asdict(line) for line in bill.lines]
    total = {"kind": "", "month": "", "name": "total", "unit": "", "amount": bill.total}
    return pd.DataFrame([*rows, total]).rename(columns={"amount": f"amount_{bill.currency.lower()}"}).round(4)


def comparison_frame(simulations: list[Simulation]) -> "pd.DataFrame":
    """Return the figures of several simulations side by side: one row for each, by strategy."""
    import pandas as pd

    rows = [{"strategy": s.strategy, **s.report().figures()} for s in simulations]
    return pd.DataFrame(rows).drop(columns=["versions"]).set_index("strategy")


def _starts(simulation: Simulation) -> "pd.DatetimeIndex":
    import pandas as pd

    zone = ZoneInfo(simulation.outcome.plan.site.time_zone)
    return pd.DatetimeIndex([t.astimezone(zone) for t in simulation.outcome.grid.times[:-1]], name="start")
