"""How long the queries of a month's report take over a year's journal of 25 EVSEs, on both databases.

The entries are those of a running site in size and number (an EVSE each minute, the site meter each ten seconds, thirty
sessions a day), already packed, as they are after a day at most. Run by hand, a minute for each database:

    pytest tests/benchmarks/test_journal_year.py -n0 -s --timeout 3000
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from loadmgr.control.decision import SessionView
from loadmgr.control.observation import EvseReading, SiteMeterReading
from loadmgr.model.ids import EvseId, MeterId, StationId, TransactionId
from loadmgr.store.blocks import pack, to_us
from loadmgr.store.codec import Codec
from loadmgr.store.database import connect
from loadmgr.store.entry import Entry
from loadmgr.store.open import open_tables
from loadmgr.store.recall import read_entry
from loadmgr.store.tables import BLOCK_ENTRIES, Tables
from tests.loadmgr.store.conftest import place  # noqa: F401 - a fixture

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, EVSES, SESSIONS_A_DAY = 365, 25, 30
KINDS = ("EvseReading", "SiteMeterReading", "Session")
MONTH = (BEGIN + timedelta(days=151), BEGIN + timedelta(days=181))


def bodies(kind: str, codec: Codec) -> Callable[[datetime, int], bytes]:
    """Return what makes the body of an entry of a kind; figures differ as they do at a site."""
    rng = np.random.default_rng(1)
    amps = rng.uniform(6.0, 32.0, 4096).round(1)

    def body(at: datetime, index: int) -> bytes:
        current = float(amps[index % 4096])
        number = index % EVSES + 1
        if kind == "EvseReading":
            reading = EvseReading(
                at=at,
                station=StationId(f"PARK-{number:02}"),
                number=1,
                currents_a=(current, current, current),
                energy_wh=float(index),
                power_w=690.0 * current,
            )
            return codec.encode(reading, EvseReading)
        if kind == "SiteMeterReading":
            meter = SiteMeterReading(at=at, meter=MeterId("main_meter"), currents_a=(current, current + 1.0, current))
            return codec.encode(meter, SiteMeterReading)
        session = SessionView(
            evse=EvseId(f"P{number:02}"),
            transaction=TransactionId(str(index)),
            id_token="driver",
            started=at - timedelta(hours=6),
            ended=at,
            departure=at,
            wanted_wh=12_000.0,
            delivered_wh=11_000.0 + current,
            expected_wh=11_000.0,
            full_by=None,
            priority=0,
            source="driver",
        )
        return codec.encode(session, SessionView)

    return body


def fill(tables: Tables, kind: str, every_s: float) -> int:
    """Write a year of a kind as blocks; those that no query reads have the body of the first, of the same size."""
    made = bodies(kind, Codec())
    count, low, high = int(DAYS * 86_400 / every_s), to_us(MONTH[0]), to_us(MONTH[1])
    like = pack(entries_of(kind, range(BLOCK_ENTRIES), every_s, made))
    with tables._database.transaction():
        for first in range(0, count, BLOCK_ENTRIES):
            few = range(first, min(first + BLOCK_ENTRIES, count))
            begin, end = (to_us(BEGIN + timedelta(seconds=i * every_s)) for i in (few[0], few[-1]))
            read = end >= low and begin < (high if kind != "EvseReading" else low + 7_200_000_000)
            body = pack(entries_of(kind, few, every_s, made)) if read else like
            row = (tables._journal, kind, number_of(kind, few[0]), number_of(kind, few[-1]), begin, end, len(few), body)
            tables._database.rows("INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    return count


def number_of(kind: str, index: int) -> int:
    return 1 + KINDS.index(kind) + len(KINDS) * index


def entries_of(kind: str, few: range, every_s: float, made: Callable[[datetime, int], bytes]) -> Iterator[Entry]:
    for index in few:
        at = BEGIN + timedelta(seconds=index * every_s)
        yield Entry(number_of(kind, index), at, kind, made(at, index))


def test_a_month_of_a_year(place: str) -> None:  # noqa: F811
    """Print how long the queries of a report take [s]; each is asked of a connection of its own."""
    tables = Tables(connect(place), "Car park")
    begin = time.process_time()
    counts = {
        "EvseReading": fill(tables, "EvseReading", 60.0 / EVSES),
        "SiteMeterReading": fill(tables, "SiteMeterReading", 10.0),
        "Session": fill(tables, "Session", 86_400.0 / SESSIONS_A_DAY),
    }
    tables.close()
    print(f"\n{place.partition(':')[0]}: {counts}, made in {time.process_time() - begin:.0f} s of the processor")
    queries = {
        "sessions of a month": ("Session", MONTH),
        "site meter of a day": ("SiteMeterReading", (MONTH[0], MONTH[0] + timedelta(days=1))),
        "site meter of a month": ("SiteMeterReading", MONTH),
        "readings of an hour": ("EvseReading", (MONTH[0], MONTH[0] + timedelta(hours=1))),
    }
    for name, (kind, (start, end)) in queries.items():
        tables, codec = open_tables(place, site="Car park"), Codec()
        wall, cpu = time.perf_counter(), time.process_time()
        found = [read_entry(entry, codec) for entry in tables.of_kind(kind, start=start, end=end)]
        print(
            f"{name}: {len(found)} in {time.process_time() - cpu:.2f} s of the processor, "
            f"{time.perf_counter() - wall:.2f} s of the wall"
        )
        assert found
        tables.close()
