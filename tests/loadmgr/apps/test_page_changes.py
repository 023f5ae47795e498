"""What a page is told after the whole document makes the next one of it."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadmgr.apps.page.page_changes import ROWS, changes

fields = st.fixed_dictionaries(
    {"reason": st.sampled_from("ab"), "a": st.integers(0, 2), "plan_a": st.lists(st.just(1))}
)


@st.composite
def documents(draw: Any) -> dict[str, Any]:
    document: dict[str, Any] = {"decided": True, "alive": draw(st.booleans()), "alarms": draw(st.lists(st.just("x")))}
    for part in ROWS:
        ids = draw(st.sampled_from((["1", "2"], ["1", "2"], ["1", "2"], ["2", "1"], ["1"])))
        document[part] = [{"id": name} | draw(fields) for name in ids]
    return document


def merged(known: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Return what the page makes of it, as `page.js` does."""
    out = dict(known)
    for name, part in told.items():
        news = {row["id"]: row for row in part} if name in ROWS else {}
        out[name] = [row | news.get(row["id"], {}) for row in known[name]] if name in ROWS else part
    return out


@given(documents(), documents())
def test_what_is_told_makes_the_new_document_of_the_old_one(before: dict[str, Any], now: dict[str, Any]) -> None:
    told = changes(before, now)
    if told is None:
        assert any([r["id"] for r in before[part]] != [r["id"] for r in now[part]] for part in ROWS)
    else:
        assert now == merged(before, told)


@given(documents())
def test_nothing_is_told_where_nothing_changed(document: dict[str, Any]) -> None:
    assert {} == changes(document, copy.deepcopy(document))


def test_before_the_first_decision_only_the_whole_will_do() -> None:
    assert changes({"decided": False}, {"decided": True, "evses": []}) is None
