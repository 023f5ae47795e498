"""The files that run and watch a site: they are what their readers take, and name what there is."""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from loadmgr.apps.cli import app
from loadmgr.apps.deploy import Target, deploy_text
from loadmgr.apps.service.health import metric_lines
from loadmgr.apps.service.hosted import HostedSite
from loadmgr.apps.service.site_metrics import hosted_lines, site_lines
from loadmgr.errors import InputError
from ocpp_link.metrics import Metrics
from ocpp_link.transport import SystemClock
from tests.loadmgr.apps.service.asking import a_service, garage

SITE = Path("/srv/sites/garage.yaml")


def text_of(target: Target) -> str:
    return deploy_text(target, site=SITE, port=9123)


def yaml_of(target: Target) -> Any:
    return YAML(typ="safe").load(text_of(target))


@pytest.mark.parametrize("target", Target)
def test_nothing_is_left_to_fill_in(target: Target) -> None:
    assert [] == re.findall(r"@[A-Z]+@", text_of(target))


def test_commands_have_only_options_that_there_are() -> None:
    unit = re.search(r"ExecStart=\S+ (run .*)", text_of(Target.SYSTEMD))
    image = re.search(r"ENTRYPOINT (\[.*\])", text_of(Target.DOCKER))
    more = re.search(r"CMD (\[\"--journal.*\])", text_of(Target.DOCKER))
    health = re.search(r"CMD (\[\"loadmgr\", \"status\".*\])", text_of(Target.DOCKER))
    assert unit is not None
    assert image is not None
    assert more is not None
    assert health is not None
    commands = [
        shlex.split(unit.group(1)),
        [*json.loads(image.group(1))[1:], *json.loads(more.group(1))],
        json.loads(health.group(1))[1:],
    ]

    for verb, *said in commands:
        shown = CliRunner(env={"COLUMNS": "300"}).invoke(app, [verb, "--help"]).output
        assert [] == [option for option in said if option.startswith("--") and option not in shown]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "loadmgr.service"
    unit.write_text(text_of(Target.SYSTEMD).replace("/usr/local/bin/loadmgr", "/bin/true"))
    found = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)

    assert [] == [line for line in found.stderr.splitlines() if "loadmgr.service" in line]


def test_compose_gives_the_controller_its_site_and_its_database() -> None:
    services = yaml_of(Target.COMPOSE)["services"]

    assert f"{SITE}:{SITE}:ro" in services["loadmgr"]["volumes"]
    assert ["9123:9123"] == services["loadmgr"]["ports"]
    assert "healthcheck" in services["database"]


async def served_page() -> str:
    """Return the metrics of a service that controls a site."""
    service = a_service()
    service.counts.note("/v1/sites", "GET", 200, 0.01)
    hosted = service.hosted["garage"] = HostedSite("garage", garage(), clock=SystemClock())
    hosted.start()
    decided = asyncio.Event()
    hosted.process.on_decision.append(lambda _: decided.set())
    await decided.wait()
    lines = [*metric_lines(service), *hosted_lines([hosted]), *site_lines([hosted])]
    link = Metrics().render(connections=1, mends={})
    await hosted.stop()
    service.close()
    return "\n".join([*lines, link])


def test_dashboard_and_alerts_ask_for_metrics_that_are_served() -> None:
    asked = [t["expr"] for panel in json.loads(text_of(Target.GRAFANA))["panels"] for t in panel["targets"]]
    asked += [rule["expr"] for group in yaml_of(Target.ALERTS)["groups"] for rule in group["rules"]]
    served = set(re.findall(r"^# TYPE (\S+)", asyncio.run(served_page()), re.MULTILINE))
    named = {
        re.sub(r"_bucket$", "", name)
        for expression in asked
        for name in re.findall(r"(?:loadmgr|ocpp)_[a-z_]+", expression)
    }

    assert set() == named - served


def test_the_dashboard_shows_every_metric_of_sites_and_no_two_panels_lie_on_each_other() -> None:
    panels = json.loads(text_of(Target.GRAFANA))["panels"]
    asked = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    served = re.findall(r"^# TYPE (loadmgr_\S+)", asyncio.run(served_page()), re.MULTILINE)
    of_the_service = {"loadmgr_streams", "loadmgr_commands_waiting", "loadmgr_schedule_waiting"}
    of_the_service |= {"loadmgr_schedule_late_total", "loadmgr_csms_backlog_errors_total"}
    assert set() == {name for name in served if name not in asked} - of_the_service

    taken = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(taken) == len(set(taken))
    assert len(panels) == len({panel["id"] for panel in panels})


def test_every_alert_says_what_it_is_about_and_what_to_do() -> None:
    rules = [rule for group in yaml_of(Target.ALERTS)["groups"] for rule in group["rules"]]
    assert len(rules) == len({rule["alert"] for rule in rules})
    for rule in rules:
        assert {"summary", "description"} == set(rule["annotations"])
        assert rule["labels"]["severity"] in ("warning", "critical")


@pytest.mark.parametrize("path", ["site.yaml", "/etc/my site.yaml", "/etc/$(id).yaml"])
def test_a_path_that_would_mean_something_else_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="absolute path"):
        deploy_text(Target.SYSTEMD, site=Path(path), port=9000)
