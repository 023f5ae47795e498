"""New passwords for connected stations: told over OCPP, kept as hashes, audited."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loadmgr.apps.process.audit import Audit
from loadmgr.apps.process.passwords import Passwords
from loadmgr.apps.process.site import SiteProcess
from loadmgr.errors import InputError
from loadmgr.site_file import load_site
from ocpp_link.access_file import load_access
from ocpp_link.errors import CallTimeout, OcppError
from ocpp_link.security import PasswordHash
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.test_acquaintance import SITE

OLD, NEW = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Link:
    """A way to a station that answers as it is told."""

    id = "S1"

    def __init__(self, answer: dict[str, Any] | OcppError, version: str) -> None:
        self.version = version
        self.answer = answer
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def call(self, action: str, payload: dict[str, Any], **_how: Any) -> dict[str, Any]:
        self.told.append((action, payload))
        if isinstance(self.answer, OcppError):
            raise self.answer
        return self.answer


def ordered(
    folder: Path,
    request: dict[str, Any],
    *,
    answer: dict[str, Any] | OcppError | None = None,
    version: str = "1.6",
    said: str = f"profile: 1, password_hashes: [{PasswordHash.of(OLD).text()}]",
) -> tuple[dict[str, Any] | str, Path, Link]:
    """Return what became of a request: the answer or the refusal, the access file, and what the station was told."""
    site, access = folder / "one.yaml", folder / "access.yaml"
    site.write_text(SITE)
    access.write_text(f"stations: {{S1: {{{said}}}}}  # the garage's\n")
    link = Link(answer or {"status": "Accepted"}, version)

    async def main() -> dict[str, Any] | str:
        process = SiteProcess(load_site(site), clock=SystemClock())
        if answer is not None:
            process.attach(link)  # type: ignore[arg-type]
        passwords = Passwords(process, load_access(access), audit=Audit(access, now=lambda: NOW))
        try:
            return await passwords.change(request, "ann")
        except InputError as error:
            return str(error)

    return asyncio.run(main()), access, link


def good(access: Path) -> list[str]:
    return [word for word in (OLD, NEW) if any(h.matches(word.encode()) for h in load_access(access)["S1"].passwords)]


ACCEPTED_2 = {"setVariableResult": [{"attributeStatus": "Accepted"}]}


@pytest.mark.parametrize(("version", "answer"), [("1.6", {"status": "Accepted"}), ("2.0.1", ACCEPTED_2)])
def test_a_password_that_is_taken_is_the_only_one_from_then_on(tmp_path: Path, version: str, answer: Any) -> None:
    done, access, link = ordered(tmp_path, {"station": "S1", "password": NEW}, answer=answer, version=version)

    assert {"station": "S1", "status": "Accepted", "by": "ann"} == done
    assert [NEW] == good(access)
    assert NEW in json.dumps(link.told)
    assert "# the garage's" in access.read_text()
    [line] = (tmp_path / "access.yaml.audit.jsonl").read_text().splitlines()
    assert {"at": NOW.isoformat(), "by": "ann", "do": "password", "station": "S1", "outcome": "Accepted"} == json.loads(
        line
    )


def test_a_password_that_is_made_here_differs_each_time_and_is_told_to_nobody_else(tmp_path: Path) -> None:
    told = []
    for _ in range(2):
        done, access, link = ordered(tmp_path, {"station": "S1"}, answer={"status": "Accepted"})
        told.append(link.told[0][1]["value"])
        assert told[-1] not in str(done) + access.read_text() + (tmp_path / "access.yaml.audit.jsonl").read_text()

    assert told[0] != told[1]
    assert [40, 40] == [len(each) for each in told]


@pytest.mark.parametrize(
    ("answer", "keeps", "refusal"),
    [
        ({"status": "Rejected"}, [OLD], "S1 refused a new password (Rejected): the old one stays"),
        ({"status": "RebootRequired"}, [OLD, NEW], None),
        (CallTimeout("no answer within 5 s"), [OLD, NEW], "its old password and the new one are good until it uses"),
    ],
)
def test_the_old_password_is_good_until_the_station_has_taken_the_new(
    tmp_path: Path, answer: Any, keeps: list[str], refusal: str | None
) -> None:
    done, access, _ = ordered(tmp_path, {"station": "S1", "password": NEW}, answer=answer)

    assert keeps == good(access)
    assert (refusal or "RebootRequired") in str(done)
    assert 1 == len((tmp_path / "access.yaml.audit.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("request_", "more", "refusal"),
    [
        ({"station": "S9"}, {"answer": {}}, "there is no station S9 at One; there are: S1"),
        ({"station": "S1"}, {}, "S1 is not connected"),
        ({"station": "S1", "password": 7}, {"answer": {}}, "password: must be a text"),
        ({"station": "S1", "password": "secret"}, {"answer": {}}, "1.6 takes 32 to 40 hexadecimal digits"),
        ({"station": "S1", "password": "säcret"}, {"answer": {}, "version": "2.1"}, "2.1 takes 16 to 40 letters"),
        ({"station": "S1"}, {"answer": {}, "said": "profile: 3"}, "S1 logs in without a password"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_would_be_right(
    tmp_path: Path, request_: dict[str, Any], more: dict[str, Any], refusal: str
) -> None:
    said, _, link = ordered(tmp_path, request_, **more)

    assert refusal in said
    assert [] == link.told
    assert not (tmp_path / "access.yaml.audit.jsonl").exists()
