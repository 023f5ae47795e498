"""What is good: the terms of the objective and the weights that keep them in tiers.

Rules of this file:

1. Tiers, each worth more than everything below: energy that must be, energy wanted, energy beyond, money, preferences.
   Within a tier of energy a higher priority class is worth ten times the next.
2. Weights come from the data. A kWh undelivered costs more than any price could make it dear: the highest price, plus
   the demand charge where 1 kWh more in one window raises the peak by ``1 / window`` kW.
3. Ties are broken so that the best plan is unique, does not depend on the order of EVSEs, and stays the same when the
   window moves: each session has its own slope over absolute time, and a far smaller number for each session and step.
   The slopes serve one session after the other instead of a step here and a step there (measured: a quarter of the
   switching on and off, and no more simplex iterations), and with them the program needs none of the solver's own
   random perturbation.
"""

from dataclasses import dataclass

import numpy as np

from loadmgr.allocation.arrays import FloatArray, IntArray
from loadmgr.allocation.options import Policy
from loadmgr.allocation.policy import service_level, session_ties
from loadmgr.allocation.problem import TIERS, AllocationProblem
from loadmgr.allocation.ties import tie_ratio

SEGMENTS = 4
"""Parts that each tier's shortfall is cut into, the part that hurts most dearest."""

FAIR_RATIO = 0.03
"""What a kWh undelivered costs more where a session is served worst, in parts of the lowest weight: it decides who goes
short, not how much, nor what goes short of a lower tier."""

SHORT_TIE_RATIO = 1e-3
"""Largest difference between the weights of two sessions that are alike, in parts of the lowest weight."""

MOVED_KWH = 4.0
"""To make room for 1 kWh of a 1-phase session, up to three of a 3-phase one may have to move to dearer hours."""

CLASS_RATIO = 10.0
"""Worth of a kWh of one priority class over the next lower one."""

TIER_RATIO = 10.0
"""Worth of a kWh wanted over one beyond, at the least: one 1-phase session can displace three phases of another."""

LARGEST_COST = 5e7
"""Largest coefficient of the objective; at some ten times this the dual simplex gives up (measured)."""

UNITS_PER_SCALE = 10.0
"""A kWh at the price scale in the program's objective: ties stand clear of the solver's dual tolerance."""

EARLY_RATIO = 2e-3
"""What charging a day later costs more, at most, in parts of the price scale: far below any real price step."""

EARLY_SPREAD = 0.8
"""Part of that slope which differs from session to session."""

TIE_RATIO = 3e-6
"""Largest tie-break by session and step, in parts of the price scale; below 1e-6 it would drown in the solver's
dual tolerance."""


STAY_RATIO = 1e-3
"""What keeping a current of the plan in force is worth, in parts of the price scale: it decides between equals."""

STAY_S = 3600
"""So far ahead the plan stays near the one in force [s]."""

HASTE_RATIO = 0.8
"""What energy later counts less at most below a scarce circuit, in parts of its weight: less than 1, so that it is
still delivered rather than not."""

HASTE_H = 2.0
"""After so many hours of waiting, half of the haste counts [h]."""

