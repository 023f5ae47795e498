"""Plots for a paper or a meeting. Each draws on an axes that is given, or on a new figure, and returns the axes.

Colours are those of Okabe and Ito, which colour-blind people can tell apart; grey is what nobody controls.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from loadmgr.sim.crowd import FloatArray
from loadmgr.sim.frames import load_frame, price_frame, session_frame
from loadmgr.sim.run import Simulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
GREY = "#9A9A9A"
LIMIT = "#B00020"
INCHES_PER_NAME = 1.3
"""Width of an entry of a legend."""
BELOW_PT = 34.0
"""From the axes down to the legend: what tick labels and the axis label take."""
POINTS_PER_ROW, POINTS_PER_DATE = 9.0, 36.0
"""Least distance of two labels on the axes of EVSEs and of time."""
LONG_DAYS = 4
"""A run that is longer than this is drawn with thinner lines."""


def plot_load(simulation: Simulation, ax: "Axes | None" = None) -> "Axes":
    """Draw the load of the site stacked by EVSE over everything else, against the limit of the grid connection."""
    ax = _axes(ax)
    outcome = simulation.outcome
    frame = load_frame(simulation)
    hours = np.array(outcome.grid.hours)
    power_kw = _held(simulation.energy_wh / hours) / 1000.0
    base_kw = _held(frame["background_w"].to_numpy()) / 1000.0
    when: Any = list(outcome.grid.times)
    thin = _thin(simulation)
    ax.fill_between(when, 0.0, base_kw, step="post", color=GREY, linewidth=0.0, label="everything else")
    below = base_kw.copy()
    order = np.argsort(-power_kw.sum(axis=1), kind="stable")
    for place, row in enumerate(order.tolist()):
        if not power_kw[row].any():
            continue
        above = below + power_kw[row]
        colour = COLOURS[place % (len(COLOURS) - 1)]
        label = "vehicles, by EVSE" if place == 0 else None
        ax.fill_between(when, below, above, step="post", color=colour, linewidth=0.0, alpha=0.85, label=label)
        below = above
    if outcome.battery_wh:
        site_kw = _held(frame["site_w"].to_numpy()) / 1000.0
        ax.step(when, site_kw, where="post", color="black", linewidth=thin * 1.3, label="with the battery")
    uncontrolled_kw = _held(frame["uncontrolled_w"].to_numpy()) / 1000.0 + base_kw
    ax.step(
        when, uncontrolled_kw, where="post", color="black", linewidth=thin * 0.9, linestyle=":", label="uncontrolled"
    )
    limit_kw = _limit_w(simulation)
    if limit_kw is not None:
        ax.axhline(limit_kw / 1000.0, color=LIMIT, linewidth=1.4, label="limit")
    ax.set_ylabel("power [kW]")
    _title(ax, f"{outcome.plan.site.name}: {simulation.strategy.replace('_', ' ')}")
    ax.set_ylim(bottom=min(0.0, float(base_kw.min())))
    _legend(ax)
    _dates(ax, simulation)
    return ax


def plot_heat_map(simulation: Simulation, ax: "Axes | None" = None) -> "Axes":
    """Draw what each EVSE got in each step: a row for each EVSE."""
    ax = _axes(ax)
    outcome = simulation.outcome
    power_kw = simulation.energy_wh / np.array(outcome.grid.hours) / 1000.0
    edges = _mdates().date2num(outcome.grid.times)
    rows = np.arange(len(power_kw) + 1) - 0.5
    shown = np.ma.masked_less_equal(power_kw, 0.0)
    mesh = ax.pcolormesh(edges, rows, shown, cmap="viridis", vmin=0.0, rasterized=True)
    names = [evse.id for evse in outcome.plan.site.evses]
    every = max(1, round(len(names) * POINTS_PER_ROW / (_size_in(ax)[1] * 72.0) + 0.5))
    ax.set_yticks(range(0, len(names), every), names[::every], fontsize="small")
    ax.invert_yaxis()
    _title(ax, f"Who charged when: {simulation.strategy.replace('_', ' ')}")
    if ax.figure is not None:
        ax.figure.colorbar(mesh, ax=ax, label="power [kW]")
    _dates(ax, simulation)
    return ax


def plot_price(simulation: Simulation, ax: "Axes | None" = None) -> "Axes":
    """Draw the price of import, and what vehicles took at it."""
    ax = _axes(ax)
    frame, price = load_frame(simulation), price_frame(simulation)
    when: Any = list(simulation.outcome.grid.times)
    charging_kw, uncontrolled_kw = (_held(frame[name].to_numpy()) / 1000.0 for name in ("charging_w", "uncontrolled_w"))
    ax.fill_between(when, 0.0, charging_kw, step="post", color=COLOURS[4], label="charging")
    ax.step(when, uncontrolled_kw, where="post", color=GREY, linewidth=0.9, label="uncontrolled")
    ax.set_ylabel("charging power [kW]")
    ax.set_ylim(bottom=0.0)
    right = ax.twinx()
    thin = _thin(simulation)
    price_per_kwh = _held(price["price_per_kwh"].to_numpy())
    right.step(when, price_per_kwh, where="post", color=COLOURS[5], linewidth=thin * 1.4, label="price")
    right.set_ylabel(f"price [{simulation.tariff.currency} per kWh]", color=COLOURS[5])
    _legend(ax, right)
    _dates(ax, simulation)
    return ax


def plot_promises(simulation: Simulation, ax: "Axes | None" = None) -> "Axes":
    """Draw what every session asked and got, from the smallest to the largest, by what came of its promise."""
    ax = _axes(ax)
    frame = session_frame(simulation).sort_values("energy_requested_wh", kind="stable").reset_index(drop=True)
    asked_kwh, got_kwh = frame["energy_requested_wh"] / 1000.0, frame["energy_delivered_wh"] / 1000.0
    ax.bar(frame.index, asked_kwh, width=0.9, color="none", edgecolor=GREY, linewidth=0.8, label="asked")
    words = {"kept": COLOURS[2], "broken": COLOURS[5], "lapsed": COLOURS[1], "open": COLOURS[4], "nothing said": GREY}
    promise = frame["promise"].fillna("nothing said")
    for word, colour in words.items():
        chosen = promise == word
        if chosen.any():
            label = "left early" if word == "lapsed" else word
            ax.bar(frame.index[chosen], got_kwh[chosen], width=0.9, color=colour, label=label)
    ax.set_xlabel("sessions, smallest first")
    ax.set_ylabel("energy [kWh]")
    _title(ax, "What came of each session")
    _legend(ax)
    return ax


def plot_duration_curve(simulations: list[Simulation], ax: "Axes | None" = None) -> "Axes":
    """Draw for how much of the time the site's load was above a power, for several simulations."""
    ax = _axes(ax)
    for place, simulation in enumerate(simulations):
        frame = load_frame(simulation)
        hours = np.array(simulation.outcome.grid.hours)
        order = np.argsort(-frame["site_w"].to_numpy(), kind="stable")
        share = np.concatenate([[0.0], np.cumsum(hours[order]) / hours.sum() * 100.0])
        power_kw = frame["site_w"].to_numpy()[order] / 1000.0
        colour, name = COLOURS[place % len(COLOURS)], simulation.strategy.replace("_", " ")
        ax.stairs(power_kw, share, baseline=None, color=colour, linewidth=1.4, label=name)
    limit_w = _limit_w(simulations[0]) if simulations else None
    if limit_w is not None:
        ax.axhline(limit_w / 1000.0, color=LIMIT, linewidth=1.2, label="limit")
    ax.set_xlabel("share of the time [%]")
    ax.set_ylabel("load of the site [kW]")
    ax.set_xlim(0.0, 100.0)
    _legend(ax)
    return ax


