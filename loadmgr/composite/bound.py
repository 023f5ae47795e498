"""The bounds: on the work of one answer, and on what a store holds.

A recurring entry of n periods makes at most ``n * (window / step + 2)`` pieces. Their sum stays below ``MAX_PIECES``,
some seconds of work at most, and the window below ``MAX_WINDOW_S``; a longer one is answered for a shorter time, which
the answer says. What does not recur is bounded by what is installed: at most ``MAX_PROFILES`` profiles where the
settings name no lower number, after those that have expired are gone. In the sum of a station EVSEs with nothing of
their own are reckoned once, and the others together keep within ``MAX_PIECES`` too.
"""

MAX_PROFILES = 10_000
"""Most profiles of a store whose settings name no maximum; more than any station holds."""

MAX_PIECES = 1_000_000
"""Most pieces of recurring schedules that one answer expands."""

MAX_WINDOW_S = 100 * 366 * 86_400
"""Longest window [s] that is answered."""


def longest_window_s(pieces_once: int, pieces_per_s: float) -> int:
    """Return the longest window [s] that is answered, at least a second.

    Parameters
    ----------
    pieces_once : int
        Pieces that recurring entries make in any window.
    pieces_per_s : float
        Pieces that they make in each second of it besides.
    """
    if pieces_once + pieces_per_s * MAX_WINDOW_S <= MAX_PIECES:
        return MAX_WINDOW_S
    return max(int((MAX_PIECES - pieces_once) / pieces_per_s), 1)
