"""Layers as flat arrays, for :mod:`loadmgr.composite.batch`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadmgr.composite.conversion import NO_LIMIT
from loadmgr.composite.layers import Layers

Ints = npt.NDArray[np.int64]

LAYERS = 4
"""Layers of an EVSE that take part: transaction, external constraints, the vehicle's own, station maximum."""

LARGEST_KEY = (1 << 61) // 3
"""Above this a key times three phases does not fit into 64 bits; it is some 10^8 A."""

_FAR = 1 << 45  # seconds: a million years, and sums of a few still fit


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
class FlatArrays:
    """The entries of many EVSEs.

    Parameters
    ----------
    stacks : int
        Number of stacks, ``LAYERS`` for each EVSE.
    ranks : int
        Height of the highest stack.
    stack, rank : numpy.ndarray
        Of each entry, (n_entry,).
    valid_from, valid_to, origin : numpy.ndarray
        [s since the epoch], (n_entry,).
    from_window : numpy.ndarray
        Whether the axis begins with the window, (n_entry,).
    step_s, length_s, lead_s : numpy.ndarray
        Distance and length of occurrences, and the start of the first period, (n_entry,).
    starts, keys, codes : numpy.ndarray
        Of each period, (n_period,).
    start_keys : numpy.ndarray
        Number of the entry and start in one ascending number, (n_period,).
    """

    stacks: int
    ranks: int
    stack: Ints
    rank: Ints
    valid_from: Ints
    valid_to: Ints
    origin: Ints
    from_window: npt.NDArray[np.bool_]
    step_s: Ints
    length_s: Ints
    lead_s: Ints
    starts: Ints
    keys: Ints
    codes: Ints
    start_keys: Ints


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
        origin=_ints([0 if entry.origin is None else entry.origin for _, _, entry in entries]),
        from_window=np.array([entry.origin is None for _, _, entry in entries], dtype=bool),
        step_s=_ints([entry.step_s for _, _, entry in entries]),
        length_s=_ints([_near(entry.length_s) for _, _, entry in entries]),
        lead_s=_ints([_near(entry.starts[0]) for _, _, entry in entries]),
        periods=_ints([len(entry.starts) for _, _, entry in entries]),
        starts=_ints([min(s, (1 << 40) - 1) for _, _, entry in entries for s in entry.starts]),
        keys=_ints(keys),
        codes=_ints([code for _, _, entry in entries for code in entry.codes]),
    )


def joined(evses: Sequence[EvseArrays]) -> FlatArrays:
    """Return the entries of many EVSEs in one, in the order of their stacks."""
    sizes = [each.layer.size for each in evses]
    stack = np.repeat(np.arange(len(evses)), sizes) * LAYERS + np.concatenate([each.layer for each in evses])
    starts = np.concatenate([each.starts for each in evses])
    periods = np.concatenate([each.periods for each in evses])
    entry = np.repeat(np.arange(periods.size), periods)
    rank = np.concatenate([each.rank for each in evses])
    return FlatArrays(
        stacks=LAYERS * len(evses),
        ranks=int(rank.max(initial=-1)) + 1,
        stack=stack,
        rank=rank,
        valid_from=np.concatenate([each.valid_from for each in evses]),
        valid_to=np.concatenate([each.valid_to for each in evses]),
        origin=np.concatenate([each.origin for each in evses]),
        from_window=np.concatenate([each.from_window for each in evses]),
        step_s=np.concatenate([each.step_s for each in evses]),
        length_s=np.concatenate([each.length_s for each in evses]),
        lead_s=np.concatenate([each.lead_s for each in evses]),
        starts=starts,
        keys=np.concatenate([each.keys for each in evses]),
        codes=np.concatenate([each.codes for each in evses]),
        start_keys=(entry << 40) + starts,
    )


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _near(value: int) -> int:
    return max(-_FAR, min(value, _FAR))