HASTE_SPREAD = 0.8
"""Part of the haste that a session with a day to spare does not have."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """Prices of the program, per kWh, in the money of the tariff.

    Parameters
    ----------
    price_per_kwh : (n_step,)
        Import price with carbon.
    export_price_per_kwh : (n_step,)
        Never above the import price: a program that could buy to sell at once would be no plan.
    shortfall_per_kwh : (n_evse, 3)
        What a kWh left undelivered costs, by tier.
    scale : float
        Price scale [money per kWh] that preferences are measured in.
    unit : float
        The program's objective is money times this, so that its coefficients are neither tiny nor huge.
    """

    price_per_kwh: FloatArray
    export_price_per_kwh: FloatArray
    shortfall_per_kwh: FloatArray
    scale: float
    unit: float


def weights(problem: AllocationProblem) -> Weights:
    """Return the prices and the weights of the tiers of a problem."""
    money = problem.money
    price = money.import_price_per_kwh.copy()
    if money.carbon_g_per_kwh is not None:
        price = price + money.carbon_g_per_kwh / 1000.0 * money.carbon_price_per_kg
    export = np.minimum(money.export_price_per_kwh, price)
    dearest = max(float(np.abs(price).max(initial=0.0)), float(np.abs(export).max(initial=0.0)))
    scale = dearest if dearest > 0.0 else 1.0
    for charge in money.demand_charges:
        shortest_h = max(float(problem.hours.min()), charge.window_s / 3600.0)
        dearest += charge.price_per_kw / shortest_h
    floor = MOVED_KWH * dearest / float(problem.evses.efficiency_ratio.min(initial=1.0)) + 2.0 * scale
    return Weights(
        price_per_kwh=price,
        export_price_per_kwh=export,
        shortfall_per_kwh=floor * _tier_ratios(problem, most=LARGEST_COST * scale / (floor * UNITS_PER_SCALE)),
        scale=scale,
        unit=UNITS_PER_SCALE / scale,
    )


def _tier_ratios(problem: AllocationProblem, *, most: float) -> FloatArray:
    """Return the weight of each session and tier over the smallest one, at most about ``most``."""
    widths = problem.evses.tier_wh
    classes, rank = np.unique(problem.evses.priority, return_inverse=True)
    used = [k for k in (2, 1, 0) if (widths[:, k] > 0.0).any()]
    levels = max(len(used), 1) * max(len(classes), 1)
    # Where ten per level would span more than the solver bears, levels move closer together.
    ratio = min(CLASS_RATIO, TIER_RATIO, max(most, 1.0) ** (1.0 / max(levels - 1, 1)))
    out = np.ones((problem.n_evses, 3))
    place = {tier: index for index, tier in enumerate(used)}
    for tier in range(3):
        level = place.get(tier, 0) * len(classes) + rank
        out[:, tier] = ratio ** level.astype(np.float64)
    return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shortfall:
    """Columns of energy left undelivered: whose, which part (tier by tier), how wide [kWh] and how dear per kWh."""

    evse: IntArray
    place: IntArray
    width_kwh: FloatArray
    price_per_kwh: FloatArray


def shortfall(problem: AllocationProblem, weight: Weights, *, policy: Policy) -> Shortfall:
    """Return the segments of shortfall: convex in each session, so the program takes them in the right order."""
    widths = problem.evses.tier_wh
    below_wh = problem.evses.need_wh - widths
    evse, tier = (np.repeat(index, SEGMENTS) for index in np.nonzero(widths > 0.0))
    segment = np.tile(np.arange(SEGMENTS), len(evse) // SEGMENTS)
    width_wh = widths[evse, tier] / SEGMENTS
    middle_wh = (below_wh[:, :, None] + widths[:, :, None] * (np.arange(SEGMENTS) + 0.5) / SEGMENTS).reshape(
        len(widths), len(TIERS) * SEGMENTS
    )
    level = service_level(problem, policy, middle_wh)[evse, tier * SEGMENTS + segment]
    tie = SHORT_TIE_RATIO * session_ties(problem)[evse]
    # In parts of the lowest weight, not of its own: who of a tier goes short is worth nothing of what lies below it.
    preference = weight.shortfall_per_kwh.min(initial=np.inf) * (FAIR_RATIO * (1.0 - level) + tie)
    return Shortfall(
        evse=evse,
        place=tier * SEGMENTS + segment,
        width_kwh=width_wh / 1000.0,
        price_per_kwh=weight.shortfall_per_kwh[evse, tier] + preference,
    )


def preference_per_kwh(problem: AllocationProblem, weight: Weights) -> FloatArray:
    """Return what a kWh costs beside money, ``(n_evse, n_step)``: later is dearer, and no two are alike."""
    starts_s = np.array(problem.grid.offsets_s[:-1], dtype=np.int64)
    absolute_s = int(problem.grid.start.timestamp()) + starts_s
    slope = EARLY_RATIO * (1.0 - EARLY_SPREAD * session_ties(problem)[:, None])
    out = slope * (starts_s / 86400.0)
    out += TIE_RATIO * tie_ratio(problem.evses.seeds, absolute_s)
    if problem.evses.has_previous.any():
        out -= STAY_RATIO * _previous_ratio(problem) * (starts_s < STAY_S)
    out *= weight.scale
    return np.asarray(out)


def _previous_ratio(problem: AllocationProblem) -> FloatArray:
    """Return the plan in force in parts of each maximum: what was on is cheaper to keep on."""
    evses = problem.evses
    part = np.maximum(evses.previous_a, 0.0) / np.maximum(evses.max_a, 1e-9)
    return np.where(evses.has_previous[:, None], np.minimum(part, 1.0), 0.0)


def haste_per_kwh(problem: AllocationProblem, weight: Weights) -> FloatArray:
    """Return what a kWh later costs more below scarce circuits, ``(n_evse, n_step)``: others will want the room.

    Notes
    -----
    Grows with time as ``t / (t + 2 h)``, and most for sessions with the least laxity.
    """
    evses = problem.evses
    scarce = np.array([any(problem.circuits.scarce[at] for at in chain) for chain in problem.circuits.ancestry()])
    laxity_s = evses.departure_s - evses.need_wh[:, 1] * 3600.0 / np.maximum(
        evses.max_a.max(axis=1) * evses.w_per_a * evses.efficiency_ratio, 1e-9
    )
    urgency = 1.0 - HASTE_SPREAD * np.clip(laxity_s / 86400.0, 0.0, 1.0)
    starts_h = np.array(problem.grid.offsets_s[:-1]) / 3600.0
    delay = starts_h / (starts_h + HASTE_H)
    most = float(weight.shortfall_per_kwh.min()) * HASTE_RATIO
    return np.asarray(most * (scarce[evses.circuit] * urgency)[:, None] * delay)
