"""What the report and its exit status say."""

import json
from pathlib import Path

import pytest

from loadmgr.apps.demo.report import exceeded, quantile_ms, write_report


@pytest.mark.parametrize(
    ("seconds", "ratio", "expected"),
    [(0.0, 1.0, False), (0.0, 1.45, False), (0.0, 1.46, True), (1.0, 1.01, True)],
)
def test_a_limit_is_exceeded_beyond_the_reaction_time_or_where_a_breaker_trips(
    seconds: float, ratio: float, expected: bool
) -> None:
    figures = {"seconds_above_limit": seconds, "worst_overload_ratio": ratio}

    assert expected == exceeded(figures)


def test_quantiles_of_nothing_are_nothing() -> None:
    assert quantile_ms([], 0.95) is None


def test_quantiles_are_in_milliseconds() -> None:
    assert quantile_ms([i / 1000.0 for i in range(100)], 0.95) == 95.0


def test_a_report_replaces_the_old_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    target.write_text("old")

    write_report(target, {"site": "x"})

    assert json.loads(target.read_text()) == {"site": "x"}
    assert [target] == list(tmp_path.iterdir())
