"""What changed from one document of the page to the next: most of a site stays as it is from second to second."""

from typing import Any

Row = dict[str, Any]

ROWS = ("circuits", "evses", "batteries")
"""Parts of the document that are lists of rows with ids; of these only what changed in a row is told."""


def changes(before: Row, now: Row) -> Row | None:
    """Return what makes a document of the one before; ``None`` where only the whole says it.

    Returns
    -------
    dict
        Parts that differ, each whole; of ``circuits``, ``evses`` and ``batteries`` the rows that differ, each with its
        ``id`` and the fields that differ.
    """
    if before.keys() != now.keys():
        return None
    told: Row = {}
    for name, part in now.items():
        known = before[name]
        if part is known or part == known:
            continue
        if name not in ROWS:
            told[name] = part
            continue
        if [row["id"] for row in known] != [row["id"] for row in part]:
            return None
        told[name] = [_row(old, new) for old, new in zip(known, part, strict=True) if old != new]
    return told


def _row(before: Row, now: Row) -> Row:
    return {"id": now["id"]} | {name: value for name, value in now.items() if value != before.get(name)}
