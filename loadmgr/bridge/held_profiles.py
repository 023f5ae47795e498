"""The CSMS's profiles that a Local Controller holds, combined by minimum with limits of ours.

The result, pushed to the station in the held profiles' place, obeys both: whatever the CSMS allows by the rules of its
version, and never more than we do. A station maximum of ours needs none of this, it is a minimum anyway.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from loadmgr.bridge.profile_json import profile_from_json
from loadmgr.composite.answer import CompositeSchedule
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.store import ProfileStore
from loadmgr.composite.transaction import StationTransaction
from loadmgr.model.ids import TransactionId
from loadmgr.model.profile import ProfilePurpose

Step = tuple[int, float | None]
"""From a second on [s], a limit; ``None`` where nothing limits."""


def held_store(
    held: Iterable[tuple[int, Mapping[str, Any]]],
    *,
    settings: StationSettings,
    now: datetime,
    transactions: Collection[StationTransaction] = (),
    priority: Collection[TransactionId] = (),
) -> ProfileStore:
    """Return a store with held profiles as a station would have them installed; ask it for composite schedules.

    Parameters
    ----------
    held : iterable of (int, mapping)
        EVSE and profile on the wire, in the order of installation.
    settings : StationSettings
        Of the station; with defaults, an unlimited stretch says these, without, ``None``.
    now : datetime
    transactions : collection of StationTransaction, optional
        Those that run.
    priority : collection of TransactionId, optional
        Those for which PriorityCharging is in force (2.1).

    Raises
    ------
    InputError
        If a profile is not of the version's schema.
    """
    store = ProfileStore(settings)
    for transaction in transactions:
        store.start_transaction(transaction, now=now)
    for evse_id, data in held:
        profile = profile_from_json(dict(data), settings.version)
        if profile.purpose is ProfilePurpose.TX and profile.transaction_id is None and evse_id > 0:
            store.set_for_start(evse_id, profile, now=now)
        else:
            store.load(evse_id, profile, now=now)
    for transaction in transactions:
        if transaction.transaction_id in priority:
            store.note_priority_charging(transaction.evse_id, active=True)
    return store


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
