"""The list of what stations get wrong is whole, and names code and tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
BOOK = Path(__file__).with_name("QUIRKS.md").read_text(encoding="utf-8")


def test_the_book_has_every_row_once() -> None:
    rows = [int(number) for number in re.findall(r"^\| (\d+) \|", BOOK, flags=re.MULTILINE)]

    assert list(range(1, 56)) == sorted(rows)


def test_every_test_that_the_book_names_exists() -> None:
    """A renamed test is renamed there too."""
    named = set(re.findall(r"`(test_\w+)`", BOOK))
    texts = (path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    found = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, flags=re.MULTILINE)}

    assert set() == named - found


def test_every_module_that_the_book_names_exists() -> None:
    named = re.findall(r"`((?:ocpp_link|control|bridge|apps|allocation)\.\w+)`", BOOK)
    root = TESTS.parent
    missing = {
        name
        for name in named
        if not any(
            list((root / top).rglob(f"{name.rpartition('.')[2]}.py"))
            for top in (("ocpp_link",) if name.startswith("ocpp_link") else (f"loadmgr/{name.partition('.')[0]}",))
        )
    }

    assert set() == missing
