"""``loadmgr deploy``: files for systemd, Docker and Grafana, printed."""

from pathlib import Path
from typing import Annotated

import typer

from loadmgr.apps.deploy import Target


def deploy(
    target: Annotated[Target, typer.Argument(help="What the file is for.")],
    *,
    site: Annotated[Path, typer.Option(metavar="FILE", help="Where the site file will be.")] = Path(
        "/etc/loadmgr/site.yaml"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where stations connect.")] = 9000,
) -> None:
    """Print a file that runs or watches a site: a systemd unit, a Dockerfile, a Compose file, a dashboard, alert rules.

    Examples: `loadmgr deploy systemd --site /etc/loadmgr/site.yaml > loadmgr.service`,
    `loadmgr deploy grafana > dashboard.json`
    """
    from loadmgr.apps.deploy import deploy_text

    typer.echo(deploy_text(target, site=site, port=port), nl=False)
