"""Session tables of others: what their columns mean here, and what is wrong in them by their own names."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadmgr.errors import InputError
from loadmgr.model.ids import EvseId
from loadmgr.sim.session_table import SessionTable, read_table

ACN_HEADING = (
    "arrival,departure,requested_energy (kWh),delivered_energy (kWh),station_id,session_id,estimated_departure,claimed"
)
ACN_ROWS = (
    "2019-05-01 01:18:45-07:00,2019-05-01 15:52:36-07:00,60.0,44.069,CA-305,s1,2019-05-01 09:20:45-07:00,True",
    "2019-05-01 06:33:14-07:00,2019-05-01 11:50:55-07:00,21.84,17.666,CA-314,s2,2019-05-01 11:27:14-07:00,False",
)
ELAAD_HEADING = (
    "TransactionId;ChargePoint;Connector;UTCTransactionStart;UTCTransactionStop;StartCard;ConnectedTime;ChargeTime;"
    "TotalEnergy;MaxPower"
)
ELAAD_ROWS = (
    "3491779;0a1b;1;03/01/2019 17:05:00;04/01/2019 07:45:00;card;14,67;2,1;7,35;3,65",
    "3491780;0a1c;1;2019-01-03 18:00:00;2019-01-03 19:00:00;card;1,0;1,0;9,9;10,9",
)
ACN_ITEM = {
    "sessionID": "2_39_78_362",
    "connectionTime": "Wed, 25 Apr 2018 11:08:04 GMT",
    "disconnectTime": "Wed, 25 Apr 2018 13:20:10 GMT",
    "kWhDelivered": 7.932,
    "stationID": "2-39-78-362",
    "userInputs": [
        {"kWhRequested": 10.0, "requestedDeparture": "Wed, 25 Apr 2018 12:00:00 GMT"},
        {"kWhRequested": 12.5, "requestedDeparture": "Wed, 25 Apr 2018 13:00:00 GMT"},
    ],
}


def read(folder: Path, name: str, text: str, **options: object) -> SessionTable:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_table(path, **options)  # type: ignore[arg-type]


def test_acn_tables_count_in_kilowatt_hours_and_believe_claimed_estimates_only(tmp_path: Path) -> None:
    table = read(tmp_path, "acn.csv", "\n".join([ACN_HEADING, *ACN_ROWS]))
    first, second = table.sessions
    assert table.layout == "acn"
    assert (first.energy_requested_wh, first.energy_delivered_wh) == (60_000.0, pytest.approx(44_069.0))
    assert first.estimated_departure == datetime(2019, 5, 1, 16, 20, 45, tzinfo=UTC)
    assert second.estimated_departure is None
    assert first.evse is None


def test_places_of_another_site_are_kept_where_this_site_has_them(tmp_path: Path) -> None:
    table = read(tmp_path, "acn.csv", "\n".join([ACN_HEADING, *ACN_ROWS]), evses=[EvseId("CA-305")])
    assert [session.evse for session in table.sessions] == ["CA-305", None]


def test_of_several_things_that_a_driver_told_the_last_holds(tmp_path: Path) -> None:
    silent = {key: value for key, value in ACN_ITEM.items() if key != "userInputs"} | {"sessionID": "other"}
    table = read(tmp_path, "acn.json", json.dumps({"_items": [ACN_ITEM, silent]}))
    told, nothing = table.sessions
    assert told.arrival == datetime(2018, 4, 25, 11, 8, 4, tzinfo=UTC)
    assert (told.energy_requested_wh, told.estimated_departure) == (12_500.0, datetime(2018, 4, 25, 13, tzinfo=UTC))
    assert (nothing.energy_requested_wh, nothing.estimated_departure) == (7_932.0, None)


def test_elaad_times_are_utc_day_first_and_power_tells_the_vehicle(tmp_path: Path) -> None:
    table = read(tmp_path, "elaad.csv", "\n".join([ELAAD_HEADING, *ELAAD_ROWS]))
    first, second = table.sessions
    assert table.layout == "elaad"
    assert (first.arrival, first.departure) == (
        datetime(2019, 1, 3, 17, 5, tzinfo=UTC),
        datetime(2019, 1, 4, 7, 45, tzinfo=UTC),
    )
    assert first.energy_delivered_wh == pytest.approx(7_350.0)
    assert [(session.phases, session.max_a) for session in (first, second)] == [(1, 16.0), (3, 16.0)]


def test_bad_rows_of_others_are_named_by_their_own_columns(tmp_path: Path) -> None:
    rows = [ELAAD_ROWS[0].replace("7,35", "-7"), ELAAD_ROWS[0].replace("03/01/2019", "33/01/2019"), *ELAAD_ROWS]
    table = read(tmp_path, "elaad.csv", "\n".join([ELAAD_HEADING, *rows]))
    assert [fault.partition(": ")[2] for fault in table.faults] == [
        "row 2, column TotalEnergy: -7 must be 0 or above and finite",
        "row 3, column UTCTransactionStart: '33/01/2019 17:05:00' is not a time with zone, "
        "such as 2019-06-04T12:00+02:00",
    ]
    assert len(table.sessions) == 2
    assert table.summary == "2 bad rows of 4 left out: 1 in column TotalEnergy, 1 in column UTCTransactionStart"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.csv", "a,b\n1,2\n", "row 1: column session_id is missing"),
        ("x.json", "{}", "JSON of sessions is a list, or holds one under `_items`"),
        ("x.json", "{", "cannot be read: Expecting property name"),
        ("x.xlsx", "PK", "a workbook: save the sheet with the sessions as CSV"),
    ],
)
def test_what_is_no_session_table_says_what_would_be(name: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        read(tmp_path, name, text)
