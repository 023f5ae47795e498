"""What is done with the bad rows of a table, and what is said of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class BadRows(StrEnum):
    """What to do with bad rows: refuse the table, leave them out, or mend what can be mended and leave out the rest."""

    STOP = "stop"
    SKIP = "skip"
    REPAIR = "repair"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowNote:
    """A row that was left out or mended: where, and what is wrong there or was done to it."""

    row: int
    column: str
    text: str


def by_column(notes: Sequence[RowNote]) -> str:
    """Return how many notes there are on each column, the most first.

    Examples
    --------
    >>> by_column([RowNote(row=2, column="arrival", text="?"), RowNote(row=3, column="arrival", text="?")])
    '2 in column arrival'
    """
    counted = Counter(note.column for note in notes).most_common()
    return ", ".join(f"{count} in column {column}" for column, count in counted)
