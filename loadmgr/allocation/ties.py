"""Breaking ties the same way every time: numbers in [0, 1) from a session's label and an absolute step of time."""

import hashlib

import numpy as np

from loadmgr.allocation.arrays import FloatArray, IntArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def session_seeds(session_ids: tuple[str, ...]) -> IntArray:
    """Return a number for each label; the same on every machine and in every run, as ``hash()`` is not."""
    digests = b"".join(hashlib.sha256(label.encode()).digest()[:8] for label in session_ids)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64).view(np.int64)


def tie_ratio(seeds: IntArray, times_s: IntArray) -> FloatArray:
    """Return numbers in [0, 1), ``(n_evse, n_step)``, from seeds and the absolute start of each step [s].

    Notes
    -----
    A number per session alone cannot break ties between steps, so both are mixed (finaliser of splitmix64, public
    domain, doi:10.1145/2714064.2660195). As time is absolute, the number stays with its step when the window moves.
    """
    with np.errstate(over="ignore"):
        mixed = seeds.view(np.uint64)[:, None] + times_s.astype(np.uint64)[None, :] * _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53)
