"""The rule book of safety names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
BOOK = Path(__file__).with_name("SAFETY.md").read_text(encoding="utf-8")


def test_every_test_that_the_book_of_safety_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", BOOK))
    texts = (path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    found = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, flags=re.MULTILINE)}

    assert len(named) > 60
    assert set() == named - found


def test_every_file_of_tests_that_it_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", BOOK)

    assert named
    assert [] == [name for name in named if not (TESTS.parent / name).is_file()]
