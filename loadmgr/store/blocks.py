"""Blocks: many entries of one kind, compressed together. They repeat each other, so a reading takes some 15 bytes.

A line of a block is the number and the instant [us], each as a difference from the line before, and the entry's body.
"""

import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from loadmgr.store.entry import Entry

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_us(when: datetime) -> int:
    """Return an instant as microseconds since 1970."""
    return (when - EPOCH) // MICROSECOND


def from_us(when_us: int) -> datetime:
    """Return the instant of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=when_us)


def pack(entries: Iterable[Entry]) -> bytes:
    """Return a block of entries of one kind, in order."""
    lines, number, at_us = [], 0, 0
    for entry in entries:
        now_us = to_us(entry.at)
        lines.append(b"%d %d %s" % (entry.number - number, now_us - at_us, entry.body))
        number, at_us = entry.number, now_us
    return zlib.compress(b"\n".join(lines), 6)


def unpack(kind: str, block: bytes) -> Iterator[Entry]:
    """Yield the entries of a block."""
    number, at_us = 0, 0
    for line in zlib.decompress(block).split(b"\n"):
        step, step_us, body = line.split(b" ", 2)
        number += int(step)
        at_us += int(step_us)
        yield Entry(number, from_us(at_us), kind, body)
