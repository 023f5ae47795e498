"""Files by which a site is run by the system it is on, printed for the operator to look at and to keep."""

import enum
from importlib.resources import files
from pathlib import Path

from loadmgr.errors import InputError


class Target(enum.StrEnum):
    """What files are for."""

    SYSTEMD = "systemd"
    DOCKER = "docker"
    COMPOSE = "compose"
    GRAFANA = "grafana"
    ALERTS = "alerts"


_FILES = {
    Target.SYSTEMD: "loadmgr.service",
    Target.DOCKER: "Dockerfile",
    Target.COMPOSE: "compose.yaml",
    Target.GRAFANA: "dashboard.json",
    Target.ALERTS: "alerts.yaml",
}
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-")


def deploy_text(target: Target, *, site: Path, port: int) -> str:
    """Return a file with the site file's path and the stations' port put in.

    Raises
    ------
    InputError
        If the path would mean something else in a unit or a shell.
    """
    if not site.is_absolute() or not set(str(site)) <= _PLAIN:
        raise InputError(f"--site: must be an absolute path of letters, digits and / . _ -, got {site}")
    text = files("loadmgr.apps.deploy").joinpath(_FILES[target]).read_text(encoding="utf-8")
    return text.replace("@SITE@", str(site)).replace("@PORT@", str(port))
