"""A reason in the words of the driver who asks why the car is not charging.

Rules of this file:

1. One clause for each reason, made from the reason and the problem alone; nothing is decided here.
2. Nothing is said of a vehicle that is not true of it: one that has not come yet, has left, or has all it asked for is
   not "held back".
"""

from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

import numpy as np

from loadmgr.allocation.phasors import RowKind
from loadmgr.allocation.problem import AllocationProblem
from loadmgr.allocation.result import Allocation

ReasonKind = Literal[
    "expected",
    "left",
    "served",
    "closed",
    "limits_cross",
    "held_off",
    "held_on",
    "feeds_back",
    "vehicle",
    "taper",
    "overload",
    "circuit",
    "peak",
    "minimum",
    "rounded",
    "price",
    "generation",
    "later",
    "order",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that keeps a current where it is.

    Parameters
    ----------
    kind : str
    circuit : str, optional
        The circuit that is full.
    limit : {"phase", "power", "neutral", "unbalance"}, optional
        Which of its limits.
    phase : int, optional
        Its phase, 1 to 3; ``None`` for a limit of power or of the neutral.
    other_phase : int, optional
        The phase that the first may not rise above any further, for a limit of unbalance.
    shared_with : tuple of str
        EVSEs that use the same limit in this step.
    goes_first : tuple of str
        Those of them with a higher priority class.
    leave_earlier : tuple of str
        Those of them, of the same class, that leave earlier.
    price_per_h : float
        What one more ampere (or kW, for power and peak) would be worth, in money per hour; 0 where it relieves those
        who go short.
    short_wh_per_h : float
        What it would bring to sessions that go short [Wh per hour].
    one_sided : bool
        Several limits are full at once: the value holds for less, and one more alone may bring nothing.
    then : int, optional
        The step in which more is planned, or is to be had for less.
    """

    kind: ReasonKind
    circuit: str | None = None
    limit: RowKind | None = None
    phase: int | None = None
    other_phase: int | None = None
    shared_with: tuple[str, ...] = ()
    goes_first: tuple[str, ...] = ()
    leave_earlier: tuple[str, ...] = ()
    price_per_h: float = 0.0
    short_wh_per_h: float = 0.0
    one_sided: bool = False
    then: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """How times and money are written."""

    zone: tzinfo
    currency: str


def sentence(
    problem: AllocationProblem,
    allocation: Allocation,
    reasons: tuple[Reason, ...],
    at: tuple[int, int],
    *,
    speech: Speech,
) -> str:
    """Return why an EVSE gets its current in a step, ``at = (evse, step)``, and what comes next."""
    evse, step = at
    parts = [_words(problem, allocation, reason, at, speech=speech) for reason in reasons[:2]]
    current_a = allocation.current_a[evse] + 0.0
    later = np.flatnonzero(np.abs(current_a[step + 1 :] - current_a[step]) > 1e-6)
    if len(later) and reasons[0].kind != "expected":
        then = step + 1 + int(later[0])
        parts.append(f"{current_a[then]:g} A from {_clock(problem, then, speech)}")
    return f"{current_a[step]:g} A: " + "; ".join(parts)


def _words(
    problem: AllocationProblem, allocation: Allocation, reason: Reason, at: tuple[int, int], *, speech: Speech
) -> str:
    evse, step = at
    evses = problem.evses
    if reason.kind in ("circuit", "overload"):
        return _circuit_words(reason, currency=speech.currency)
    if reason.kind == "left":
        return _left_words(problem, allocation, evse)
    if reason.kind == "price":
        return _price_words(problem, reason, step, speech=speech)
    words = {
        "expected": f"its vehicle is expected at {_arrival(problem, evse, speech)}",
        "served": "it has what it asked for",
        "closed": "EVSE, vehicle or a charging profile of somebody else allow no current now",
        "limits_cross": f"no more than {evses.max_a[evse, step]:g} A are allowed, and it needs at least "
        f"{evses.min_a[evse]:g} A to charge at all",
        "held_off": "it was switched off a moment ago and stays off for its minimum time",
        "held_on": f"it stays on at its minimum of {evses.min_a[evse]:g} A: switched off now, it would be switched on "
        "again too soon, or not wake up",
        "feeds_back": "its vehicle feeds back: energy is worth more now than it costs at another time",
        "vehicle": f"vehicle and EVSE take no more than {evses.max_a[evse, step]:.4g} A",
        "taper": "its battery takes less and less as it fills up",
        "peak": "more would raise the site's peak, which is charged for",
        "minimum": f"what is left for it is less than the {evses.min_a[evse]:g} A it needs to charge at all",
        "rounded": "it is rounded down to what the station can be told",
        "generation": f"the site's own generation has more to spare at {_clock(problem, reason.then, speech)}",
        "later": "there is time, and it is planned for later",
        "order": "others go first",
    }[reason.kind]
    if reason.kind == "peak" and reason.price_per_h > 0.005:
        words += f"; 1 kW less in this step saves {reason.price_per_h:.2f} {speech.currency}/h"
    return words


def _left_words(problem: AllocationProblem, allocation: Allocation, evse: int) -> str:
    short_wh = float(allocation.shortfall_wh[evse, :2].sum())
    if short_wh <= max(0.02 * float(problem.evses.need_wh[evse, 1]), 1.0):
        return "its vehicle has left with what it asked for"
    return f"its vehicle has left, {short_wh / 1000.0:.1f} kWh short of what it asked for"


def _price_words(problem: AllocationProblem, reason: Reason, step: int, *, speech: Speech) -> str:
    money = problem.money
    price = money.import_price_per_kwh
    if reason.then is None or price[reason.then] >= price[step]:
        # With carbon in the objective the cheaper hour need not be the better one.
        return "energy is cleaner at another time" if money.carbon_price_per_kg > 0.0 else "energy is cheaper then"
    now = f"energy costs {price[step]:.2f} {speech.currency}/kWh now"
    return f"{now} and {price[reason.then]:.2f} at {_clock(problem, reason.then, speech)}"


def _circuit_words(reason: Reason, *, currency: str) -> str:
    if reason.kind == "overload":
        where = "" if reason.phase is None else f" on L{reason.phase}"
        return f"other loads alone are above the limit of {reason.circuit}{where}, so nothing is left for vehicles"
    shared = f", shared with {listed(reason.shared_with)}" if reason.shared_with else ""
    unit = "kW" if reason.limit == "power" else "ampere"
    if reason.short_wh_per_h > 0.0:
        worth = f"; one more {unit} there brings {reason.short_wh_per_h / 1000.0:.2f} kWh an hour to those who go short"
    elif reason.price_per_h > 0.005:
        worth = f"; one more {unit} there is worth {reason.price_per_h:.2f} {currency}/h"
    else:
        worth = ""
    several = " (other limits are full as well)" if reason.one_sided else ""
    return f"{_full_words(reason)}{shared}{_first_words(reason)}{worth}{several}"


def _first_words(reason: Reason) -> str:
    parts = []
    if reason.goes_first:
        parts.append(f"{listed(reason.goes_first)} {'has' if len(reason.goes_first) == 1 else 'have'} priority")
    if reason.leave_earlier:
        parts.append(
            f"{listed(reason.leave_earlier)} {'leaves' if len(reason.leave_earlier) == 1 else 'leave'} earlier"
        )
    return f" ({', '.join(parts)})" if parts else ""


def _full_words(reason: Reason) -> str:
    if reason.limit == "power":
        return f"{reason.circuit} is at its limit of power"
    if reason.limit == "neutral":
        return f"the neutral of {reason.circuit} is full"
    if reason.limit == "unbalance":
        return f"L{reason.phase} of {reason.circuit} may not rise further above L{reason.other_phase}"
    return f"{reason.circuit} is full on L{reason.phase}"


def _clock(problem: AllocationProblem, step: int | None, speech: Speech) -> str:
    return "another time" if step is None else f"{problem.grid.times[step].astimezone(speech.zone):%H:%M}"


def _arrival(problem: AllocationProblem, evse: int, speech: Speech) -> str:
    step = int(np.argmax(problem.evses.presence_ratio[evse] > 0.0))
    return _clock(problem, step, speech)


def listed(labels: tuple[str, ...]) -> str:
    """Return labels as ``A, B and C``; more than four as the first three and how many more."""
    if len(labels) > 4:
        return f"{', '.join(labels[:3])} and {len(labels) - 3} more"
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
