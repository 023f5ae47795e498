"""What the service keeps, in SQLite and in PostgreSQL alike: tokens, answers by key, the audit."""

from datetime import timedelta

import pytest

from loadmgr.apps.service.idempotency import AnswerBook
from loadmgr.apps.service.problems import Refused
from loadmgr.apps.service.tables import Tables
from loadmgr.apps.service.tokens import Role, TokenBook
from loadmgr.errors import JournalError
from loadmgr.store.database import DatabaseLost
from tests.loadmgr.apps.service.asking import NOW
from tests.loadmgr.store.places import postgres_schema


@pytest.fixture
def postgres():
    yield from postgres_schema()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def tables(request, tmp_path):
    places = {"memory": ":memory:", "sqlite": str(tmp_path / "service.db")}
    made = Tables(places.get(request.param) or request.getfixturevalue("postgres"))
    yield made
    made.close()


def test_tokens_are_found_listed_and_ended(tables):
    book = TokenBook(tables)
    text = book.issue(name="csms", role=Role.OPERATE, now=NOW, sites=["b", "a"], expires=NOW + timedelta(days=1))
    caller = book.find(text, now=NOW)
    assert ("csms", Role.OPERATE, frozenset({"a", "b"})) == (caller.name, caller.role, caller.sites)
    assert None is book.find(text, now=NOW + timedelta(days=1))
    assert [caller.token] == [e.id for e in book.listed()]
    assert book.revoke(caller.token, now=NOW)
    assert not book.revoke(caller.token, now=NOW)
    assert None is book.find(text, now=NOW)


def test_a_key_is_answered_once_and_belongs_to_its_token(tables):
    book = AnswerBook(tables)
    assert None is book.begin("t", "k", b"body", now=NOW)
    with pytest.raises(Refused, match="not answered yet"):
        book.begin("t", "k", b"body", now=NOW)
    assert None is book.begin("other", "k", b"another body", now=NOW)
    book.end("t", "k", status=200, body=b"answer")
    kept = book.begin("t", "k", b"body", now=NOW + timedelta(hours=1))
    assert (200, b"answer") == (kept.status, kept.body)
    with pytest.raises(Refused, match="another body"):
        book.begin("t", "k", b"other", now=NOW)
    assert None is book.begin("t", "k", b"other", now=NOW + timedelta(days=2))


def test_a_key_whose_worker_died_may_be_used_again(tables):
    book = AnswerBook(tables)
    assert None is book.begin("t", "k", b"body", now=NOW)
    assert None is book.begin("t", "k", b"body", now=NOW + timedelta(minutes=6))
    book.forget("t", "k")
    assert None is book.begin("t", "k", b"body", now=NOW + timedelta(minutes=6))


def test_a_database_that_went_away_is_connected_to_anew(tables):
    if tables.place == ":memory:":
        pytest.skip("what is in memory is gone when it is closed")
    book = TokenBook(tables)
    text = book.issue(name="a", role=Role.READ, now=NOW)
    tables._database.close()
    with pytest.raises(DatabaseLost):
        book.find(text, now=NOW)
    assert "a" == book.find(text, now=NOW).name


def test_a_database_of_a_newer_version_is_refused(tmp_path):
    place = str(tmp_path / "service.db")
    made = Tables(place)
    made.rows("UPDATE service_schema SET version = 99")
    made.close()
    with pytest.raises(JournalError, match="version 99"):
        Tables(place)
