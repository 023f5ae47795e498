"""Messages per CPU-second of the server, against a bare echo and the `ocpp` package, in one run.

Run by hand: ``pytest -s tests/benchmarks/test_link_speed.py``. Figures depend on the machine; the ratios hardly.
"""

import pytest

from tests.benchmarks.link_load import Figure, measure, run_echo, run_ocpp_package, run_ours, run_ours_plain

LOADS = [(10, 20_000), (100, 20_000), (1000, 20_000)]


@pytest.mark.timeout(600)
def test_link_speed_against_bare_echo_and_the_ocpp_package() -> None:
    rows: list[tuple[str, Figure]] = []
    for connections, messages in LOADS:
        rows.append(("bare echo", measure(run_echo, connections=connections, messages=messages)))
        rows.append(("ocpp_link", measure(run_ours, connections=connections, messages=messages)))
        rows.append(("ocpp_link, def", measure(run_ours_plain, connections=connections, messages=messages)))
        package = measure(run_ocpp_package, connections=connections, messages=messages // 10, use_uvloop=False)
        rows.append(("ocpp package", package))

    echo_us = {figure.connections: figure.us_per_message for name, figure in rows if name == "bare echo"}
    print("\nserver          connections  us/message  x bare echo  kB/connection")
    for name, figure in rows:
        ratio = figure.us_per_message / echo_us[figure.connections]
        print(
            f"{name:14}  {figure.connections:11}  {figure.us_per_message:10.1f}  {ratio:11.2f}"
            f"  {figure.resident_kb_per_connection:13.1f}"
        )
    ours = [figure for name, figure in rows if name == "ocpp_link"]
    theirs = [figure for name, figure in rows if name == "ocpp package"]
    assert all(theirs_.us_per_message > ours_.us_per_message for ours_, theirs_ in zip(ours, theirs, strict=True))
