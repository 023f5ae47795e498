"""What a plan adds up to: power of circuits, batteries, and the bill."""

from datetime import tzinfo

import numpy as np
import numpy.typing as npt

from loadmgr.allocation import Allocation, AllocationProblem
from loadmgr.allocation.problem import NOMINAL_VOLTAGE_V
from loadmgr.allocation.windows import windows

FloatArray = npt.NDArray[np.float64]

_SAME_KW = 0.05


def circuit_rows(problem: AllocationProblem, allocation: Allocation, zone: tzinfo) -> list[tuple[str, ...]]:
    """Return for each circuit limits and highest loads per phase and in all, and when it is fullest."""
    load_a, load_w = _loads(problem, allocation)
    rows: list[tuple[str, ...]] = [("circuit", "limit A", "L1", "L2", "L3", "limit kW", "kW", "fullest at")]
    for index, label in enumerate(problem.circuits.ids):
        limit_a = _limit(problem.circuits.limit_a[index], problem.circuits.limit_a_applies[index])
        applies_w = problem.circuits.limit_w_applies[index]
        limit_kw = f"{problem.circuits.limit_w[index][applies_w].min() / 1000.0:.4g}" if applies_w.any() else "none"
        fullest = int(np.argmax(load_a[index].max(axis=0)))
        peaks = [f"{value:.1f}" for value in load_a[index].max(axis=1)]
        at = f"{problem.grid.times[fullest].astimezone(zone):%H:%M}"
        rows.append((label, limit_a, *peaks, limit_kw, f"{load_w[index].max() / 1000.0:.1f}", at))
    return rows


def _loads(problem: AllocationProblem, allocation: Allocation) -> tuple[FloatArray, FloatArray]:
    """Return what flows through circuits, ``(n_circuit, 3, n_step)`` [A] and ``(n_circuit, n_step)`` [W]."""
    load_a = np.zeros_like(problem.circuits.side_load_a)
    load_w = np.zeros_like(problem.circuits.limit_w)
    taken = np.maximum(allocation.current_a, 0.0)
    for index, chain in enumerate(problem.circuits.ancestry()):
        mine = problem.evses.circuit == index
        own_a = problem.evses.on_phase[mine].T.astype(float) @ taken[mine] + problem.circuits.side_load_a[index]
        own_w = problem.evses.w_per_a[mine] @ taken[mine] + NOMINAL_VOLTAGE_V * problem.circuits.side_load_a[index].sum(
            axis=0
        )
        for battery, power_w in zip(problem.batteries, allocation.battery_w, strict=True):
            if battery.circuit == index:
                own_a = own_a + np.maximum(power_w, 0.0) / (3.0 * NOMINAL_VOLTAGE_V)
                own_w = own_w + np.maximum(power_w, 0.0)
        for above in chain:
            load_a[above] += own_a
            load_w[above] += own_w
    return load_a, load_w


def _limit(limit_a: FloatArray, applies: npt.NDArray[np.bool_]) -> str:
    """Return the lowest limit of each phase over the plan, once where they are alike."""
    if not applies.any():
        return "none"
    words = [f"{row[there].min():.4g}" if there.any() else "-" for row, there in zip(limit_a, applies, strict=True)]
    return words[0] if len(set(words)) == 1 else "/".join(words)


def battery_rows(problem: AllocationProblem, allocation: Allocation, zone: tzinfo) -> list[tuple[str, ...]]:
    """Return for each battery its power now and as it changes (minus feeds back), and what it holds at the end."""
    rows: list[tuple[str, ...]] = [("battery", "now kW", "then", "kWh at start", "at end")]
    for battery, power_w in zip(problem.batteries, allocation.battery_w, strict=True):
        power_kw = np.round(power_w / 1000.0, 1)
        changes = np.flatnonzero(np.abs(np.diff(power_kw)) > _SAME_KW) + 1
        words = [f"{power_kw[k]:g} from {problem.grid.times[k].astimezone(zone):%H:%M}" for k in changes[:4].tolist()]
        moved_wh = np.where(
            power_w > 0.0, power_w * battery.charge_efficiency_ratio, power_w / battery.discharge_efficiency_ratio
        )
        end_wh = battery.stored_wh + float(moved_wh @ problem.hours)
        then = ", ".join([*words, "..."] if len(changes) > len(words) else words)
        kwh = (f"{battery.stored_wh / 1000.0:.1f}", f"{end_wh / 1000.0:.1f}")
        rows.append((battery.id, f"{power_kw[0]:g}", then, *kwh))
    return rows


def bill(problem: AllocationProblem, allocation: Allocation, *, currency: str) -> list[str]:
    """Return energy, its price and the highest power of the vehicles, and what the peaks of the site cost."""
    taken = np.where(allocation.current_a > 0.0, allocation.current_a * problem.evses.presence_ratio, 0.0)
    power_w = (taken * problem.evses.w_per_a[:, None]).sum(axis=0)
    energy_kwh = power_w * problem.hours / 1000.0
    cost = float(energy_kwh @ problem.money.import_price_per_kwh)
    text = f"vehicles: {float(energy_kwh.sum()):.1f} kWh, at most {float(power_w.max(initial=0.0)) / 1000.0:.1f} kW"
    lines = [f"{text}, {cost:.2f} {currency} at import prices" if problem.money.import_price_per_kwh.any() else text]
    carbon = problem.money.carbon_g_per_kwh
    if carbon is not None and problem.money.carbon_price_per_kg > 0.0:
        kg, per_kg = float(energy_kwh @ carbon) / 1000.0, problem.money.carbon_price_per_kg
        lines.append(f"carbon: {kg:.1f} kg, counted with {per_kg:g} {currency}/kg beside the price, on no bill")
    fed_w = (np.minimum(allocation.current_a, 0.0) * problem.evses.w_per_a[:, None]).sum(axis=0)
    site_kw = (problem.money.site_load_w + power_w + fed_w + allocation.battery_w.sum(axis=0)) / 1000.0
    for charge in problem.money.demand_charges:
        over = windows(problem, charge)
        peak_kw = max(float(np.where(over.counts, over.mean_kw(site_kw), 0.0).max(initial=0.0)), 0.0)
        new_kw = max(peak_kw - charge.peak_so_far_w / 1000.0, 0.0)
        text = f"site: at most {peak_kw:.1f} kW over {charge.window_s // 60} min"
        lines.append(f"{text}, {new_kw * charge.price_per_kw:.2f} {currency} for the peak")
    return lines
