"""From what is installed to the stacks of one EVSE: which profiles take part, and where their axes begin.

Rules
-----
1. On an EVSE take part what is installed on it and what is installed on 0 (K01.FR.14); the station maximum lives on 0.
2. A TxProfile takes part only with its own transaction; one without an id belongs to the running one (OCPP 1.6). A
   PriorityCharging profile takes part only while it is activated (K21.FR.04).
3. Without a transaction a GetCompositeSchedule is answered as if one started with the window that uses the
   TxDefaultProfile (K08.FR.06); 1.6 is silent and read alike. For enforcement nothing is simulated: only the station
   maximum and external constraints matter.
4. 1.6: of a default on 0 and one on a connector with the same stack level the newer counts there (section 3.13.1);
   with different levels both are one stack.
5. Offline for longer than ``max_offline_s`` a profile is not valid (K01.FR.101 to K01.FR.103, 2.1): it ends with the
   last second at which that time is not yet exceeded. A TxProfile without it keeps running (K06).
6. The vehicle's own schedule caps what it takes: it enters the answer (SC.04, K15.FR.14, K16.FR.10, K18.FR.14).
7. LocalGeneration on 0 is shared by the EVSEs: it is added to the station's total once, and to an EVSE only where it
   is the only one.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from loadmgr.composite.bound import MAX_PIECES, longest_window_s
from loadmgr.composite.compiled import UNBOUNDED, Compiled, seconds
from loadmgr.composite.delays import delayed_starts
from loadmgr.composite.settings import StationSettings
from loadmgr.composite.stack import Entry
from loadmgr.composite.transaction import StationTransaction
from loadmgr.model.profile import OcppVersion, ProfilePurpose

_TX_RANK = {ProfilePurpose.TX_DEFAULT: 0, ProfilePurpose.TX: 1, ProfilePurpose.PRIORITY_CHARGING: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseState:
    """What runs on an EVSE as far as profiles care.

    Parameters
    ----------
    transaction : StationTransaction, optional
    priority_active : bool
        Whether priority charging was activated for the transaction.
    delays : mapping of int to tuple of int
        Drawn delays [s] by the order of installation.
    soc_percent : float, optional
        State of charge of the vehicle [%].
    offline_since : int, optional
        Since when [s since the epoch] the station is without connection.
    vehicle : Compiled, optional
        The schedule that the vehicle announced.
    """

    transaction: StationTransaction | None
    priority_active: bool
    delays: Mapping[int, tuple[int, ...]]
    soc_percent: float | None
    offline_since: int | None
    vehicle: Compiled | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The stacks that decide on one EVSE, each with its highest entry first.

    Parameters
    ----------
    tx : list of Entry
        PriorityCharging if active, TxProfiles, TxDefaultProfiles.
    external : list of Entry
    vehicle : list of Entry
        What the vehicle itself announced.
    maximum : list of Entry
    generation : list of Entry
        LocalGeneration, added on top of the minimum (2.1).
    own_caps, caps : tuple of list of Entry
        Of external, vehicle and maximum those that are not empty, without and with the station maximum; derived, for
        most EVSEs have one of them or none.
    rich : bool
        Whether any period says more than a limit and a phase count.
    local : bool
        Whether any entry follows the wall clock.
    soc_percent : float, optional
        State of charge of the vehicle [%].
    pieces_once : int
    pieces_per_s : float
        What recurring entries make: so many pieces in any window, and so many more in each second of it.
    longest_s : int
        Longest window [s] that these layers are answered for.
    """

    tx: list[Entry]
    external: list[Entry]
    vehicle: list[Entry]
    maximum: list[Entry]
    generation: list[Entry]
    rich: bool
    local: bool
    soc_percent: float | None
    pieces_once: int
    pieces_per_s: float
    longest_s: int
    own_caps: tuple[list[Entry], ...] = field(init=False, repr=False)
    caps: tuple[list[Entry], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        own = tuple(stack for stack in (self.external, self.vehicle) if stack)
        object.__setattr__(self, "own_caps", own)
        object.__setattr__(self, "caps", (*own, self.maximum) if self.maximum else own)


def build_layers(
    installed: Iterable[Compiled],
    settings: StationSettings,
    *,
    evse_id: int,
    state: EvseState,
    simulate: bool,
) -> Layers:
    """Return the stacks of ``evse_id``; for 0 those that are installed on the whole station alone.

    Parameters
    ----------
    installed : iterable of Compiled
    settings : StationSettings
    evse_id : int
    state : EvseState
    simulate : bool
        Without a transaction, whether to act as if one began with the window.
    """
    stacks: dict[ProfilePurpose, list[Compiled]] = {purpose: [] for purpose in ProfilePurpose}
    for compiled in installed:
        if compiled.evse_id in (0, evse_id) and _takes_part(compiled, state, simulate=simulate):
            stacks[compiled.profile.purpose].append(compiled)
    if settings.version is OcppVersion.V16:
        stacks[ProfilePurpose.TX_DEFAULT] = _newest_of_level(stacks[ProfilePurpose.TX_DEFAULT])
    if settings.external_constraints_disallowed:
        stacks[ProfilePurpose.EXTERNAL_CONSTRAINTS] = []  # K11.FR.07
    if evse_id > 0 and settings.evses > 1:
        generation = [c for c in stacks[ProfilePurpose.LOCAL_GENERATION] if c.evse_id == evse_id]
        stacks[ProfilePurpose.LOCAL_GENERATION] = generation
    purposes = (ProfilePurpose.EXTERNAL_CONSTRAINTS, ProfilePurpose.CHARGE_POINT_MAX, ProfilePurpose.LOCAL_GENERATION)
    vehicle = [] if state.vehicle is None or state.transaction is None else [state.vehicle]
    used = [[c for purpose in _TX_RANK for c in stacks[purpose]], *(stacks[purpose] for purpose in purposes), vehicle]
    entries = [_entries(stack, state, simulate=simulate) for stack in used]
    recurring = [entry for stack in entries for entry in stack if entry.step_s]
    pieces_once = sum(2 * len(entry.starts) for entry in recurring)
    pieces_per_s = math.fsum(len(entry.starts) / entry.step_s for entry in recurring)
    return Layers(
        tx=entries[0],
        external=entries[1],
        maximum=entries[2],
        generation=entries[3],
        vehicle=entries[4],
        rich=bool(entries[3]) or any(c.rich for stack in used for c in stack),
        local=any(entry.local for stack in entries for entry in stack),
        soc_percent=state.soc_percent,
        pieces_once=pieces_once,
        pieces_per_s=pieces_per_s,
        longest_s=longest_window_s(pieces_once, pieces_per_s),
    )


def longest_sum_s(every: Sequence[Layers], start: int, length_s: int) -> int:
    """Return how much of a window [s] the sum of many EVSEs is answered for: all of it, or less by the bound.

    A schedule of the whole station that does not recur is expanded for each EVSE that has something of its own.
    """
    entries = [
        entry
        for layers in every
        for stack in (layers.tx, layers.external, layers.vehicle, layers.maximum, layers.generation)
        for entry in stack
        if not entry.step_s
    ]
    if sum(len(entry.starts) for entry in entries) <= MAX_PIECES:
        return length_s

    def pieces(window_s: int) -> int:
        ends = (start + window_s - (start if entry.origin is None else entry.origin) for entry in entries)
        return sum(bisect_left(entry.starts, end) for entry, end in zip(entries, ends, strict=True))

    low, high = 1, length_s
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if pieces(middle) <= MAX_PIECES else (low, middle - 1)
    return low


def _takes_part(compiled: Compiled, state: EvseState, *, simulate: bool) -> bool:
    profile = compiled.profile
    if profile.purpose not in _TX_RANK:
        return True
    if state.transaction is None:
        return simulate and profile.purpose is ProfilePurpose.TX_DEFAULT
    if profile.purpose is ProfilePurpose.PRIORITY_CHARGING:
        return state.priority_active
    if profile.purpose is ProfilePurpose.TX_DEFAULT or profile.transaction_id is None:
        return True
    return profile.transaction_id == state.transaction.transaction_id


def _newest_of_level(stack: Sequence[Compiled]) -> list[Compiled]:
    """Return the stack without defaults that a newer one of another owner (0 or the connector) replaces there."""
    return [
        c
        for c in stack
        if not any(
            o.profile.stack_level == c.profile.stack_level and o.evse_id != c.evse_id and o.order > c.order
            for o in stack
        )
    ]


def _entries(stack: Iterable[Compiled], state: EvseState, *, simulate: bool) -> list[Entry]:
    ordered = sorted(
        stack,
        key=lambda c: (_TX_RANK.get(c.profile.purpose, 0), c.profile.stack_level, c.order),
        reverse=True,
    )
    origin = None if state.transaction is None else seconds(state.transaction.relative_origin)
    out = []
    for c in ordered:
        start = origin if c.origin is None else c.origin
        if start is None and not simulate:
            continue
        if c.starts:
            valid_to = min(c.valid_to, _offline_end(c, state.offline_since))
            entry = Entry(
                c.valid_from, valid_to, start, c.step_s, c.length_s, c.starts, c.keys, c.codes, c.periods, c, c.local
            )
            delays = state.delays.get(c.order)
            out.append(entry if delays is None else _delayed(entry, delays))
    return out


def _delayed(entry: Entry, delays: Sequence[int]) -> Entry:
    """Return an entry with drawn delays; its first period is never delayed, so some remain."""
    starts, places = delayed_starts(entry.starts, delays, entry.length_s)
    return entry._replace(
        starts=starts,
        keys=[entry.keys[place] for place in places],
        codes=[entry.codes[place] for place in places],
        periods=[entry.periods[place] for place in places],
    )


def _offline_end(compiled: Compiled, offline_since: int | None) -> int:
    longest = compiled.profile.max_offline_s
    if offline_since is None or longest is None:
        return UNBOUNDED
    return offline_since + longest + 1