def plot_comparison(simulations: list[Simulation], figure: str = "cost", ax: "Axes | None" = None) -> "Axes":
    """Draw one figure of several simulations as bars, one for each strategy; power and energy in thousands."""
    ax = _axes(ax)
    names = [simulation.strategy.replace("_", " ") for simulation in simulations]
    values = [float(simulation.report().figures()[figure]) for simulation in simulations]
    stem, _, unit = figure.rpartition("_")
    if unit in ("w", "wh"):
        values, label = [value / 1000.0 for value in values], f"{stem.replace('_', ' ')} [k{unit.replace('w', 'W')}]"
    else:
        currency = simulations[0].tariff.currency if simulations else ""
        label = f"{figure.replace('_', ' ')} [{currency}]" if figure.startswith("cost") else figure.replace("_", " ")
    colours = [GREY if name == "uncontrolled" else COLOURS[0] for name in names]
    bars = ax.barh(names, values, color=colours)
    shown = [f"{value:,.2f}" if figure.startswith("cost") else _number(value) for value in values]
    ax.bar_label(bars, labels=[f" {text}" for text in shown], fontsize="small")
    ax.invert_yaxis()
    ax.set_xlabel(label)
    ax.margins(x=0.25)
    return ax


WATERFALL = (
    ("lapsed", "left early", COLOURS[1]),
    ("broken", "promise broken", COLOURS[5]),
    ("kept", "within tolerance", COLOURS[2]),
    ("nothing said", "nothing said", GREY),
    ("open", "still charging", COLOURS[4]),
)
"""Why energy that was asked for is missing, in the order of the bars."""


