"""Layers as flat arrays, for :mod:`loadmgr.composite.batch`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadmgr.composite.conversion import NO_LIMIT
from loadmgr.composite.layers import Layers
from loadmgr.composite.stack import Entry

Ints = npt.NDArray[np.int64]

CODE_BITS = 3
"""Room for a phase code below its key, so that both are fetched at once."""

LARGEST_KEY = 1 << 59
"""Above this a key with its code, or times three phases, does not fit into 64 bits; it is some 10^8 A."""

OFFSET_BITS = 40
"""Room for seconds in an ascending number: below the number of an entry, a stack or an EVSE."""

_FAR = 1 << 45  # seconds: a million years, and sums of a few still fit
_LAST_OFFSET = (1 << OFFSET_BITS) - 2
_OF_ENTRY = ("valid_from", "valid_to", "origin", "from_window", "step_s", "length_s", "lead_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseArrays:
    """The entries of one EVSE, stack by stack and rank by rank, and their periods one after the other."""

    layer: Ints
    rank: Ints
    valid_from: Ints
    valid_to: Ints
    origin: Ints
    from_window: npt.NDArray[np.bool_]
    step_s: Ints
    length_s: Ints
    lead_s: Ints
    periods: Ints
    starts: Ints
    keys: Ints
    codes: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class RankArrays:
    """The entries of one rank of many EVSEs, by ascending stack; the highest rank leads.

    Parameters
    ----------
    stack : numpy.ndarray
        Of each entry, (n_entry,): layer times the number of EVSEs, plus the EVSE.
    valid_from, valid_to, origin : numpy.ndarray
        [s since the epoch], (n_entry,).
    from_window : numpy.ndarray
        Whether the axis begins with the window, (n_entry,).
    step_s, length_s, lead_s : numpy.ndarray
        Distance and length of occurrences, and the start of the first period, (n_entry,).
    starts, packed : numpy.ndarray
        Of each period [s], and its key with its phase code in the last bits, (n_period,).
    start_keys : numpy.ndarray
        Number of the entry and start in one ascending number, (n_period,).
    """

    stack: Ints
    valid_from: Ints
    valid_to: Ints
    origin: Ints
    from_window: npt.NDArray[np.bool_]
    step_s: Ints
    length_s: Ints
    lead_s: Ints
    starts: Ints
    packed: Ints
    start_keys: Ints

    def offset_keys(self, entry: Ints, offset_s: Ints) -> Ints:
        """Return what to look for among ``start_keys``."""
        return (entry << OFFSET_BITS) + np.minimum(offset_s, _LAST_OFFSET)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatArrays:
    """The entries of many EVSEs.

    Parameters
    ----------
    evses : int
    layers : tuple of int
        Those that any EVSE has a profile in, and the first: the others would only cost time.
    ranks : tuple of RankArrays
        The highest first.
    """

    evses: int
    layers: tuple[int, ...]
    ranks: tuple[RankArrays, ...]


def arrays_of(layers: Layers) -> EvseArrays:
    """Return the layers of one EVSE as arrays.

    Raises
    ------
    ValueError
        If a limit is too large for 64 bits.
    """
    stacks = (layers.tx, layers.external, layers.vehicle, layers.maximum)
    entries = [(layer, rank, entry) for layer, stack in enumerate(stacks) for rank, entry in enumerate(stack)]
    keys = [key for _, _, entry in entries for key in entry.keys]
    highest = max((key for key in keys if key != NO_LIMIT), default=0)
    if highest > LARGEST_KEY:
        raise ValueError(f"limits must be below about 1e8 A in a batch, got a key of {highest}")
    if NO_LIMIT in keys:
        raise ValueError("every period must have a limit in a batch")
    return EvseArrays(
        layer=_ints([layer for layer, _, _ in entries]),
        rank=_ints([rank for _, rank, _ in entries]),
        valid_from=_ints([_near(entry.valid_from) for _, _, entry in entries]),
        valid_to=_ints([_near(entry.valid_to) for _, _, entry in entries]),
        origin=_ints([0 if entry.origin is None else _near(entry.origin) for _, _, entry in entries]),
        from_window=np.array([entry.origin is None for _, _, entry in entries], dtype=bool),
        step_s=_ints([entry.step_s for _, _, entry in entries]),
        length_s=_ints([_length_s(entry) for _, _, entry in entries]),
        lead_s=_ints([_near(entry.starts[0]) for _, _, entry in entries]),
        periods=_ints([len(entry.starts) for _, _, entry in entries]),
        starts=_ints([min(s, _LAST_OFFSET + 1) for _, _, entry in entries for s in entry.starts]),
        keys=_ints(keys),
        codes=_ints([code for _, _, entry in entries for code in entry.codes]),
    )


def joined(evses: Sequence[EvseArrays]) -> FlatArrays:
    """Return the entries of many EVSEs in one."""
    layer = np.concatenate([each.layer for each in evses])
    stack = np.repeat(np.arange(len(evses)), [each.layer.size for each in evses]) + layer * len(evses)
    rank = np.concatenate([each.rank for each in evses])
    periods = np.concatenate([each.periods for each in evses])
    first = np.cumsum(periods) - periods
    by_stack = np.argsort(stack, kind="stable")
    whole = {name: np.concatenate([getattr(each, name) for each in evses]) for name in (*_OF_ENTRY, "starts")}
    packed = np.concatenate([(each.keys << CODE_BITS) + each.codes for each in evses])
    ranks = []
    for number in range(int(rank.max(initial=-1)) + 1):
        chosen = by_stack[rank[by_stack] == number]
        period = ranges(first[chosen], periods[chosen])
        entry = np.repeat(np.arange(chosen.size), periods[chosen])
        starts = whole["starts"][period]
        ranks.append(
            RankArrays(
                stack=stack[chosen],
                starts=starts,
                packed=packed[period],
                start_keys=(entry << OFFSET_BITS) + starts,
                **{name: whole[name][chosen] for name in _OF_ENTRY},
            )
        )
    return FlatArrays(evses=len(evses), layers=tuple(sorted({0, *np.unique(layer).tolist()})), ranks=tuple(ranks))


def ranges(first: Ints, count: Ints) -> Ints:
    """Return the numbers from each ``first`` on, ``count`` of each, one run after the other."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if ends.size else 0
    return np.arange(total) + np.repeat(first - ends + count, count)


def _length_s(entry: Entry) -> int:
    """Return the length after the near origin: a dynamic profile has begun before the beginning of time."""
    if entry.origin is None or entry.origin >= -_FAR:
        return _near(entry.length_s)
    return _near(entry.origin + entry.length_s) + _FAR


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _near(value: int) -> int:
    return max(-_FAR, min(value, _FAR))
