"""Slips of the keyboard: which known word was probably meant."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` is most likely a slip of, or ``None``."""
    by_fold = {k.casefold(): k for k in known}
    close = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None


def listed(words: Iterable[str], *, most: int = 8) -> str:
    """Return words as a readable list, cut where it gets long."""
    every = list(words)
    shown = ", ".join(every[:most])
    return f"{shown} and {len(every) - most} more" if len(every) > most else shown or "none"


def suggestion(word: str, known: Iterable[str], *, kind: str) -> str:
    """Return the advice for a name that is not known."""
    every = sorted(set(known))
    close = nearest(word, every)
    return f"did you mean {close}?" if close else f"{kind}: {listed(every)}"
