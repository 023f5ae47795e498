"""Two limits over time combined by minimum: whatever both allow at every second."""

import itertools
from collections.abc import Sequence

from loadmgr.composite.answer import CompositeSchedule

Step = tuple[int, float | None]
"""From a second on [s], a limit; ``None`` where nothing limits."""


def combined_by_minimum(ours: Sequence[Step], theirs: CompositeSchedule) -> tuple[Step, ...]:
    """Return the lower of our limit and the CSMS's at every second of the composite schedule.

    Parameters
    ----------
    ours : sequence of Step
        In the schedule's unit, from its start; the first at 0, starts rising.
    theirs : CompositeSchedule
        What the held profiles come to.

    Raises
    ------
    ValueError
        If ``ours`` does not begin at 0 or does not rise.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from loadmgr.model.profile import RateUnit
    >>> rows = [(0, 10.0, 3), (600, None, 3)]
    >>> theirs = CompositeSchedule(1, datetime(2024, 1, 17, tzinfo=UTC), 900, RateUnit.A, rows)
    >>> combined_by_minimum([(0, 16.0), (300, 6.0), (700, None)], theirs)
    ((0, 10.0), (300, 6.0), (700, None))
    """
    starts = [start_s for start_s, _ in ours]
    if not starts or starts[0] != 0 or any(a >= b for a, b in itertools.pairwise(starts)):
        raise ValueError(f"ours must begin at 0 and rise, got starts {starts}")
    steps: list[Step] = []
    their_steps = [(start_s, limit) for start_s, limit, _ in theirs.rows]
    for start_s in sorted({*starts, *(each for each, _ in their_steps)}):
        if start_s >= max(theirs.duration_s, 1):
            break
        limits = [each for each in (_at(ours, start_s), _at(their_steps, start_s)) if each is not None]
        limit = min(limits, default=None)
        if not steps or limit != steps[-1][1]:
            steps.append((start_s, limit))
    return tuple(steps)


def _at(steps: Sequence[Step], when_s: int) -> float | None:
    return next((limit for start_s, limit in reversed(steps) if start_s <= when_s), None)