def plot_waterfall(simulation: Simulation, ax: "Axes | None" = None) -> "Axes":
    """Draw how the energy that was asked for comes down to what was delivered, by what became of each promise."""
    ax = _axes(ax)
    frame = session_frame(simulation)
    missing_kwh = (frame["energy_requested_wh"] - frame["energy_delivered_wh"]).clip(lower=0.0) / 1000.0
    by_promise = missing_kwh.groupby(frame["promise"].fillna("nothing said")).sum()
    level_kwh = float(frame["energy_requested_wh"].sum()) / 1000.0
    names, starts, widths, colours = ["asked for"], [0.0], [level_kwh], [COLOURS[0]]
    for promise, name, colour in WATERFALL:
        gone_kwh = float(by_promise.get(promise, 0.0))
        if gone_kwh > 0.0:
            level_kwh -= gone_kwh
            names.append(name)
            starts.append(level_kwh)
            widths.append(gone_kwh)
            colours.append(colour)
    bars = ax.barh([*names, "delivered"], [*widths, level_kwh], left=[*starts, 0.0], color=[*colours, COLOURS[0]])
    ax.bar_label(bars, labels=[f" {width:,.1f}" for width in (*widths, level_kwh)], fontsize="small")
    ax.invert_yaxis()
    ax.set_xlabel("energy [kWh]")
    _title(ax, f"From asked to delivered: {simulation.strategy.replace('_', ' ')}")
    ax.margins(x=0.25)
    return ax


def _axes(ax: "Axes | None") -> "Axes":
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, made = plt.subplots(figsize=(9.0, 4.5), layout="constrained")
    return made


def _limit_w(simulation: Simulation) -> float | None:
    """Return the power at which the grid connection is full on every phase; ``None`` without a limit."""
    site = simulation.outcome.plan.site
    limits = [limit for limit in site.root.limit_a if limit is not None]
    by_current_w = sum(limits) * site.voltage_v if len(limits) == 3 else None
    given = [value for value in (by_current_w, site.root.limit_w) if value is not None]
    return min(given, default=None)


def _held(values: FloatArray) -> FloatArray:
    """Return values of steps with the last one twice, so that it is drawn up to the end of its step."""
    return np.concatenate([values, values[..., -1:]], axis=-1)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:,.4g}"


def _thin(simulation: Simulation) -> float:
    return 1.0 if simulation.outcome.plan.seconds <= LONG_DAYS * 86_400 else 0.5


def _title(ax: "Axes", text: str) -> None:
    ax.set_title(text, fontsize="medium")


def _size_in(ax: "Axes") -> tuple[float, float]:
    """Return the width and height of axes [in]."""
    box, figure = ax.get_position(), ax.get_figure(root=True)
    assert figure is not None
    width_in, height_in = figure.get_size_inches()
    return float(box.width * width_in), float(box.height * height_in)


def _legend(ax: "Axes", *others: "Axes") -> None:
    """Put the legend below the axes, where it hides nothing, in as many columns as there is room for."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    handles, names = ax.get_legend_handles_labels()
    for other in others:
        more, further = other.get_legend_handles_labels()
        handles, names = handles + more, names + further
    ax.legend(
        handles,
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=ax.transAxes + ScaledTranslation(0.0, -BELOW_PT / 72.0, figure.dpi_scale_trans),
        ncols=min(len(names), max(2, int(_size_in(ax)[0] / INCHES_PER_NAME))),
        fontsize="small",
        frameon=False,
    )


def _dates(ax: "Axes", simulation: Simulation) -> None:
    dates, zone = _mdates(), simulation.outcome.plan.site.time_zone
    most = max(4, int(_size_in(ax)[0] * 72.0 / POINTS_PER_DATE))
    locator = dates.AutoDateLocator(tz=zone, minticks=2, maxticks=most)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=zone))
    times = simulation.outcome.grid.times
    ax.set_xlim(*dates.date2num([times[0], times[-1]]))


def _mdates() -> Any:
    import matplotlib.dates

    return matplotlib.dates
