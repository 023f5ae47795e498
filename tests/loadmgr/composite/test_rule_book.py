"""The list of rules names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
BOOK = Path(__file__).with_name("RULES.md")


def test_every_test_that_the_rule_book_names_exists():
    """A renamed test is renamed there too."""
    named = set(re.findall(r"`(test_\w+)`", BOOK.read_text(encoding="utf-8")))
    folders = [TESTS / "loadmgr" / room for room in ("composite", "bridge", "sim")]
    texts = (path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("test_*.py"))
    found = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, flags=re.MULTILINE)}

    assert len(named) > 60
    assert set() == named - found
